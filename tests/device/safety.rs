//! What a lock server must never get wrong, tried from outside. The lines of
//! the safety list stand beside the tests: C1 to C5, C8, C23b.

use std::time::{Duration, Instant};

use latchlight_client::Connection;
use latchlight_mqtt::{
    Connect, Packet, ProtocolVersion, Publish, QoS, ReasonCode, TopicName, Will,
};
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::harness::{Device, PATIENCE, Server, command_of, configured, open_house, outcome_of};

const ACKS: &str = "lock {\"features\": [\"ack\"]}";

/// Long enough for what may not come to have come.
const A_WHILE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn c1_no_client_publishes_to_a_devices_command_topic() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", ACKS).await;
    let mut mallory = Device::connect(server.mqtt(), server.device("mallory").await).await;
    for retain in [false, true] {
        let reason = mallory.publish("latchlight/devices/front/down", "unlock", retain).await;
        assert_eq!(reason, ReasonCode::NotAuthorized);
    }
    // At QoS 0 the DISCONNECT says it.
    let publish = Publish::new("latchlight/devices/front/down", "unlock");
    mallory.connection.send(&Packet::Publish(publish)).await.unwrap();
    let last = mallory.connection.closed_within(PATIENCE).await.unwrap();
    assert!(
        matches!(last.last(), Some(Packet::Disconnect(d)) if d.reason == ReasonCode::NotAuthorized),
        "{last:?}"
    );
    door.hears_nothing_for(A_WHILE).await;
}

#[tokio::test]
async fn c1_a_retained_command_is_refused_in_every_version_and_nothing_is_stored() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", ACKS).await;
    let up = "latchlight/apps/mallory/up";
    let mut mallory = Device::connect(server.mqtt(), server.app("mallory").await).await;
    assert_eq!(mallory.publish(up, "unlock front", true).await, ReasonCode::NotAuthorized);
    for version in [ProtocolVersion::V311, ProtocolVersion::V31] {
        let connect = server.as_app(Connect::new(version, "mallory.3")).await;
        let (mut old, _) = Connection::connect(server.mqtt(), connect).await.unwrap();
        let publish = Publish { retain: true, ..Publish::new(up, "unlock front") };
        old.send(&Packet::Publish(publish)).await.unwrap();
        old.closed_within(PATIENCE).await.unwrap();
    }
    door.hears_nothing_for(A_WHILE).await;
}

#[tokio::test]
async fn c1_what_was_retained_where_a_device_listens_from_now_on_is_purged() {
    let server = Server::start_with(open_house());
    let mallory = Connect::new(ProtocolVersion::V5, "mallory");
    let mut mallory = Device::connect(server.mqtt(), mallory).await;
    let kept = mallory.publish("yard/front/down", "unlock", true).await;
    assert!(!kept.is_error(), "it is nobody's topic yet: {kept}");
    let hand_shake = "lock {\"features\": [\"ack\"], \"base\": \"yard/front\"}";
    let mut door = Device::join(&server, "front", hand_shake).await;
    door.subscribe("yard/front/down", QoS::AtLeastOnce).await;
    door.hears_nothing_for(A_WHILE).await;
    for retain in [false, true] {
        let reason = mallory.publish("yard/front/down", "unlock", retain).await;
        assert_eq!(reason, ReasonCode::NotAuthorized);
    }
}

#[tokio::test]
async fn c9_below_a_device_clients_publish_only_what_is_the_devices_to_say() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", ACKS).await;
    door.subscribe("latchlight/devices/front/#", QoS::AtLeastOnce).await;
    let mut mallory = Device::connect(server.mqtt(), server.device("mallory").await).await;
    for leaf in ["x", "down/", "down/x", "state", "state/x", "up/x", ""] {
        for retain in [false, true] {
            let topic = format!("latchlight/devices/front/{leaf}");
            let reason = mallory.publish(&topic, "unlock", retain).await;
            assert_eq!(reason, ReasonCode::NotAuthorized, "{topic}");
        }
    }
}

#[tokio::test]
async fn c1_a_will_is_no_way_to_a_command_either() {
    let server = Server::start();
    for topic in ["latchlight/devices/front/down", "latchlight/apps/x/up", "latchlight/alerts/x"] {
        let mut connect = server.app("x").await;
        connect.will = Some(Will {
            topic: TopicName::try_from(topic).unwrap(),
            payload: "unlock front".into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Default::default(),
        });
        let refused = Connection::connect(server.mqtt(), connect).await;
        assert!(refused.is_err(), "{topic}");
    }
}

