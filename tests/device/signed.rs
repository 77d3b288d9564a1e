//! Signed commands: who checks them obeys nobody but the server, and nothing
//! twice.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use jiff::Timestamp;
use latchlight_client::{CommandKey, InvalidCommand, SignedCommand};
use latchlight_mqtt::{Connect, ProtocolVersion, QoS};
use serde_json::{Value, json};

use crate::harness::{Device, PATIENCE, Server, command_of, outcome_of};
use crate::identities::{joining, pair, shows, walk};
use crate::mosquitto::Mosquitto;

const FRONT: &str = "/api/v1/devices/front/credentials";
const SIGNED: &str = r#"hand_shake lock {"features": ["ack", "signed"]}"#;

/// A device that checks what it is told.
pub(crate) struct Checking {
    device: Device,
    key: CommandKey,
    /// What it remembers over a restart.
    last: i64,
}

/// Makes signed credentials; gives the CONNECT that shows them, and the key.
async fn credentials(server: &Server, id: &str) -> (Connect, String) {
    let path = format!("/api/v1/devices/{id}/credentials");
    let (status, issued) = server.post_json(&path, json!({ "kind": "lock", "signed": true })).await;
    assert_eq!(status, 201, "{issued}");
    let connect = Connect::new(ProtocolVersion::V5, id);
    let connect = shows(connect, id, issued["password"].as_str().unwrap());
    (connect, issued["command_key"].as_str().unwrap().to_owned())
}

impl Checking {
    async fn join(address: &str, connect: Connect, key: &str, hand_shake: &str) -> Self {
        let mut device = Device::connect(address, connect).await;
        device.listen(QoS::AtLeastOnce).await;
        let key = key.parse().unwrap();
        device.say(hand_shake).await;
        assert_eq!(device.hear().await, "ok hand_shake");
        Self { device, key, last: 0 }
    }

    /// The next command, as it was heard, and what the check finds.
    async fn hear(&mut self) -> (String, Result<SignedCommand, InvalidCommand>) {
        let heard = self.device.hear().await;
        let now = Timestamp::now().as_second();
        let checked = self.key.check(heard.as_bytes(), self.last, now);
        if let Ok(command) = &checked {
            self.last = command.counter;
        }
        (heard, checked)
    }

    /// Does as many unlocks as it is asked for; gives their counters.
    async fn obey(&mut self, server: &Server, times: usize) -> Vec<i64> {
        let mut counters = Vec::new();
        for _ in 0..times {
            let asking = server.post("/unlock?device=front&wait=8");
            let obeying = async {
                let (heard, checked) = self.hear().await;
                let command = checked.unwrap_or_else(|why| panic!("{heard}: {why}"));
                assert_eq!(command.verb, "unlock");
                self.device.say(&format!("ack {} ok", command.id)).await;
                (command, heard)
            };
            let ((_, answer), (command, _)) = tokio::join!(asking, obeying);
            assert_eq!(outcome_of(&answer), "confirmed");
            assert_eq!(command_of(&answer), command.id);
            counters.push(command.counter);
        }
        counters
    }
}

#[tokio::test]
async fn c6_a_signed_command_is_genuine_once_and_its_counter_rises_over_every_kill() {
    let mut server = Server::start();
    let (connect, key) = credentials(&server, "front").await;
    let mut counters = Vec::new();
    for _ in 0..3 {
        let mut front = Checking::join(server.mqtt(), connect.clone(), &key, SIGNED).await;
        front.last = counters.last().copied().unwrap_or_default();
        counters.extend(front.obey(&server, 2).await);
        // In the middle of the third.
        let (_, answer) = server.post("/unlock?device=front&wait=0").await;
        let (heard, checked) = front.hear().await;
        let command = checked.unwrap();
        assert_eq!(command.id, command_of(&answer));
        counters.push(command.counter);
        assert_eq!(
            front.key.check(heard.as_bytes(), front.last, command.expires),
            Err(InvalidCommand::Replayed)
        );
        assert_eq!(
            front.key.check(heard.as_bytes(), 0, command.expires + 1),
            Err(InvalidCommand::Expired)
        );
        server = Server::start_in(server.kill());
    }
    assert!(counters.is_sorted_by(|before, after| before < after), "{counters:?}");
}

#[tokio::test]
async fn c6_nobody_on_an_outside_broker_talks_a_device_out_of_signatures() {
    let mosquitto = Mosquitto::start();
    let broker = format!("mqtt://{}", mosquitto.address());
    let server = Server::start_with(json!({ "mqtt": { "broker": broker } }));
    let (_, key) = credentials(&server, "front").await;
    let (address, connect) =
        (mosquitto.address(), |id: &str| Connect::new(ProtocolVersion::V5, id));
    let mut front = Checking::join(&address, connect("front"), &key, SIGNED).await;
    front.obey(&server, 1).await;
    // Whoever is on the broker says in its name that it does not check.
    let mut mallory = Device::connect(&address, connect("mallory")).await;
    let up = "latchlight/devices/front/up";
    mallory.publish(up, "hand_shake lock {\"features\": [\"ack\"]}", false).await;
    assert_eq!(front.device.hear().await, "ok hand_shake");
    server.device_when("front", |front| front["features"]["signed"] == false).await;
    front.obey(&server, 1).await;

    // A command of its own making, and one that was heard with something altered.
    let (_, answer) = server.post("/unlock?device=front&wait=0").await;
    let (heard, checked) = front.hear().await;
    assert_eq!(checked.unwrap().id, command_of(&answer));
    let down = "latchlight/devices/front/down";
    let altered = heard.replacen("unlock", "lock", 1);
    for (forged, why) in [
        (heard.as_str(), InvalidCommand::Replayed),
        (&altered, InvalidCommand::Signature),
        ("unlock 01a1fd77-5902-7745-a635-92e1e9c0a60b 4102444800", InvalidCommand::Form),
    ] {
        mallory.publish(down, forged.to_owned(), false).await;
        assert_eq!(front.hear().await, (forged.to_owned(), Err(why)));
    }
}

