//! Who is let in to the server's own broker, and to what: C9, C10, C11, C17,
//! C21, C30.

use std::time::{Duration, Instant};

use latchlight_client::{Connection, ConnectionError};
use latchlight_mqtt::{
    Connect, Packet, PacketId, ProtocolVersion, Publish, QoS, ReasonCode, Subscribe,
    SubscribeFilter, SubscriptionOptions, TopicName, Will,
};
use serde_json::{Value, json};

use crate::harness::{Device, PASSWORD, PATIENCE, Server, open_house};

const VERSIONS: [ProtocolVersion; 3] =
    [ProtocolVersion::V31, ProtocolVersion::V311, ProtocolVersion::V5];

/// Long enough for what may not come to have come.
const A_WHILE: Duration = Duration::from_millis(300);

/// How a CONNECT is refused; nothing: it is not.
async fn refusal(server: &Server, connect: Connect) -> Option<ReasonCode> {
    match Connection::connect(server.mqtt(), connect).await {
        Ok(_) => None,
        Err(ConnectionError::Refused(reason)) => Some(reason),
        Err(other) => panic!("neither let in nor refused: {other}"),
    }
}

pub(crate) fn shows(mut connect: Connect, name: &str, password: &str) -> Connect {
    connect.username = Some(name.into());
    connect.password = Some(password.to_owned().into());
    connect
}

#[tokio::test]
async fn c17_nobody_unknown_is_let_in_and_unknown_and_wrong_are_told_the_same() {
    let server = Server::start();
    server.device("front").await;
    for version in VERSIONS {
        let connect = || Connect::new(version, "front");
        let mut told = vec![refusal(&server, connect()).await];
        for (name, password) in
            [("front", "wrong"), ("nobody", "wrong"), ("owner", "wrong"), ("", ""), ("join", "x")]
        {
            told.push(refusal(&server, shows(connect(), name, password)).await);
        }
        let first = told[0].expect("nobody is let in without a name");
        assert!(told.iter().all(|reason| *reason == Some(first)), "{version:?}: {told:?}");
    }
    // Whoever fails for long is not listened to; the device itself always is, and
    // so is a program.
    let watcher = server.app("watcher").await;
    for guess in 0..40 {
        let connect = Connect::new(ProtocolVersion::V5, "front");
        let guess = shows(connect, &format!("guess-{guess}"), "wrong");
        refusal(&server, guess).await.expect("it is refused");
    }
    let owner = shows(Connect::new(ProtocolVersion::V5, "owner"), "owner", PASSWORD);
    assert!(refusal(&server, owner).await.is_some(), "too many have failed from here");
    Device::connect(server.mqtt(), server.device("front").await).await;
    Device::connect(server.mqtt(), watcher).await;
}