#[tokio::test]
async fn c3_a_device_that_never_acknowledges_is_cut_off_before_the_command_is_settled() {
    let server = Server::start_with(json!({ "commands": { "expires_in": 4 } }));
    let mut door = Device::join(&server, "front", ACKS).await;
    door.connection.set_auto_acknowledge(false);
    let (_, answer) = server.post("/unlock?device=front&wait=0").await;
    let heard = door.hear_publish().await;
    let expiry = heard.properties.message_expiry_interval;
    assert!(expiry.is_some_and(|seconds| seconds <= 4), "{expiry:?}");
    let ended = server.ended(&command_of(&answer)).await;
    assert_eq!(ended["outcome"], "unconfirmed");
    // Nothing can arrive any more: the connection is gone, and was before that.
    assert!(door.connection.closed_within(PATIENCE).await.is_ok_and(|rest| rest.is_empty()));
    server.device_when("front", |device| device["online"] == false).await;
}

#[tokio::test]
async fn c3_who_has_not_taken_a_command_is_cut_off_whatever_was_said_in_its_name() {
    let server = Server::start_with(json!({ "commands": { "expires_in": 4 } }));
    let mut door = Device::join(&server, "front", ACKS).await;
    door.connection.set_auto_acknowledge(false);
    // Another that has its credentials, and does not listen.
    let mut mallory = Device::connect(server.mqtt(), server.device("front.2").await).await;
    let (_, answer) = server.post("/unlock?device=front&wait=0").await;
    let id = command_of(&answer);
    mallory.publish("latchlight/devices/front/up", format!("ack {id} ok"), false).await;
    assert_eq!(server.ended(&id).await["outcome"], "confirmed");
    // In its buffers there may be the command still, for any time to come.
    assert!(door.connection.closed_within(PATIENCE).await.is_ok());
}

#[tokio::test]
async fn c3_a_device_that_comes_back_with_its_session_gets_no_old_command() {
    let server = Server::start_with(json!({ "commands": { "expires_in": 4 } }));
    let mut connect = server.device("front").await;
    connect.clean_start = false;
    connect.properties.make_mut().session_expiry_interval = Some(3600);
    let mut door = Device::connect(server.mqtt(), connect.clone()).await;
    door.listen(QoS::AtLeastOnce).await;
    door.say(&format!("hand_shake {ACKS}")).await;
    door.hear().await;
    // It gets an unlock, does not acknowledge it, and is gone.
    door.connection.set_auto_acknowledge(false);
    let (_, answer) = server.post("/unlock?device=front&wait=0").await;
    door.hear_publish().await;
    door.connection.abort();
    // Another one comes while it is away.
    server.device_when("front", |device| device["online"] == false).await;
    let (status, away) = server.post("/unlock?device=front").await;
    assert_eq!((status, &away["devices"][0]["outcome"]), (409, &json!("offline")));
    let mut back = Device::connect(server.mqtt(), connect).await;
    back.hears_nothing_for(A_WHILE).await;
    assert_eq!(server.ended(&command_of(&answer)).await["outcome"], "unconfirmed");
    back.hears_nothing_for(A_WHILE).await;
    // It is whole otherwise.
    back.say("state locked").await;
    server.device_when("front", |d| d["state"] == "locked" && d["online"] == true).await;
}

#[tokio::test]
async fn c4_a_device_that_is_away_is_answered_for_at_once() {
    let server = Server::start();
    let door = Device::join(&server, "front", ACKS).await;
    door.connection.abort();
    server.device_when("front", |device| device["online"] == false).await;
    let begin = std::time::Instant::now();
    let (status, answer) = server.post("/unlock?device=front&wait=9").await;
    assert_eq!((status, &answer["devices"][0]["outcome"]), (409, &json!("offline")));
    assert!(begin.elapsed() < Duration::from_secs(9), "it waited for nothing");
}

