//! The fleet on a real mosquitto, with the test in the server's place.
#![allow(clippy::unwrap_used)]
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use latchlight_client::{Client, ClientOptions, Events, Message};
use latchlight_mqtt::QoS;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::simulate::SimulateArgs;
use crate::simulate::fleet::run_with;
use crate::simulate::tally::Tally;

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    simulate: SimulateArgs,
}

/// A mosquitto, a running fleet, and the test as its server.
struct Stage {
    client: Client,
    events: Events,
    typed: mpsc::Sender<String>,
    shutdown: CancellationToken,
    fleet: JoinHandle<anyhow::Result<Tally>>,
    mosquitto: Child,
    _folder: TempDir,
}

impl Stage {
    async fn set(words: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let lines = format!("user root\nlistener {port} 127.0.0.1\nallow_anonymous true\n");
        let config = folder.path().join("mosquitto.conf");
        std::fs::write(&config, lines).unwrap();
        let mosquitto = Command::new("/usr/sbin/mosquitto")
            .arg("-c")
            .arg(&config)
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto is needed: run script/bootstrap");
        let address = format!("127.0.0.1:{port}");
        let (client, events) = Client::start(ClientOptions::new(address.clone(), "server"));
        client.subscribe("latchlight/devices/+/+", QoS::AtLeastOnce).await.unwrap();
        let words = format!("simulate --broker {address} --motor 20 {words}");
        let args = CommandLine::parse_from(words.split_whitespace()).simulate;
        let (typed, receiver) = mpsc::channel(8);
        let shutdown = CancellationToken::new();
        let fleet = tokio::spawn(run_with(args, receiver, shutdown.clone()));
        Self { client, events, typed, shutdown, fleet, mosquitto, _folder: folder }
    }

    async fn next(&mut self) -> Message {
        timeout(PATIENCE, self.events.next_message()).await.expect("a message comes").unwrap()
    }

    /// Passes over messages until this one comes; `~` at its end stands for any rest.
    async fn expect(&mut self, topic: &str, text: &str) {
        let mut passed = Vec::new();
        let search = async {
            loop {
                let message = self.events.next_message().await.unwrap();
                let payload = String::from_utf8_lossy(&message.payload).into_owned();
                let fits = match text.strip_suffix('~') {
                    Some(start) => payload.starts_with(start),
                    None => payload == text,
                };
                if fits && message.topic == format!("latchlight/devices/{topic}") {
                    return;
                }
                passed.push(format!("{} {payload:.60}", message.topic));
            }
        };
        if timeout(PATIENCE, search).await.is_err() {
            panic!("no {topic} {text} after {passed:#?}");
        }
    }

    async fn say(&self, id: &str, words: &str) {
        let topic = format!("latchlight/devices/{id}/down");
        self.client.publish(topic, words.to_owned(), QoS::AtLeastOnce, false).await.unwrap();
    }

    async fn join(&mut self, id: &str, kind: &str, state: &str) {
        self.expect(&format!("{id}/online"), "online").await;
        self.expect(&format!("{id}/up"), &format!("hand_shake {kind} ~")).await;
        self.say(id, "ok hand_shake").await;
        self.expect(&format!("{id}/up"), &format!("state {state}")).await;
    }

    async fn stop(mut self) -> Tally {
        self.shutdown.cancel();
        let tally = timeout(PATIENCE, &mut self.fleet).await.expect("the fleet stops");
        tally.unwrap().unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.mosquitto.kill();
        let _ = self.mosquitto.wait();
    }
}

fn in_seconds(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + seconds
}

#[tokio::test]
async fn a_lock_joins_obeys_acknowledges_once_and_says_goodbye() {
    let mut stage = Stage::set("--locks 1 --lights 0 --cameras 0").await;
    stage.join("lock-1", "lock", "locked").await;
    let unlock = format!("unlock c1 {}", in_seconds(10));
    stage.say("lock-1", &unlock).await;
    stage.expect("lock-1/up", "state unlocking").await;
    stage.expect("lock-1/up", "state unlocked").await;
    stage.expect("lock-1/up", "ack c1 ok").await;
    stage.say("lock-1", &unlock).await;
    stage.expect("lock-1/up", "ack c1 ok").await;
    stage.say("lock-1", &format!("lock c2 {}", in_seconds(-2))).await;
    stage.say("lock-1", "report").await;
    stage.expect("lock-1/up", "state unlocked").await;
    stage.shutdown.cancel();
    stage.expect("lock-1/online", "offline").await;
    let tally = stage.stop().await;
    assert_eq!((tally.obeyed, tally.succeeded, tally.repeated, tally.expired), (1, 2, 1, 1));
}

