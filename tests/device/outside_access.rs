//! The access rules that docs/outside-brokers/ ships, on a real mosquitto: what
//! they must let through, and what they must refuse (C1, C9, C10).

use std::fs;
use std::path::Path;
use std::process::Command;

use latchlight_client::{Connection, ConnectionError};
use latchlight_mqtt::{Connect, ProtocolVersion, QoS, ReasonCode, Will};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Device, Server};
use crate::mosquitto::Mosquitto;

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/outside-brokers/mosquitto.acl");

/// A mosquitto under these rules, with a password for each user: its name,
/// backwards.
struct Guarded {
    mosquitto: Mosquitto,
    _folder: TempDir,
}

impl Guarded {
    fn start(rules: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        let passwords = folder.path().join("passwords");
        let users = ["latchlight", "front", "back", "porch", "phone"];
        let lines: Vec<_> = users.iter().map(|user| format!("{user}:{}", secret(user))).collect();
        fs::write(&passwords, lines.join("\n") + "\n").unwrap();
        let hashed = Command::new("mosquitto_passwd").arg("-U").arg(&passwords).status();
        assert!(hashed.unwrap().success());
        let lines = format!(
            "allow_anonymous false\nuse_username_as_clientid true\npassword_file {}\nacl_file {}",
            passwords.display(),
            rules.display()
        );
        Self { mosquitto: Mosquitto::start_with(&lines, &[]), _folder: folder }
    }

    fn server(&self) -> Server {
        let mqtt = json!({
            "broker": format!("mqtt://{}", self.mosquitto.address()),
            "username": "latchlight",
            "password": secret("latchlight"),
        });
        let devices = json!({ "front": { "alerts": ["porch"] } });
        Server::start_with(json!({ "mqtt": mqtt, "devices": devices }))
    }

    async fn sign_in(&self, user: &str) -> Device {
        Device::connect(&self.mosquitto.address(), credentials(user)).await
    }

    /// A device that listens and has joined.
    async fn join(&self, id: &str, hand_shake: &str) -> Device {
        let mut device = self.sign_in(id).await;
        device.listen(QoS::AtLeastOnce).await;
        device.say(&format!("hand_shake {hand_shake}")).await;
        assert_eq!(device.hear().await, "ok hand_shake");
        device
    }
}

fn secret(user: &str) -> String {
    user.chars().rev().collect()
}

fn credentials(user: &str) -> Connect {
    Connect {
        username: Some(user.into()),
        password: Some(secret(user).into()),
        ..Connect::new(ProtocolVersion::V5, user)
    }
}