/// C13, C16: who takes all the connections that there are leaves the server
/// files to work with, and the apps theirs.
#[tokio::test]
async fn c13_a_crowd_of_connections_does_not_keep_doors_from_being_operated() {
    let folder = configured(json!({}));
    let mut few = std::process::Command::new("sh");
    few.args(["-c", "ulimit -n 200; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_latchlight")])
        .args(["serve", "--config"])
        .arg(folder.path().join("config.json"));
    let server = Server::start_by(few, folder);
    let mut door = Device::join(&server, "front", ACKS).await;
    let mut crowd = Vec::new();
    let mut connect = server.device("front").await;
    loop {
        connect.client_id = format!("front.{}", crowd.len()).into();
        let connect = connect.clone();
        match Connection::connect(server.mqtt(), connect).await {
            Ok((connection, _)) => crowd.push(connection),
            Err(_) => break,
        }
        assert!(crowd.len() < 200, "more than there may be");
    }
    let (answer, ()) = tokio::join!(server.post("/unlock?device=front&wait=9"), async {
        let (_, id, _) = door.hear_command().await;
        door.say(&format!("ack {id} ok")).await;
    });
    assert_eq!(answer.0, 200, "{}", answer.1);
    // A roster that changes can be saved.
    door.say("hand_shake lock").await;
    assert_eq!(door.hear().await, "ok hand_shake");
}

#[tokio::test]
async fn c5_the_same_command_id_acts_once_also_over_a_restart() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", ACKS).await;
    let id = uuid::Uuid::now_v7().to_string();
    let body = json!({ "verb": "unlock", "id": id });
    let path = "/api/v1/devices/front/commands";
    let (status, _) = server.post_json(&format!("{path}?wait=0"), body.clone()).await;
    assert_eq!(status, 202);
    assert_eq!(door.hear_command().await.1, id);
    let (_, again) = server.post_json(&format!("{path}?wait=0"), body.clone()).await;
    assert_eq!(command_of(&again), id);
    door.say(&format!("ack {id} ok")).await;
    server.ended(&id).await;
    let (status, again) = server.post_json(path, body.clone()).await;
    assert_eq!((status, &again["devices"][0]["outcome"]), (200, &json!("confirmed")));
    door.hears_nothing_for(A_WHILE).await;
    // The same id for something else is refused.
    let (status, _) = server.post_json(path, json!({ "verb": "lock", "id": id })).await;
    assert!(matches!(status, 409 | 422), "{status}");

    let server = Server::start_in(server.kill());
    let mut door = Device::join(&server, "front", ACKS).await;
    let (status, again) = server.post_json(path, body).await;
    assert_eq!((status, &again["devices"][0]["outcome"]), (200, &json!("confirmed")));
    door.hears_nothing_for(A_WHILE).await;
}

#[tokio::test]
async fn c5_who_repeats_an_id_at_the_same_time_is_told_the_same() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", ACKS).await;
    let path = "/api/v1/devices/front/commands";
    let repeat = |body: Value, wait: &str| {
        let path = format!("{path}?wait={wait}");
        let posts: Vec<_> = (0..8).map(|_| (path.clone(), body.clone())).collect();
        let server = &server;
        futures_util::future::join_all(
            posts
                .into_iter()
                .map(|(path, body)| async move { server.post_json(&path, body).await }),
        )
    };
    for _ in 0..10 {
        let id = uuid::Uuid::now_v7().to_string();
        let body = json!({ "verb": "unlock", "id": id });
        for (status, answer) in repeat(body.clone(), "0").await {
            assert_eq!((status, command_of(&answer)), (202, id.clone()));
        }
        assert_eq!(door.hear_command().await.1, id);
        door.say(&format!("ack {id} ok")).await;
        server.ended(&id).await;
        for (status, answer) in repeat(body, "0").await {
            assert_eq!((status, outcome_of(&answer)), (200, "confirmed"));
        }
        let other = json!({ "verb": "lock", "id": id });
        for (status, answer) in repeat(other, "0").await {
            assert_eq!(status, 422, "{answer}");
        }
    }
    door.hears_nothing_for(A_WHILE).await;
}

