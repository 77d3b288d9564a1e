//! The clients that people use: mosquitto's, and Python's paho-mqtt; and the
//! whole server on a real mosquitto.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::Server;

/// A process that ends with its test, and all that it started with it.
struct Process(Child);

impl Process {
    fn spawn(command: &mut Command) -> Self {
        Self(command.process_group(0).spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.0.wait();
    }
}

fn host_and_port(address: &str) -> (&str, &str) {
    address.rsplit_once(':').unwrap()
}

/// `var/venv`, which script/bootstrap makes.
fn python() -> Command {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("var/venv/bin/python");
    assert!(venv.exists(), "python's paho-mqtt is needed: run script/bootstrap");
    Command::new(venv)
}

fn paho_door(address: &str, version: &str) -> Process {
    let (host, port) = host_and_port(address);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/device/paho_door.py");
    Process::spawn(python().arg(script).args([host, port, version, "front"]))
}

async fn operate(server: &Server) {
    server.device_when("front", |d| d["state"] == "unlocked" && d["online"] == true).await;
    let (status, answer) = server.post("/lock?device=front&wait=8").await;
    assert_eq!((status, &answer["devices"][0]["outcome"]), (200, &json!("confirmed")), "{answer}");
    server.device_when("front", |device| device["state"] == "locked").await;
}

#[tokio::test]
async fn a_door_of_mosquitto_clients_is_locked_from_http() {
    let server = Server::start();
    let (host, port) = host_and_port(server.mqtt());
    let shell = format!(
        "mosquitto_sub -h {host} -p {port} -q 1 -t latchlight/devices/front/down | \
         while read -r verb command expires; do case $verb in \
           ok) mosquitto_pub -h {host} -p {port} -q 1 -t latchlight/devices/front/up -m 'state unlocked';; \
           lock) mosquitto_pub -h {host} -p {port} -q 1 -t latchlight/devices/front/up -m 'state locked';; \
         esac; done"
    );
    let _door = Process::spawn(Command::new("sh").args(["-c", &shell]));
    // The hand shake is repeated until the other half listens.
    let shake = || {
        let mut shake = Command::new("mosquitto_pub");
        shake.args(["-h", host, "-p", port, "-q", "1", "-m", "hand_shake lock"]);
        shake.args(["-t", "latchlight/devices/front/up"]).status().unwrap()
    };
    let end = tokio::time::Instant::now() + Duration::from_secs(15);
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
        let _door = paho_door(server.mqtt(), version);
        operate(&server).await;
    }
}

#[tokio::test]
async fn the_whole_server_runs_on_a_real_mosquitto() {
    let mosquitto = Mosquitto::start();
    let broker = format!("mqtt://{}", mosquitto.address());
    let server = Server::start_with(json!({ "mqtt": { "broker": broker } }));
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

/// A mosquitto of this test's own, on a free port.
struct Mosquitto {
    _process: Process,
    _folder: TempDir,
    port: u16,
}

impl Mosquitto {
    fn start() -> Self {
        for _ in 0..5 {
            let folder = TempDir::new().unwrap();
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let config = folder.path().join("mosquitto.conf");
            std::fs::write(&config, format!("listener {port} 127.0.0.1\nallow_anonymous true\n"))
                .unwrap();
            let mut mosquitto = Command::new("/usr/sbin/mosquitto");
            mosquitto.arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
            let mut process = Process::spawn(&mut mosquitto);
            while process.0.try_wait().unwrap().is_none() {
                if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Self { _process: process, _folder: folder, port };
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            // Somebody else took the port in between: take another.
        }
        panic!("mosquitto is needed: run script/bootstrap");
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}