#[tokio::test]
async fn c9_a_device_says_nothing_beside_its_own_topics() {
    let server = Server::start_with(open_house());
    let mut back = Device::join(&server, "back", "lock").await;
    let watcher = server.app("watcher").await;
    let mut watcher = Device::connect(server.mqtt(), watcher).await;
    watcher.subscribe("latchlight/devices/back/#", QoS::AtLeastOnce).await;
    let mut front = Device::join(&server, "front", "lock").await;
    for topic in [
        "latchlight/devices/back/up",
        "latchlight/devices/back/down",
        "latchlight/devices/back/state",
        "latchlight/devices/back/online",
        "latchlight/devices/front/down",
        "latchlight/devices/front/state",
        "latchlight/apps/front/up",
        "latchlight/apps/watcher/down",
        "latchlight/alerts/stranger",
        "latchlight/server/online",
        "latchlight/join/front/up",
        "latchlight/x",
        "weather",
        "yard/front/up",
        "$SYS/broker/uptime",
    ] {
        for retain in [false, true] {
            let reason = front.publish(topic, "state unlocked", retain).await;
            assert_eq!(reason, ReasonCode::NotAuthorized, "{topic}");
        }
    }
    // By a topic alias, set where it may speak or where it may not.
    for topic in ["latchlight/devices/back/up", "latchlight/devices/back/down"] {
        let mut publish = Publish::new(topic, "state unlocked");
        publish.qos = QoS::AtLeastOnce;
        publish.packet_id = PacketId::new(500);
        publish.properties.make_mut().topic_alias = Some(1);
        front.connection.send(&Packet::Publish(publish)).await.unwrap();
        let answer = front.connection.receive_within(PATIENCE).await.unwrap();
        assert!(matches!(answer, Packet::PubAck(ack) if ack.reason == ReasonCode::NotAuthorized));
    }
    // A response topic is nobody's to answer on.
    let mut publish = Publish::new("latchlight/devices/front/up", "unlock back");
    publish.properties.make_mut().response_topic =
        Some(TopicName::try_from("latchlight/devices/back/down").unwrap().into());
    front.connection.send(&Packet::Publish(publish)).await.unwrap();
    assert!(front.hear().await.starts_with("error unlock back refused"));
    // A resend of what it never sent.
    let mut publish = Publish::new("latchlight/devices/back/up", "state unlocked");
    (publish.qos, publish.dup, publish.packet_id) = (QoS::ExactlyOnce, true, PacketId::new(501));
    front.connection.send(&Packet::Publish(publish)).await.unwrap();
    let answer = front.connection.receive_within(PATIENCE).await.unwrap();
    assert!(matches!(answer, Packet::PubRec(ack) if ack.reason == ReasonCode::NotAuthorized));
    // Nothing of it came: neither to the device nor to who watches it.
    back.hears_nothing_for(A_WHILE).await;
    let (_, device) = server.get("/api/v1/devices/back").await;
    assert_eq!(device["state"], "unknown");
    // By a will: not even connected.
    for topic in ["latchlight/devices/back/up", "latchlight/devices/front/up", "weather"] {
        let mut connect = server.device("front.2").await;
        connect.will = Some(Will {
            topic: TopicName::try_from(topic).unwrap(),
            payload: "state unlocked".into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Default::default(),
        });
        assert_eq!(refusal(&server, connect).await, Some(ReasonCode::NotAuthorized), "{topic}");
    }
}

/// What a SUBACK says.
pub(crate) async fn subscribe(device: &mut Device, filter: &str) -> ReasonCode {
    let filters = vec![SubscribeFilter {
        filter: filter.try_into().unwrap(),
        options: SubscriptionOptions::qos(QoS::AtLeastOnce),
    }];
    let packet_id = PacketId::new(600).unwrap();
    let subscribe = Subscribe { packet_id, filters, properties: Default::default() };
    device.connection.send(&Packet::Subscribe(subscribe)).await.unwrap();
    loop {
        match device.connection.receive_within(PATIENCE).await.unwrap() {
            Packet::SubAck(ack) => return ack.reasons[0],
            Packet::Publish(_) => {}
            other => panic!("expected SUBACK, received {other:?}"),
        }
    }
}

#[tokio::test]
async fn c9_a_device_hears_nothing_beside_its_own_topics() {
    let server = Server::start_with(open_house());
    let mut front = Device::join(&server, "front", "lock").await;
    for filter in [
        "#",
        "+/#",
        "+/+/+/+",
        "latchlight/#",
        "latchlight/+/front/down",
        "latchlight/devices/#",
        "latchlight/devices/+/down",
        "latchlight/devices/back/down",
        "latchlight/devices/back/state",
        "latchlight/apps/#",
        "latchlight/join/#",
        "latchlight/join/front/down",
        "latchlight/alerts/#",
        "latchlight/server/online",
        "yard/back/down",
        "weather/#",
        "$SYS/#",
        "$share/all/#",
        "$share/all/latchlight/devices/back/down",
        "$share/all/latchlight/devices/front/down",
    ] {
        let reason = subscribe(&mut front, filter).await;
        assert!(reason.is_error(), "{filter}: {reason}");
    }
    for filter in ["latchlight/devices/front/#", "latchlight/devices/front/+"] {
        assert!(!subscribe(&mut front, filter).await.is_error(), "{filter}");
    }
}