#[tokio::test]
async fn a_device_that_wants_signatures_and_has_no_key_is_told_so_and_gets_no_command() {
    let mosquitto = Mosquitto::start();
    let broker = format!("mqtt://{}", mosquitto.address());
    let server = Server::start_with(json!({ "mqtt": { "broker": broker } }));
    let connect = Connect::new(ProtocolVersion::V5, "front");
    let mut front = Device::connect(&mosquitto.address(), connect).await;
    front.listen(QoS::AtLeastOnce).await;
    front.say(SIGNED).await;
    let why = "error hand_shake it wants signed commands and has no key: give it new \
               credentials, with `signed`";
    assert_eq!(front.hear().await, why);
    credentials(&server, "front").await;
    front.say(SIGNED).await;
    assert_eq!(front.hear().await, "ok hand_shake");
    // What it has shown before is taken back, and it still takes signed ones alone.
    assert_eq!(server.delete(FRONT).await, 204);
    let (status, answer) = server.post("/unlock?device=front").await;
    assert_eq!((status, outcome_of(&answer)), (409, "refused"));
    let detail = answer["devices"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("takes signed commands only"), "{detail}");
    front.hears_nothing_for(std::time::Duration::from_millis(200)).await;
}

#[tokio::test]
async fn c30_a_device_that_joins_by_a_code_gets_its_key_and_nothing_else_tells_it() {
    let server = Server::start_with(json!({ "log": { "level": "debug" } }));
    let code = pair(&server).await;
    let mut shed = Device::connect(server.mqtt(), joining("shed", &code)).await;
    shed.subscribe("latchlight/join/shed/down", QoS::AtLeastOnce).await;
    shed.publish("latchlight/join/shed/up", SIGNED, false).await;
    let told = shed.hear().await;
    let told: Value = serde_json::from_str(told.strip_prefix("ok hand_shake ").unwrap()).unwrap();
    let key = told["command_key"].as_str().unwrap();
    shed.connection.closed_within(PATIENCE).await.unwrap();
    let connect = Connect::new(ProtocolVersion::V311, "shed");
    let connect = shows(connect, "shed", told["password"].as_str().unwrap());
    let mut shed = Checking::join(server.mqtt(), connect, key, SIGNED).await;
    let asking = server.post("/lock?device=shed&wait=8");
    let obeying = async {
        let command = shed.hear().await.1.unwrap();
        shed.device.say(&format!("ack {} ok", command.id)).await;
    };
    let ((status, _), ()) = tokio::join!(asking, obeying);
    assert_eq!(status, 200);
    let (_, device) = server.get("/api/v1/devices/shed").await;
    assert_eq!(device["credentials"]["signed"], true);
    // A new key takes the place of the old one, though nobody asks for it again.
    let (_, issued) = server.post_json("/api/v1/devices/shed/credentials", json!({})).await;
    let new = issued["command_key"].as_str().unwrap().to_owned();
    assert_ne!(new, key);
    let folder = server.folder.path().to_owned();
    let hidden = |bytes: &[u8]| {
        let bytes = String::from_utf8_lossy(bytes);
        [key, &new].iter().all(|key| !bytes.contains(*key))
    };
    // The server's own socket is among them, and has nothing to read.
    for file in walk(&folder) {
        assert!(hidden(&std::fs::read(&file).unwrap_or_default()), "{} has a key", file.display());
    }
    for line in server.stop_and_read_log().await {
        assert!(hidden(line.to_string().as_bytes()), "{line}");
    }
}

#[tokio::test]
async fn simulated_devices_check_their_commands_by_keys_on_an_outside_broker_too() {
    let mosquitto = Mosquitto::start();
    let outside = format!("mqtt://{}", mosquitto.address());
    for broker in [None, Some(outside)] {
        let settings =
            broker.as_ref().map_or(json!({}), |url| json!({ "mqtt": { "broker": url } }));
        let server = Server::start_with(settings);
        let mut fleet = Command::new(env!("CARGO_BIN_EXE_latchlight"));
        fleet.args(["simulate", "--signed", "--cameras", "0", "--lights", "0", "--motor", "20"]);
        fleet.arg("--config").arg(server.config_path());
        fleet.args(broker.iter().flat_map(|url| ["--broker", url]));
        let mut child = fleet.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        server.device_when("lock-1", |lock| lock["features"]["signed"] == true).await;
        server.device_when("lock-1", |lock| lock["state"] == "locked").await;
        let (status, answer) = server.post("/unlock?device=lock-1&wait=8").await;
        assert_eq!((status, outcome_of(&answer)), (200, "confirmed"), "{answer}");
        if broker.is_some() {
            let connect = Connect::new(ProtocolVersion::V5, "mallory");
            let mut mallory = Device::connect(&mosquitto.address(), connect).await;
            let forged = "unlock 01a1fd77-5902-7745-a635-92e1e9c0a60b 4102444800";
            mallory.publish("latchlight/devices/lock-1/down", forged, false).await;
            let ignored = "ignored unlock: it is not of the form of a signed command";
            assert!(lines.any(|line| line.ends_with(ignored)));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