#[tokio::test]
async fn a_retained_command_is_not_obeyed() {
    let mut stage = Stage::set("--locks 0 --lights 1 --cameras 0").await;
    stage.join("light-1", "light", "off").await;
    stage.typed.send("unplug light-1".into()).await.unwrap();
    stage.expect("light-1/online", "offline").await;
    let topic = "latchlight/devices/light-1/down";
    let words = format!("on c1 {}", in_seconds(60));
    stage.client.publish(topic, words, QoS::AtLeastOnce, true).await.unwrap();
    stage.typed.send("plug light-1".into()).await.unwrap();
    stage.join("light-1", "light", "off").await;
    assert_eq!(stage.stop().await.obeyed, 0);
}

#[tokio::test]
async fn a_jammed_lock_fails_and_a_freed_one_does_not() {
    let mut stage = Stage::set("--locks 1 --lights 0 --cameras 0 --jam lock-1").await;
    stage.join("lock-1", "lock", "locked").await;
    stage.say("lock-1", &format!("unlock c1 {}", in_seconds(10))).await;
    stage.expect("lock-1/up", "state jammed").await;
    stage.expect("lock-1/up", "ack c1 failed jammed").await;
    stage.typed.send("free lock-1".into()).await.unwrap();
    stage.expect("lock-1/up", "state unknown").await;
    stage.say("lock-1", &format!("lock c2 {}", in_seconds(10))).await;
    stage.expect("lock-1/up", "ack c2 ok").await;
}

#[tokio::test]
async fn a_device_without_power_leaves_its_will_and_joins_again_with_its_state() {
    let mut stage = Stage::set("--locks 0 --lights 1 --cameras 0").await;
    stage.join("light-1", "light", "off").await;
    stage.say("light-1", &format!("on c1 {}", in_seconds(10))).await;
    stage.expect("light-1/up", "ack c1 ok").await;
    stage.typed.send("unplug light-1".into()).await.unwrap();
    stage.expect("light-1/online", "offline").await;
    stage.typed.send("plug light-1".into()).await.unwrap();
    stage.join("light-1", "light", "on").await;
}

#[tokio::test]
async fn a_camera_sends_the_picture_and_then_the_word_with_its_id() {
    let mut stage = Stage::set("--locks 0 --lights 0 --cameras 1").await;
    stage.expect("camera-1/up", "hand_shake camera ~").await;
    stage.say("camera-1", "ok hand_shake").await;
    stage.typed.send("press camera-1".into()).await.unwrap();
    let picture = loop {
        let message = stage.next().await;
        if message.topic.ends_with("/picture") {
            break message.payload;
        }
        assert!(!message.payload.starts_with(b"find_stranger"), "the word came first");
    };
    assert!(picture.starts_with(&[0xFF, 0xD8, 0xFF]), "a JPEG starts so");
    stage.say("camera-1", "ok picture p1").await;
    stage.expect("camera-1/up", "find_stranger p1").await;
    assert_eq!(stage.stop().await.pictures, 1);
}

#[tokio::test]
async fn plain_devices_report_and_acknowledge_nothing() {
    let mut stage = Stage::set("--locks 0 --lights 1 --cameras 0 --plain").await;
    stage.expect("light-1/up", "hand_shake light").await;
    stage.say("light-1", "ok hand_shake").await;
    stage.expect("light-1/up", "state off").await;
    stage.say("light-1", &format!("on c1 {}", in_seconds(10))).await;
    stage.expect("light-1/up", "state on").await;
    stage.say("light-1", "report").await;
    let next = loop {
        let message = stage.next().await;
        if message.topic.ends_with("/up") {
            break message.payload;
        }
    };
    assert_eq!(next, "state on", "an acknowledgement would have come before the report");
}

#[tokio::test]
async fn nothing_to_simulate_and_unknown_ids_are_errors() {
    for words in ["--locks 0 --lights 0 --cameras 0", "--jam lock-7", "--locks 1 --slow 2"] {
        let words = format!("simulate {words}");
        let args = CommandLine::parse_from(words.split_whitespace()).simulate;
        let (_typed, lines) = mpsc::channel(1);
        assert!(run_with(args, lines, CancellationToken::new()).await.is_err(), "{words}");
    }
}