/// As it is when the disk is full: the table is not there.
#[tokio::test]
async fn c28_what_cannot_be_recorded_is_not_issued_and_an_end_is_recorded_later() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", ACKS).await;
    let mut record = Record::of(&server).await;
    let (_, answer) = server.post("/unlock?device=front&wait=0").await;
    let (_, id, _) = door.hear_command().await;
    record.take_away().await;
    assert_eq!(server.post("/unlock?device=front").await.0, 503);
    door.say(&format!("ack {id} ok")).await;
    // It is known, though it cannot be written.
    assert_eq!(command_of(&answer), id);
    assert_eq!(server.ended(&id).await["outcome"], "confirmed");
    let body = json!({ "verb": "unlock", "id": id });
    let again = server.post_json("/api/v1/devices/front/commands", body).await;
    assert_eq!((again.0, outcome_of(&again.1)), (200, "confirmed"));
    record.bring_back().await;
    record.until_ended(&id).await;
    let server = Server::start_in(server.kill());
    assert_eq!(server.ended(&id).await["outcome"], "confirmed");
    door.hears_nothing_for(A_WHILE).await;
}

/// The database of a server, from outside.
struct Record(SqliteConnection);

impl Record {
    async fn of(server: &Server) -> Self {
        let path = server.folder.path().join("data/latchlight.db");
        Self(SqliteConnectOptions::new().filename(path).connect().await.unwrap())
    }

    async fn take_away(&mut self) {
        sqlx::query("ALTER TABLE commands RENAME TO away").execute(&mut self.0).await.unwrap();
    }

    async fn bring_back(&mut self) {
        sqlx::query("ALTER TABLE away RENAME TO commands").execute(&mut self.0).await.unwrap();
    }

    async fn until_ended(&mut self, id: &str) {
        let ended = "SELECT count(*) FROM commands WHERE id = ? AND ended_at IS NOT NULL";
        let end = Instant::now() + PATIENCE;
        while sqlx::query_scalar::<_, i64>(ended).bind(id).fetch_one(&mut self.0).await.unwrap()
            == 0
        {
            assert!(Instant::now() < end, "its end is not recorded");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn c5_a_repeated_delivery_without_an_id_is_not_acted_on() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", ACKS).await;
    let mut phone = Device::connect(server.mqtt(), server.app("ann").await).await;
    phone.subscribe("latchlight/apps/ann/down", QoS::AtLeastOnce).await;
    let publish = Publish {
        dup: true,
        qos: QoS::AtLeastOnce,
        packet_id: latchlight_mqtt::PacketId::new(900),
        ..Publish::new("latchlight/apps/ann/up", "unlock front")
    };
    phone.connection.send(&Packet::Publish(publish)).await.unwrap();
    let answer = phone.hear().await;
    assert!(answer.starts_with("error unlock this may have been delivered before"), "{answer}");
    door.hears_nothing_for(A_WHILE).await;
}

#[tokio::test]
async fn c8_there_is_no_toggle_and_no_optimism() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", ACKS).await;
    let (status, _) =
        server.post_json("/api/v1/devices/front/commands", json!({ "verb": "toggle" })).await;
    assert!((400..500).contains(&status), "{status}");
    server.post("/lock?device=front&wait=0").await;
    let (_, id, _) = door.hear_command().await;
    door.say(&format!("ack {id} ok")).await;
    server.ended(&id).await;
    // It did it, but it has not said its state: that is not guessed.
    let (_, shown) = server.get("/api/v1/devices/front").await;
    assert_eq!(shown["state"], "unknown");
}

#[tokio::test]
async fn c23b_a_light_does_not_unlock_a_door_unless_config_json_grants_it() {
    let server = Server::start_with(json!({ "devices": {
        "keypad": { "grants": [{ "actions": ["unlock"], "devices": ["front"] }] }
    }}));
    let mut door = Device::join(&server, "front", ACKS).await;
    let mut lamp = Device::join(&server, "lamp", "light").await;
    let mut keypad = Device::join(&server, "keypad", "other").await;
    lamp.say("unlock front").await;
    let answer = lamp.hear().await;
    assert!(answer.starts_with("error unlock front refused"), "{answer}");
    door.hears_nothing_for(A_WHILE).await;
    // The refusal is on record.
    let (_, commands) = server.get("/api/v1/devices/front/commands").await;
    assert_eq!(commands["commands"][0]["status"], "refused");
    assert_eq!(commands["commands"][0]["issuer"], "device:lamp");
    // Who is granted it may, and just that.
    keypad.say("unlock front").await;
    let (verb, id, _) = door.hear_command().await;
    assert_eq!(verb, "unlock");
    door.say(&format!("ack {id} ok")).await;
    assert_eq!(keypad.hear().await, format!("ok unlock front confirmed {id}"));
    keypad.say("lock front").await;
    assert!(keypad.hear().await.starts_with("error lock front refused"));
}
