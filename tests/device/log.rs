//! What strangers say, as it stands in the log.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use latchlight_mqtt::{Connect, ProtocolVersion};
use serde_json::json;

use crate::harness::Device;

#[tokio::test]
async fn what_strangers_say_makes_no_lines_of_its_own_in_the_log() {
    let folder = tempfile::TempDir::new().unwrap();
    let listen = json!({ "listen": "127.0.0.1:0" });
    let config = json!({ "settings": { "http": listen, "mqtt": listen } });
    let path = folder.path().join("config.json");
    std::fs::write(&path, config.to_string()).unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_latchlight"))
        .args(["serve", "--config"])
        .arg(&path)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines().map(Result::unwrap);
    let ready = lines.find(|line| line.contains("latchlight is ready")).unwrap();
    let (_, mqtt) = ready.split_once("mqtt=").unwrap();
    let mqtt = mqtt.split_whitespace().next().unwrap();

    let connect = Connect::new(ProtocolVersion::V5, "mallory\nforged \u{1b}[31m");
    let mut mallory = Device::connect(mqtt, connect).await;
    mallory.subscribe("latchlight/devices/front/down", latchlight_mqtt::QoS::AtLeastOnce).await;
    for (topic, payload, retain) in [
        ("latchlight/devices/x\nforged/down", "unlock", false),
        ("latchlight/devices/front/up", "unlock", true),
        ("latchlight/devices/front/up", r#"hand_shake lock {"\nforged": 1}"#, false),
        ("latchlight/devices/front/up", "hand_shake\nforged", false),
        ("latchlight/devices/front/up", "hand_shake lock", false),
        ("latchlight/devices/front/up", r#"state locked {"\nforged": 1}"#, false),
        ("latchlight/devices/front/up", "x\nforged", false),
    ] {
        mallory.publish(topic, payload, retain).await;
    }
    while mallory.hear().await != "unknown x" {}
    server.kill().unwrap();
    server.wait().unwrap();
    let rest: Vec<String> = lines.collect();
    assert!(rest.iter().any(|line| line.contains("forged")), "it is logged: {rest:#?}");
    for line in rest {
        let is_own = line.starts_with("20") && !line.contains('\u{1b}');
        assert!(is_own, "{line:?}");
    }
}