#[tokio::test]
async fn c19_an_app_says_and_hears_what_is_its_own_and_what_it_may_see() {
    let server = Server::start();
    let mut front = Device::join(&server, "front", "lock").await;
    let mut back = Device::join(&server, "back", "lock").await;
    front.say("state locked").await;
    back.say("state locked").await;
    server.device_when("back", |device| device["state"] == "locked").await;
    let ann = json!({
        "name": "ann", "role": "guest", "password": PASSWORD,
        "grants": [{ "actions": ["lock"], "devices": ["front"] }],
    });
    assert_eq!(server.post_json("/api/v1/users", ann).await.0, 201);
    let connect = shows(Connect::new(ProtocolVersion::V5, "ann"), "ann", PASSWORD);
    let mut ann = Device::connect(server.mqtt(), connect).await;
    for filter in [
        "#",
        "latchlight/#",
        "latchlight/devices/#",
        "latchlight/devices/front/down",
        "latchlight/devices/+/up",
        "latchlight/apps/+/down",
        "latchlight/apps/owner/down",
        "latchlight/alerts/#",
        "latchlight/join/#",
        "weather",
        "$SYS/#",
        "$share/all/latchlight/devices/+/state",
    ] {
        let reason = subscribe(&mut ann, filter).await;
        assert!(reason.is_error(), "{filter}: {reason}");
    }
    for topic in [
        "latchlight/apps/owner/up",
        "latchlight/apps/ann/down",
        "latchlight/devices/front/up",
        "latchlight/devices/front/down",
        "latchlight/alerts/stranger",
        "weather",
    ] {
        let reason = ann.publish(topic, "lock front", false).await;
        assert_eq!(reason, ReasonCode::NotAuthorized, "{topic}");
    }
    // Of all states, those that it may see.
    ann.subscribe("latchlight/devices/+/state", QoS::AtLeastOnce).await;
    assert_eq!(&*ann.hear_publish().await.topic, "latchlight/devices/front/state");
    back.say("state jammed").await;
    server.device_when("back", |device| device["state"] == "jammed").await;
    ann.hears_nothing_for(A_WHILE).await;
    // It operates what it is granted.
    ann.subscribe("latchlight/apps/ann/down", QoS::AtLeastOnce).await;
    ann.publish("latchlight/apps/ann/up", "unlock front", false).await;
    assert!(ann.hear().await.starts_with("error unlock front refused"));
    // Another password, and it is out (C23).
    let password = json!({ "password": "another door of one's own" });
    let (status, answer) = server.post_json("/api/v1/users/ann/password", password).await;
    assert!((200..300).contains(&status), "{answer}");
    assert!(ann.connection.closed_within(Duration::from_secs(5)).await.is_ok());
}

#[tokio::test]
async fn c23_whoever_is_called_otherwise_is_nobody_by_the_old_name() {
    let server = Server::start();
    let connect = latchlight_mqtt::Connect::new(latchlight_mqtt::ProtocolVersion::V5, "ann");
    let mut ann = Device::connect(server.mqtt(), server.as_app(connect).await).await;
    ann.subscribe("latchlight/apps/ann/down", QoS::AtLeastOnce).await;
    let path = "/api/v1/api-keys/ann";
    let (status, answer) = server.patch_json(path, json!({ "name": "anna" })).await;
    assert_eq!((status, &answer["name"]), (200, &json!("anna")), "{answer}");
    assert!(ann.connection.closed_within(Duration::from_secs(5)).await.is_ok());
}

#[tokio::test]
async fn c10_a_client_id_is_whose_it_is_and_nobody_takes_it_over() {
    let server = Server::start_with(open_house());
    let mut front = Device::join(&server, "front", "lock").await;
    let back = server.device("back").await;
    for id in ["front", "front.2", "back2", "back.", ""] {
        let connect = Connect { client_id: id.into(), ..back.clone() };
        let reason = refusal(&server, connect).await;
        assert_eq!(reason, Some(ReasonCode::ClientIdentifierNotValid), "{id}");
    }
    for id in ["front", "front.2", "phone", "back"] {
        let connect = Connect { client_id: id.into(), ..server.app("ann").await };
        assert!(refusal(&server, connect).await.is_some(), "{id}");
    }
    assert!(refusal(&server, Connect::new(ProtocolVersion::V5, "front.3")).await.is_some());
    assert!(refusal(&server, Connect { client_id: "back.2".into(), ..back }).await.is_none());
    front.say("last").await;
    assert_eq!(front.hear().await, "unknown last", "its session is whole");
}