#[tokio::test]
async fn under_the_shipped_rules_devices_and_the_server_do_their_work() {
    let guarded = Guarded::start(Path::new(RULES));
    let server = guarded.server();
    server.logged("connected to the broker").await;
    let mut front = guarded.join("front", r#"lock {"features": ["ack", "alerts"]}"#).await;
    let online = front.publish("latchlight/devices/front/online", "online", true).await;
    assert!(!online.is_error(), "{online:?}");
    front.say("state unlocked").await;
    server.device_when("front", |d| d["state"] == "unlocked" && d["online"] == true).await;

    let (answer, ()) = tokio::join!(server.post("/lock?device=front&wait=8"), async {
        let (verb, command, _) = front.hear_command().await;
        assert_eq!(verb, "lock");
        front.say("state locked").await;
        front.say(&format!("ack {command} ok")).await;
    });
    assert_eq!((answer.0, &answer.1["devices"][0]["outcome"]), (200, &json!("confirmed")));

    // A camera's picture, and the alert of it.
    let mut porch = guarded.join("porch", "camera").await;
    let mut picture = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(8, 8).write_to(&mut picture, image::ImageFormat::Png).unwrap();
    porch.publish("latchlight/devices/porch/picture", picture.into_inner(), false).await;
    assert!(porch.hear().await.starts_with("ok picture "));
    porch.say("find_stranger").await;
    assert!(porch.hear().await.starts_with("ok find_stranger "));
    assert!(front.hear().await.starts_with("alert stranger "));

    let message = json!({ "topic": "messages/garden", "payload": "water the roses" });
    let (status, answer) = server.post_json("/messaging/send", message).await;
    assert_eq!(status, 201, "{answer}");
}

#[tokio::test]
async fn under_the_shipped_rules_a_device_says_nothing_elsewhere() {
    let guarded = Guarded::start(Path::new(RULES));
    let server = guarded.server();
    server.logged("connected to the broker").await;
    let mut back = guarded.join("back", "lock").await;
    let mut front = guarded.join("front", "lock").await;
    for topic in [
        "latchlight/devices/back/up",
        "latchlight/devices/back/online",
        "latchlight/devices/back/picture",
        "latchlight/devices/back/down",
        "latchlight/devices/front/down",
        "latchlight/devices/front/state",
        "latchlight/devices/back/state",
        "latchlight/devices/front/up/more",
        "latchlight/alerts/stranger",
        "latchlight/server/online",
        "latchlight/apps/phone/up",
        "latchlight/apps/front/up",
        "latchlight/apps/phone/down",
        "elsewhere",
    ] {
        for retain in [false, true] {
            let reason = front.publish(topic, "unlock", retain).await;
            assert_eq!(reason, ReasonCode::NotAuthorized, "{topic}");
        }
    }
    // Nor by a last will, which a second connection brings about.
    let will = Will {
        topic: "latchlight/devices/back/down".try_into().unwrap(),
        payload: "unlock".into(),
        qos: QoS::AtLeastOnce,
        retain: false,
        properties: Default::default(),
    };
    let connect = Connect { will: Some(will), ..credentials("porch") };
    let _gone = Device::connect(&guarded.mosquitto.address(), connect).await;
    let _here = guarded.sign_in("porch").await;
    // What comes next is an answer: nothing of all that came before.
    back.say("report").await;
    assert!(back.hear().await.starts_with("error report "));
}

#[tokio::test]
async fn under_the_shipped_rules_a_device_hears_nothing_of_others() {
    let guarded = Guarded::start(Path::new(RULES));
    let server = guarded.server();
    server.logged("connected to the broker").await;
    let mut back = guarded.join("back", r#"lock {"features": ["ack"]}"#).await;
    let mut front = guarded.join("front", "lock").await;
    // mosquitto takes any subscription, and asks its rules at each delivery.
    for filter in [
        "#",
        "latchlight/#",
        "+/+/+/+",
        "latchlight/devices/back/#",
        "latchlight/devices/+/down",
        "latchlight/devices/+/state",
        "latchlight/alerts/+",
        "latchlight/apps/+/up",
        "$share/us/latchlight/devices/+/up",
        "$SYS/#",
    ] {
        front.subscribe(filter, QoS::AtLeastOnce).await;
    }
    back.say("state unlocked").await;
    server.device_when("back", |device| device["state"] == "unlocked").await;
    let (answer, ()) = tokio::join!(server.post("/lock?device=back&wait=8"), async {
        let (_, command, _) = back.hear_command().await;
        back.say(&format!("ack {command} ok")).await;
    });
    assert_eq!(answer.0, 200, "{}", answer.1);
    // What comes next is its own: nothing was heard before.
    front.say("report").await;
    loop {
        let heard = front.hear_publish().await;
        assert_eq!(&*heard.topic, "latchlight/devices/front/down");
        if heard.payload.starts_with(b"error report ") {
            break;
        }
    }
}

#[tokio::test]
async fn under_the_shipped_rules_only_who_is_named_as_an_app_operates_doors() {
    let shipped = fs::read_to_string(RULES).unwrap();
    let folder = TempDir::new().unwrap();
    let rules = folder.path().join("with_an_app.acl");
    let named = shipped.replace("#user ", "user ").replace("#topic ", "topic ");
    fs::write(&rules, named).unwrap();

    let guarded = Guarded::start(Path::new(RULES));
    let mut phone = guarded.sign_in("phone").await;
    let reason = phone.publish("latchlight/apps/phone/up", "lock front", false).await;
    assert_eq!(reason, ReasonCode::NotAuthorized);

    let guarded = Guarded::start(&rules);
    let server = guarded.server();
    server.logged("connected to the broker").await;
    // Who an app is, the broker says; that there is such an account, we do.
    server.app("phone").await;
    let mut front = guarded.join("front", r#"lock {"features": ["ack"]}"#).await;
    let mut phone = guarded.sign_in("phone").await;
    phone.subscribe("latchlight/apps/phone/down", QoS::AtLeastOnce).await;
    phone.subscribe("latchlight/devices/+/state", QoS::AtLeastOnce).await;
    let state = phone.hear_publish().await;
    assert_eq!(&*state.topic, "latchlight/devices/front/state");
    for topic in ["latchlight/devices/front/down", "latchlight/devices/front/state"] {
        assert_eq!(phone.publish(topic, "unlock", false).await, ReasonCode::NotAuthorized);
    }
    phone.publish("latchlight/apps/phone/up", "lock front", false).await;
    let (verb, command, _) = front.hear_command().await;
    assert_eq!(verb, "lock");
    front.say(&format!("ack {command} ok")).await;
    let answer = loop {
        let heard = phone.hear_publish().await;
        if &*heard.topic == "latchlight/apps/phone/down" {
            break heard;
        }
    };
    assert!(answer.payload.starts_with(b"ok lock"), "{:?}", answer.payload);
}

#[tokio::test]
async fn under_the_shipped_settings_nobody_takes_anothers_session() {
    let guarded = Guarded::start(Path::new(RULES));
    let server = guarded.server();
    server.logged("connected to the broker").await;
    let mut front = guarded.join("front", "lock").await;
    let impostor = Connect { client_id: "front".into(), ..credentials("back") };
    let _impostor = Device::connect(&guarded.mosquitto.address(), impostor).await;
    let nobody = Connect::new(ProtocolVersion::V5, "front");
    let refused = Connection::connect(&guarded.mosquitto.address(), nobody).await;
    assert!(matches!(refused, Err(ConnectionError::Refused(_))), "without a password");
    front.say("report").await;
    assert!(front.hear().await.starts_with("error report "));
}

#[tokio::test]
async fn a_server_that_is_refused_says_so() {
    let guarded = Guarded::start(Path::new(RULES));
    for protocol in ["5", "3.1.1"] {
        let server = Server::start_with(json!({ "mqtt": {
            "broker": format!("mqtt://{}", guarded.mosquitto.address()),
            "protocol": protocol,
            "username": "latchlight",
            "password": "wrong",
        } }));
        let line = server.logged("connect to the broker").await;
        let why: &Value = &line["error"];
        assert!(why.as_str().unwrap().starts_with("the broker refuses: Not"), "{protocol}: {why}");
    }
}
