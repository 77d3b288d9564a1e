//! What strangers say, as it stands in the log.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use latchlight_client::Connection;
use latchlight_mqtt::{Connect, ProtocolVersion};
use serde_json::json;

use crate::harness::{Device, Server};
use crate::secrets;

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

    let stranger = Connect::new(ProtocolVersion::V5, "stranger\nforged \u{1b}[31m");
    assert!(Connection::connect(mqtt, stranger).await.is_err());
    let mut connect = Connect::new(ProtocolVersion::V5, "front.\nforged \u{1b}[31m");
    connect.username = Some("front".into());
    connect.password = Some(secrets::of_device(&path, "front").await.into());
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

#[tokio::test]
async fn who_makes_a_mistake_is_named_in_the_log_and_what_it_was() {
    let server = Server::start();
    let mut shed = Device::connect(server.mqtt(), server.device("shed").await).await;
    let mut app = Device::connect(server.mqtt(), server.app("phone").await).await;
    for (said, speaker, why) in [
        ("hand_shake", "device:shed", "hand_shake: say what you are"),
        // These are never answered, so that the log is all there is.
        ("state locked", "device:shed", "state: `shed` has not joined"),
        ("ack 1 ok", "device:shed", "ack: `shed` has not joined"),
        ("frobnicate", "app:phone", "unknown word `frobnicate`"),
        ("lock nosuch", "app:phone", "lock: there is no device nosuch"),
    ] {
        if speaker == "app:phone" {
            app.publish("latchlight/apps/phone/up", said, false).await;
        } else {
            shed.say(said).await;
        }
        let line = server.logged("not taken").await;
        assert_eq!((&line["level"], &line["speaker"]), (&json!("WARN"), &json!(speaker)));
        assert!(line["why"].as_str().unwrap().contains(why), "{line}");
    }
    let mut door = Device::join(&server, "front", "lock").await;
    door.say("state purple").await;
    let line = server.logged("not taken").await;
    assert_eq!(line["speaker"], "device:front");
    assert!(line["why"].as_str().unwrap().contains("a lock cannot be `purple`"), "{line}");
}

#[tokio::test]
async fn a_flood_of_mistakes_is_a_few_lines_of_the_log() {
    let server = Server::start_with(json!({ "log": { "level": "info" } }));
    let mut door = Device::join(&server, "front", "lock").await;
    for _ in 0..1000 {
        door.say("state purple").await;
    }
    door.say("last").await;
    assert_eq!(door.hear().await, "unknown last");
    let log = server.stop_and_read_log().await;
    let messages = log.iter().filter_map(|line| line["message"].as_str());
    let mistakes: Vec<_> = messages.filter(|message| message.starts_with("not taken")).collect();
    assert_eq!(mistakes.len(), 5, "{mistakes:?}");
    assert!(mistakes[4].ends_with("its further mistakes of this minute are not logged"));
}

#[tokio::test]
async fn a_flood_of_publishes_that_are_refused_is_a_few_lines_of_the_log() {
    let server = Server::start_with(json!({ "log": { "level": "info" } }));
    let mut mallory = Device::connect(server.mqtt(), server.device("mallory").await).await;
    for _ in 0..100 {
        mallory.publish("latchlight/devices/front/down", "unlock", false).await;
        mallory.publish("latchlight/devices/mallory/up", "unlock", true).await;
    }
    let log = server.stop_and_read_log().await;
    let refused: Vec<_> = log.iter().filter(|line| line["speaker"] == "client mallory").collect();
    assert_eq!(refused.len(), 5, "{refused:?}");
    let why = "`latchlight/devices/front/down` is a device's command topic: only commands go there";
    assert_eq!(refused[0]["why"], why);
    let why =
        "`latchlight/devices/mallory/up` is acted on: nothing retained goes there, and no will";
    assert_eq!(refused[1]["why"], why);
}

#[tokio::test]
async fn requests_that_are_none_make_no_lines_of_the_log() {
    for level in ["info", "warn,latchlight=info", "error,latchlight=info"] {
        let server = Server::start_with(json!({ "log": { "level": level } }));
        for said in ["NONSENSE\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nX: \u{1}\r\n\r\n"] {
            let mut stranger =
                TcpStream::connect(server.http.trim_start_matches("http://")).unwrap();
            stranger.write_all(said.as_bytes()).unwrap();
            let mut answer = String::new();
            stranger.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        }
        let log = server.stop_and_read_log().await;
        let errors: Vec<_> = log.iter().filter(|line| line["level"] == "ERROR").collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
}

#[tokio::test]
async fn a_start_and_a_stop_are_told_in_the_servers_own_words() {
    let server = Server::start();
    let mut door = Device::connect(server.mqtt(), server.device("front").await).await;
    door.say("hand_shake lock").await;
    assert_eq!(server.logged("device joined").await["online"], json!(false));
    door.listen(latchlight_mqtt::QoS::AtLeastOnce).await;
    assert_eq!(server.logged("device is online").await["device"], "front");
    door.say("hand_shake lock").await;
    assert_eq!(server.logged("device joined").await["online"], json!(true));
    door.connection.abort();
    assert_eq!(server.logged("device is offline").await["device"], "front");
    let log = server.stop_and_read_log().await;
    let messages: Vec<_> = log.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["stopping: finish what is in hand", "stopped; the state is saved"]);
}

#[tokio::test]
async fn a_stop_is_said_at_once_and_what_is_in_hand_is_finished() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", r#"lock {"features": ["ack"]}"#).await;
    let (answer, ()) = tokio::join!(server.post("/lock?device=front&wait=10"), async {
        let (_, id, _) = door.hear_command().await;
        server.begin_to_stop();
        server.logged("stopping: finish what is in hand").await;
        door.say(&format!("ack {id} ok")).await;
    });
    assert_eq!(answer.0, 200, "{}", answer.1);
}