#[tokio::test]
async fn c11_who_is_revoked_is_out_within_a_second_and_its_queue_is_dropped() {
    let server = Server::start();
    let mut connect = server.device("front").await;
    connect.clean_start = false;
    connect.properties.make_mut().session_expiry_interval = Some(3600);
    let mut front = Device::connect(server.mqtt(), connect.clone()).await;
    front.listen(QoS::AtLeastOnce).await;
    front.say("hand_shake lock").await;
    assert_eq!(front.hear().await, "ok hand_shake");
    let begin = Instant::now();
    assert_eq!(server.delete("/api/v1/devices/front/credentials").await, 204);
    front.connection.closed_within(Duration::from_secs(5)).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert!(refusal(&server, connect.clone()).await.is_some());
    let (status, answer) = server.post("/lock?device=front").await;
    assert_eq!((status, &answer["devices"][0]["outcome"]), (409, &json!("offline")));
    // What waits for one that is away goes, too: with new ones it begins anew.
    let new = server.as_device(connect).await;
    let (door, present) = Device::resume(server.mqtt(), new.clone()).await;
    assert!(!present);
    // Whoever has the old ones is out when there are new ones.
    let path = "/api/v1/devices/front/credentials";
    assert_eq!(server.post_json(path, json!({ "kind": "lock" })).await.0, 201);
    let mut door = door;
    door.connection.closed_within(Duration::from_secs(5)).await.unwrap();
    assert!(refusal(&server, new).await.is_some());
}

#[tokio::test]
async fn credentials_of_a_lock_are_good_for_no_light() {
    let server = Server::start();
    let path = "/api/v1/devices/front/credentials";
    let (_, issued) = server.post_json(path, json!({ "kind": "lock" })).await;
    let connect = Connect::new(ProtocolVersion::V311, "front");
    let connect = shows(connect, "front", issued["password"].as_str().unwrap());
    let mut front = Device::connect(server.mqtt(), connect).await;
    front.listen(QoS::AtLeastOnce).await;
    front.say("hand_shake light").await;
    let why = "error hand_shake its credentials are those of a lock, not of a light";
    assert_eq!(front.hear().await, why);
    front.say("hand_shake lock").await;
    assert_eq!(front.hear().await, "ok hand_shake");
}

/// Begins pairing; gives the code.
pub(crate) async fn pair(server: &Server) -> String {
    let (status, begun) = server.post_json("/api/v1/pairing", json!({ "seconds": 60 })).await;
    assert_eq!(status, 201, "{begun}");
    let code = begun["code"].as_str().unwrap().to_owned();
    assert!(begun["uri"].as_str().unwrap().ends_with(&format!("&code={code}")), "{begun}");
    code
}

pub(crate) fn joining(id: &str, code: &str) -> Connect {
    shows(Connect::new(ProtocolVersion::V311, id), "join", code)
}

#[tokio::test]
async fn c21_c30_a_device_joins_by_a_code_and_nothing_tells_its_secret() {
    let server = Server::start();
    let code = pair(&server).await;
    let mut shed = Device::connect(server.mqtt(), joining("shed", &code)).await;
    for filter in ["latchlight/devices/shed/down", "latchlight/join/+/down", "#"] {
        assert!(subscribe(&mut shed, filter).await.is_error(), "{filter}");
    }
    shed.subscribe("latchlight/join/shed/down", QoS::AtLeastOnce).await;
    shed.publish("latchlight/join/shed/up", "unlock front", false).await;
    assert!(shed.hear().await.starts_with("error whoever joins says"));
    shed.publish("latchlight/join/shed/up", "hand_shake lock {\"features\": [\"ack\"]}", false)
        .await;
    let told = shed.hear().await;
    let told = told.strip_prefix("ok hand_shake ").unwrap_or_else(|| panic!("{told}"));
    let told: Value = serde_json::from_str(told).unwrap();
    assert_eq!((&told["username"], &told["client_id"]), (&json!("shed"), &json!("shed")));
    let secret = told["password"].as_str().unwrap().to_owned();
    // That connection is of no more use, and the code is used up.
    shed.connection.closed_within(PATIENCE).await.unwrap();
    assert!(refusal(&server, joining("other", &code)).await.is_some());
    let (_, status) = server.get("/api/v1/pairing").await;
    assert_eq!((&status["ended"], &status["joined"]), (&json!("joined"), &json!("shed")));

    let connect = shows(Connect::new(ProtocolVersion::V311, "shed"), "shed", &secret);
    let mut shed = Device::connect(server.mqtt(), connect).await;
    shed.listen(QoS::AtLeastOnce).await;
    shed.say("hand_shake lock").await;
    assert_eq!(shed.hear().await, "ok hand_shake");
    let (_, device) = server.get("/api/v1/devices/shed").await;
    assert_eq!(device["credentials"]["kind"], "lock");

    let folder = server.stop();
    for file in walk(folder.path()) {
        let bytes = std::fs::read(&file).unwrap();
        for secret in [&secret, &code] {
            let is_there = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!is_there, "{} has a secret", file.display());
        }
    }
}

