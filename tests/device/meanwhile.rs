//! What changes while something waits: who may no more is asked about again.

use std::io::Cursor;
use std::time::Duration;

use bytes::Bytes;
use latchlight_client::{Connection, ConnectionError};
use latchlight_mqtt::{Connect, ProtocolVersion, QoS, ReasonCode};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;

use crate::harness::{Device, PASSWORD, PATIENCE, Server, command_of, open_house, outcome_of};
use crate::identities::{joining, pair, shows, walk};
use crate::secrets;

const A_WHILE: Duration = Duration::from_millis(200);

/// A guest who may unlock the front door; gives its access token.
async fn guest(server: &Server) -> String {
    let guest = json!({
        "name": "guest", "role": "guest", "password": PASSWORD,
        "grants": [{ "actions": ["unlock"], "devices": ["front"] }],
    });
    assert_eq!(server.post_json("/api/v1/users", guest).await.0, 201);
    let form = [("grant_type", "password"), ("username", "guest"), ("password", PASSWORD)];
    let request = reqwest::Client::new().post(format!("{}/oauth/token", server.http)).form(&form);
    let granted: Value = request.send().await.unwrap().json().await.unwrap();
    granted["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn c23_a_command_that_waited_is_not_sent_for_a_guest_who_is_out_meanwhile() {
    let server = Server::start();
    let mut front = Device::join(&server, "front", r#"lock {"features":["ack"]}"#).await;
    let token = guest(&server).await;
    let (_, first) = server.post("/unlock?device=front&wait=0").await;
    let (_, id, _) = front.hear_command().await;
    let unlock = reqwest::Client::new().post(format!("{}/unlock?device=front&wait=0", server.http));
    let second: Value = unlock.bearer_auth(token).send().await.unwrap().json().await.unwrap();
    assert_eq!(outcome_of(&second), "pending", "{second}");
    let disable = server.request(Method::PATCH, "/api/v1/users/guest").await;
    let disabled = disable.json(&json!({ "disabled": true })).send().await.unwrap();
    assert_eq!(disabled.status(), 200);
    front.say(&format!("ack {id} ok")).await;
    assert_eq!(server.ended(&command_of(&first)).await["status"], "confirmed");
    let ended = server.ended(&command_of(&second)).await;
    assert_eq!((&ended["status"], &ended["sent_at"]), (&json!("refused"), &Value::Null));
    assert!(ended["detail"].as_str().unwrap().contains("is closed"), "{ended}");
    front.hears_nothing_for(A_WHILE).await;
}

/// A picture that takes its time: few bytes, and as many pixels as may be.
fn slow_picture() -> Bytes {
    let mut png = Cursor::new(Vec::new());
    image::GrayImage::new(4000, 4000).write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner().into()
}

#[tokio::test]
async fn c11_words_that_waited_are_not_acted_on_when_their_device_is_revoked_meanwhile() {
    let grant = json!([{ "actions": ["unlock"], "devices": ["front"] }]);
    let settings = json!({ "devices": { "remote": { "grants": grant } } });
    let server = Server::start_with(settings);
    let mut front = Device::join(&server, "front", "lock").await;
    let mut remote = Device::join(&server, "remote", "camera").await;
    remote.say("unlock front").await;
    assert_eq!(front.hear_command().await.0, "unlock");
    front.say("state unlocked").await;
    assert!(remote.hear().await.starts_with("ok unlock front confirmed"));
    let at = |leaf| format!("latchlight/devices/remote/{leaf}");
    remote
        .publish_at_once(vec![
            (at("picture"), slow_picture()),
            (at("up"), Bytes::from_static(b"unlock front")),
        ])
        .await;
    server.device_when("remote", |remote| remote["online"] == true).await;
    assert_eq!(server.delete("/api/v1/devices/remote/credentials").await, 204);
    loop {
        let line = server.logged("not taken").await;
        if line["speaker"] == "device:remote" {
            let why = line["why"].as_str().unwrap();
            assert_eq!(why, "unlock: its credentials were revoked");
            break;
        }
    }
    front.hears_nothing_for(A_WHILE).await;
    let (_, events) = server.get("/api/v1/events?kind=refusal").await;
    assert!(events.to_string().contains("its credentials were revoked"), "{events}");
}

#[tokio::test]
async fn c22_c30_a_code_said_over_mqtt_is_refused_and_stands_nowhere() {
    const CODE: &str = "730198";
    let server = Server::start_with(json!({ "log": { "level": "debug" } }));
    let mut front = Device::join(&server, "front", "lock").await;
    let mut phone = Device::connect(server.mqtt(), server.app("phone").await).await;
    phone.subscribe("latchlight/apps/phone/down", QoS::AtLeastOnce).await;
    for rest in [
        CODE.to_owned(),
        format!("front {CODE}"),
        format!("{CODE} front"),
        format!(r#"{{"device": "{CODE}"}}"#),
        format!(r#"{{"device": {CODE}}}"#),
        format!(r#"{{"device": "front", "pin": "{CODE}"}}"#),
        format!(r#"{{"device": "front", "id": "{CODE}"}}"#),
    ] {
        phone.publish("latchlight/apps/phone/up", format!("unlock {rest}"), false).await;
        let answer = phone.hear().await;
        assert!(answer.starts_with("error unlock ") && !answer.contains(CODE), "{answer}");
    }
    for words in ["unlock", "state", "hand_shake", "ack", "find_stranger"] {
        front.say(&format!("{words} {CODE}")).await;
    }
    front.say("last").await;
    while front.hear().await != "unknown last" {}
    let (_, events) = server.get("/api/v1/events?limit=100").await;
    assert!(!events.to_string().contains(CODE), "{events}");
    let folder = server.folder.path().to_owned();
    for file in walk(&folder) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        assert!(!bytes.windows(CODE.len()).any(|part| part == CODE.as_bytes()), "{file:?}");
    }
    for line in server.stop_and_read_log().await {
        assert!(!line.to_string().contains(CODE), "{line}");
    }
}

async fn refusal(server: &Server, connect: Connect) -> Option<ReasonCode> {
    match Connection::connect(server.mqtt(), connect).await {
        Ok(_) => None,
        Err(ConnectionError::Refused(reason)) => Some(reason),
        Err(error) => panic!("{error}"),
    }
}

/// Somebody of the ledger, who needs no name.
fn of_ledger(client_id: &str) -> Connect {
    Connect::new(ProtocolVersion::V5, client_id)
}

#[tokio::test]
async fn c10_first_credentials_end_the_session_that_sits_on_the_devices_client_id() {
    let server = Server::start_with(open_house());
    let app = server.app("garage").await;
    let mut of_app = Device::connect(server.mqtt(), app.clone()).await;
    let mut ledger = Device::connect(server.mqtt(), of_ledger("barn.2")).await;
    let garage = server.device("garage").await;
    let barn = server.device("barn.2").await;
    of_app.connection.closed_within(PATIENCE).await.unwrap();
    ledger.connection.closed_within(PATIENCE).await.unwrap();
    Device::connect(server.mqtt(), garage).await;
    Device::connect(server.mqtt(), barn).await;
    assert_eq!(refusal(&server, app).await, Some(ReasonCode::ClientIdentifierNotValid));
}

#[tokio::test]
async fn c10_nobody_of_another_sort_takes_a_session_over_whoever_both_are() {
    let server = Server::start_with(open_house());
    let code = pair(&server).await;
    let (device, app) = (server.device("front").await, server.app("phone").await);
    let secret = secrets::of_app(&server.config_path(), "phone.two").await;
    let other = shows(Connect::new(ProtocolVersion::V5, "phone.two"), "phone.two", &secret);
    let all =
        [device.clone(), app.clone(), other.clone(), of_ledger("sensor"), joining("shed", &code)];
    let mut held = Vec::new();
    for connect in &all {
        held.push(Device::connect(server.mqtt(), connect.clone()).await);
    }
    for (at, holder) in all.iter().enumerate() {
        for (number, taker) in all.iter().enumerate() {
            if at == number {
                continue;
            }
            let taker = Connect { client_id: holder.client_id.clone(), ..taker.clone() };
            let reason = refusal(&server, taker.clone()).await;
            assert!(reason.is_some(), "{:?} as {:?}", taker.username, taker.client_id);
        }
    }
    // Those names stay free for whose they are while these are away.
    for name in ["front", "phone", "phone.two", "phone.3"] {
        assert!(refusal(&server, of_ledger(name)).await.is_some(), "{name}");
    }
    let two = Connect { client_id: "phone.two".into(), ..app };
    assert!(refusal(&server, two).await.is_some(), "another account's");
    let two = Connect { client_id: "phone.two.1".into(), ..other };
    assert!(refusal(&server, two).await.is_none());
    for holder in &mut held {
        holder.connection.send(&latchlight_mqtt::Packet::PingReq).await.unwrap();
        let answer = holder.connection.receive_within(PATIENCE).await.unwrap();
        assert_eq!(answer, latchlight_mqtt::Packet::PingResp, "its session is whole");
    }
}

/// Holds the database's one place for writers, as a disk does that is slow.
struct SlowDisk(sqlx::SqliteConnection);

impl SlowDisk {
    async fn hold(server: &Server) -> Self {
        let file = server.folder.path().join("data/latchlight.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let mut connection = options.connect().await.unwrap();
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
        Self(connection)
    }

    async fn release(mut self) {
        sqlx::query("ROLLBACK").execute(&mut self.0).await.unwrap();
    }
}

#[tokio::test]
async fn c21_nobody_joins_after_pairing_was_closed_not_even_who_waited_for_the_disk() {
    let server = Server::start();
    let code = pair(&server).await;
    let mut shed = Device::connect(server.mqtt(), joining("shed", &code)).await;
    shed.subscribe("latchlight/join/shed/down", QoS::AtLeastOnce).await;
    server.get("/api/v1/pairing").await;
    let disk = SlowDisk::hold(&server).await;
    shed.publish("latchlight/join/shed/up", "hand_shake lock", false).await;
    server.device_when("shed", |_| true).await;
    let closing = server.delete("/api/v1/pairing");
    let releasing = async {
        while server.get("/api/v1/pairing").await.1["open"] == true {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        disk.release().await;
    };
    let (status, ()) = tokio::join!(closing, releasing);
    assert_eq!(status, 204);
    shed.connection.closed_within(PATIENCE).await.unwrap();
    let end = tokio::time::Instant::now() + PATIENCE;
    while server.get("/api/v1/devices/shed").await.0 != 404 {
        assert!(tokio::time::Instant::now() < end, "it has joined");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(server.get("/api/v1/devices/shed/credentials").await.0, 404);
    // That it joined is on record by then; and so is that it has not after all.
    let told = loop {
        let (_, events) = server.get("/api/v1/events?kind=device&device=shed").await;
        let events = events["events"].as_array().unwrap().clone();
        if events.len() > 1 {
            break events;
        }
        assert!(tokio::time::Instant::now() < end, "{events:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!((&told[0]["action"], &told[1]["action"]), (&"remove".into(), &"join".into()));
    assert_eq!(told[0]["detail"], "it has not joined after all: pairing is over");
}

#[tokio::test]
async fn c9_no_device_takes_a_base_topic_that_the_ledger_gives_to_others() {
    let folder = tempfile::TempDir::new().unwrap();
    let ledger = folder.path().join("ledger.yaml");
    let rules = "auth: [{remote: 127.0.0.1, allow: true}]\n\
                 acl: [{filters: {'heating/#': read-write, 'sensors/+/up': write-only, \
                 '#': read-only}}]\n";
    std::fs::write(&ledger, rules).unwrap();
    let server = Server::start_with(json!({ "mqtt": { "ledger": ledger } }));
    let mut garage = Device::join(&server, "garage", "lock").await;
    for base in ["heating", "heating/boiler", "sensors/garage"] {
        garage.say(&format!("hand_shake lock {{\"base\": \"{base}\"}}")).await;
        let why = format!(
            "error hand_shake the base topic `{base}` is one that mqtt.ledger gives to others"
        );
        assert_eq!(garage.hear().await, why);
    }
    let mut boiler = Device::connect(server.mqtt(), of_ledger("boiler")).await;
    assert!(!boiler.publish("heating/boiler/up", "62", false).await.is_error());
    // What is read by a wildcard alone is nobody's.
    garage.say("hand_shake lock {\"base\": \"yard/garage\"}").await;
    assert_eq!(garage.hear().await, "ok hand_shake");
}
