//! The clients that people use: mosquitto's, and Python's paho-mqtt; and the
//! whole server on a real mosquitto.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Server};
use crate::mosquitto::Mosquitto;
use crate::process::Process;
use crate::secrets;

const DOOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/device/paho_door.py");

pub(crate) fn host_and_port(address: &str) -> (&str, &str) {
    address.rsplit_once(':').unwrap()
}

/// `var/venv`, which script/bootstrap makes.
pub(crate) fn python() -> Command {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("var/venv/bin/python");
    assert!(venv.exists(), "python's paho-mqtt is needed: run script/bootstrap");
    Command::new(venv)
}

pub(crate) fn paho_door(address: &str, version: &str) -> Process {
    let (host, port) = host_and_port(address);
    Process::spawn(python().arg(DOOR).args([host, port, version, "front"]))
}

/// The same on the server's own broker.
async fn paho_door_of(server: &Server, version: &str) -> Process {
    let (host, port) = host_and_port(server.mqtt());
    let mut door = python();
    door.env("DOOR_PASSWORD", secrets::of_device(&server.config_path(), "front").await);
    Process::spawn(door.arg(DOOR).args([host, port, version, "front"]))
}

/// The same over TLS, trusting this authority.
pub(crate) fn paho_door_over_tls(address: &str, authority: &Path) -> Process {
    let (host, port) = host_and_port(address);
    Process::spawn(python().arg(DOOR).args([host, port, "5", "front"]).arg(authority))
}

/// The same over the server's own TLS.
pub(crate) async fn paho_door_of_over_tls(
    server: &Server,
    address: &str,
    authority: &Path,
) -> Process {
    let (host, port) = host_and_port(address);
    let mut door = python();
    door.env("DOOR_PASSWORD", secrets::of_device(&server.config_path(), "front").await);
    Process::spawn(door.arg(DOOR).args([host, port, "5", "front"]).arg(authority))
}

pub(crate) async fn operate(server: &Server) {
    server.device_when("front", |d| d["state"] == "unlocked" && d["online"] == true).await;
    let (status, answer) = server.post("/lock?device=front&wait=8").await;
    assert_eq!((status, &answer["devices"][0]["outcome"]), (200, &json!("confirmed")), "{answer}");
    server.device_when("front", |device| device["state"] == "locked").await;
}

#[tokio::test]
async fn a_door_of_mosquitto_clients_is_locked_from_http() {
    let server = Server::start();
    let (host, port) = host_and_port(server.mqtt());
    let secret = secrets::of_device(&server.config_path(), "front").await;
    let to = format!("-h {host} -p {port} -V mqttv311 -u front -P {secret} -q 1");
    let shell = format!(
        "mosquitto_sub {to} -i front -t latchlight/devices/front/down | \
         while read -r verb command expires; do case $verb in \
           ok) mosquitto_pub {to} -i front.1 -t latchlight/devices/front/up -m 'state unlocked';; \
           lock) mosquitto_pub {to} -i front.1 -t latchlight/devices/front/up -m 'state locked';; \
         esac; done"
    );
    let _door = Process::spawn(Command::new("sh").args(["-c", &shell]));
    // The hand shake is repeated until the other half listens.
    let shake = || {
        let mut shake = Command::new("mosquitto_pub");
        shake.args(to.split(' ')).args(["-i", "front.2", "-m", "hand_shake lock"]);
        shake.args(["-t", "latchlight/devices/front/up"]).status().unwrap()
    };
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        assert!(shake().success());
        let (_, device) = server.get("/api/v1/devices/front").await;
        if device["state"] == "unlocked" {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "{device}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    operate(&server).await;
}

#[tokio::test]
async fn a_door_of_pythons_paho_is_locked_from_http_in_both_versions() {
    for version in ["3.1.1", "5"] {
        let server = Server::start();
        let _door = paho_door_of(&server, version).await;
        operate(&server).await;
    }
}

#[tokio::test]
async fn the_whole_server_runs_on_a_real_mosquitto() {
    let mosquitto = Mosquitto::start();
    let broker = format!("mqtt://{}", mosquitto.address());
    let server = Server::start_with(json!({ "mqtt": { "broker": broker } }));
    server
        .logged(
            "an outside broker is used: who may say and hear what, sessions and limits are its \
             operator's, see docs/outside-brokers.md",
        )
        .await;
    let _door = paho_door(&mosquitto.address(), "5");
    operate(&server).await;
    let (status, _) = server.get("/readyz").await;
    assert_eq!(status, 200);
    // The broker goes: said plainly, and nothing waits for it.
    drop(mosquitto);
    server.device_when("front", |device| device["online"] == false).await;
    let (status, answer) = server.post("/unlock?device=front&wait=8").await;
    assert_eq!((status, &answer["devices"][0]["outcome"]), (409, &json!("offline")));
    let (status, _) = server.get("/readyz").await;
    assert_eq!(status, 503);
}

#[tokio::test]
async fn over_3_1_1_an_outside_broker_gets_no_unlock() {
    let mosquitto = Mosquitto::start();
    let broker = format!("mqtt://{}", mosquitto.address());
    let mqtt = json!({ "mqtt": { "broker": broker, "protocol": "3.1.1" } });
    let server = Server::start_with(mqtt);
    let _door = paho_door(&mosquitto.address(), "3.1.1");
    operate(&server).await;
    let (status, answer) = server.post("/unlock?device=front").await;
    assert_eq!((status, &answer["devices"][0]["outcome"]), (409, &json!("refused")));
    let detail: &Value = &answer["devices"][0]["detail"];
    assert!(detail.as_str().unwrap().contains("mqtt.unlock_over_311"), "{detail}");
}