pub(crate) fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn c21_what_is_there_already_does_not_join_by_a_code() {
    let server = Server::start();
    Device::join(&server, "front", "lock").await;
    server.device("back").await;
    let code = pair(&server).await;
    for id in ["front", "back", "Shed", "shed.2"] {
        assert!(refusal(&server, joining(id, &code)).await.is_some(), "{id}");
    }
    let mut kept = joining("shed", &code);
    kept.clean_start = false;
    assert!(refusal(&server, kept).await.is_some(), "with a session that is kept");
    assert!(refusal(&server, joining("shed", &code)).await.is_none());
    assert!(refusal(&server, joining("barn", &code)).await.is_some(), "it is bound");
    assert_eq!(server.delete("/api/v1/pairing").await, 204);
    assert!(refusal(&server, joining("shed", &code)).await.is_some());
}

#[tokio::test]
async fn c21_five_wrong_codes_close_pairing_and_raise_an_alert() {
    let server = Server::start();
    let mut watcher = Device::connect(server.mqtt(), server.app("watcher").await).await;
    watcher.subscribe("latchlight/alerts/#", QoS::AtLeastOnce).await;
    let code = pair(&server).await;
    for _ in 0..5 {
        assert!(refusal(&server, joining("shed", "00000-00000")).await.is_some());
    }
    assert_eq!(&*watcher.hear_publish().await.topic, "latchlight/alerts/pairing");
    assert!(refusal(&server, joining("shed", &code)).await.is_some());
    let (_, status) = server.get("/api/v1/pairing").await;
    assert_eq!((&status["open"], &status["ended"]), (&json!(false), &json!("wrong-codes")));
}

#[tokio::test]
async fn c30_the_log_of_a_whole_run_has_no_secret() {
    let server = Server::start_with(json!({ "log": { "level": "debug" } }));
    let front = server.device("front").await;
    let app = server.app("phone").await;
    let code = pair(&server).await;
    Device::join(&server, "front", "lock").await;
    for mut connect in [front.clone(), app.clone()] {
        // As a device that mixes both up.
        connect.username =
            Some(String::from_utf8(connect.password.clone().unwrap().to_vec()).unwrap().into());
        assert!(refusal(&server, connect).await.is_some());
    }
    let mut shed = Device::connect(server.mqtt(), joining("shed", &code)).await;
    shed.subscribe("latchlight/join/shed/down", QoS::AtLeastOnce).await;
    shed.publish("latchlight/join/shed/up", "hand_shake lock", false).await;
    let told = shed.hear().await;
    let told: Value = serde_json::from_str(told.strip_prefix("ok hand_shake ").unwrap()).unwrap();
    let text = |bytes: Option<bytes::Bytes>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
    let secrets = [
        text(front.password),
        text(app.password),
        code,
        told["password"].as_str().unwrap().to_owned(),
        PASSWORD.to_owned(),
    ];
    for line in server.stop_and_read_log().await {
        let line = line.to_string();
        for secret in &secrets {
            assert!(!line.contains(secret.as_str()), "{line}");
        }
    }
}
