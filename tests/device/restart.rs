//! The server stops or is killed, and comes back.

use std::path::Path;
use std::time::Duration;

use latchlight_mqtt::QoS;
use serde_json::{Value, json};

use crate::harness::{Device, PATIENCE, Server, command_of, configured, program};

const ACKS: &str = "lock {\"features\": [\"ack\"]}";

#[tokio::test]
async fn after_kill_9_the_devices_are_back_and_nothing_is_emitted() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", ACKS).await;
    Device::join(&server, "lamp", "light").await;
    let (_, answer) = server.post("/unlock?device=front&wait=0").await;
    let (_, id, _) = door.hear_command().await;
    assert_eq!(id, command_of(&answer));
    let server = Server::start_in(server.kill());
    let (_, list) = server.get("/api/v1/devices").await;
    let ids: Vec<_> = list["devices"].as_array().unwrap().iter().map(|d| &d["id"]).collect();
    assert_eq!(ids, [&json!("front"), &json!("lamp")]);
    assert!(list["devices"].as_array().unwrap().iter().all(|d| d["state"] == "unknown"));
    // The command that was out has an end, and is not sent again (C7).
    let (_, ended) = server.get(&format!("/api/v1/commands/{id}")).await;
    assert_eq!(ended["outcome"], "unconfirmed");
    let mut door = Device::join(&server, "front", ACKS).await;
    door.hears_nothing_for(Duration::from_millis(300)).await;
}

#[tokio::test]
async fn a_graceful_stop_saves_what_was_last_known() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", "lock").await;
    door.say("state locked").await;
    server.device_when("front", |device| device["state"] == "locked").await;
    let server = Server::start_in(server.stop());
    let (_, shown) = server.get("/api/v1/devices/front").await;
    assert_eq!((&shown["state"], &shown["online"]), (&json!("unknown"), &json!(false)));
    assert_eq!(shown["last_known"]["state"], "locked");
}

#[tokio::test]
async fn a_stop_waits_for_the_command_that_is_out_and_no_longer() {
    let settings = json!({
        "commands": { "expires_in": 300 },
        "http": { "shutdown_timeout_ms": 300_000 },
    });
    let server = Server::start_with(settings);
    let mut door = Device::join(&server, "front", ACKS).await;
    let (status, id) = tokio::join!(server.post("/unlock?device=front&wait=300"), async {
        let (_, id, _) = door.hear_command().await;
        server.begin_to_stop();
        server.logged("wait for the commands that are under way").await;
        door.say(&format!("ack {id} ok")).await;
        id
    });
    assert_eq!(status.0, 200, "{}", status.1);
    let server = Server::start_in(server.stop());
    assert_eq!(server.ended(&id).await["outcome"], "confirmed");
}

#[tokio::test]
async fn an_app_over_mqtt_is_told_how_its_command_ended_before_the_server_stops() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", ACKS).await;
    let mut phone = Device::connect(server.mqtt(), server.app("phone").await).await;
    phone.subscribe("latchlight/apps/phone/down", QoS::AtLeastOnce).await;
    phone.publish("latchlight/apps/phone/up", "lock front", false).await;
    let (_, id, _) = door.hear_command().await;
    server.begin_to_stop();
    server.logged("wait for the commands that are under way").await;
    door.say(&format!("ack {id} ok")).await;
    assert_eq!(phone.hear().await, format!("ok lock front confirmed {id}"));
}

#[tokio::test]
async fn who_was_told_ok_is_in_the_roster_whenever_the_server_is_killed() {
    let mut server = Server::start();
    let mut told = Vec::new();
    for round in 0..4 {
        let joined = futures_util::future::join_all((0..5 + round).map(|number| {
            let (id, server) = (format!("door-{round}-{number}"), &server);
            async move {
                Device::join(server, &id, "lock").await;
                id
            }
        }));
        told.extend(joined.await);
        // Killed while more are joining: a write may be under way.
        let late: Vec<_> = (0..20).map(|number| format!("late-{round}-{number}")).collect();
        let late = futures_util::future::join_all(late.iter().map(|id| server.device(id))).await;
        let more = late.into_iter().map(|connect| {
            let mqtt = server.mqtt().to_owned();
            tokio::spawn(async move {
                let mut device = Device::connect(&mqtt, connect).await;
                let _ = device.say("hand_shake lock").await;
            })
        });
        let more: Vec<_> = more.collect();
        tokio::time::sleep(Duration::from_millis(2 + 3 * round)).await;
        let folder = server.kill();
        for task in more {
            let _ = task.await;
        }
        server = Server::start_in(folder);
        let text = std::fs::read_to_string(server.config_path()).unwrap();
        let saved: Value = serde_json::from_str(&text).unwrap();
        for id in &told {
            assert!(!saved["state"]["devices"][id].is_null(), "{id} was told ok and is gone");
        }
    }
    // Writes that were cut off leave nothing for good.
    let folder = server.stop();
    let names = std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["config.json", "config.json.lock", "data"]);
}

/// What a server says that does not start.
async fn ends_by_itself(config: &Path) -> String {
    let mut server = tokio::process::Command::from(program(config));
    let ended = tokio::time::timeout(PATIENCE, server.kill_on_drop(true).output()).await;
    let ended = ended.expect("the server ends by itself").unwrap();
    assert!(!ended.status.success());
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

#[tokio::test]
async fn a_second_server_on_the_same_config_json_does_not_start_and_spoils_nothing() {
    let server = Server::start();
    Device::join(&server, "front", "lock").await;
    let before = std::fs::read(server.config_path()).unwrap();
    let said = ends_by_itself(&server.config_path()).await;
    let path = server.config_path().display().to_string();
    assert!(said.contains(&format!("another server uses {path}:")), "{said}");
    assert!(std::fs::read(server.config_path()).unwrap() == before);
    // Nor does one on another file beside it, which has the same data folder.
    let other = server.folder.path().join("other.json");
    std::fs::write(&other, &before).unwrap();
    let said = ends_by_itself(&other).await;
    let path = server.folder.path().join("data/latchlight.db");
    assert!(said.contains(&format!("another server uses {}:", path.display())), "{said}");
    // The first one works on.
    Device::join(&server, "shed", "lock").await;
    // A lock that a killed server leaves, hinders no other.
    let server = Server::start_in(server.kill());
    let (_, list) = server.get("/api/v1/devices").await;
    assert_eq!(list["devices"].as_array().unwrap().len(), 2, "{list}");
}

#[tokio::test]
async fn the_server_goes_on_when_nobody_reads_its_log_any_more() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", r#"lock {"features":["ack"]}"#).await;
    server.close_log();
    for _ in 0..3 {
        let (answer, ()) = tokio::join!(server.post("/lock?device=front"), async {
            let (_, id, _) = door.hear_command().await;
            door.say(&format!("ack {id} ok")).await;
        });
        assert_eq!(answer.0, 200, "{}", answer.1);
    }
    server.stop();
}

#[tokio::test]
async fn a_malformed_config_json_stops_the_start_and_is_left_alone() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("config.json");
    for (text, place) in [
        ("{\n  \"settings\": {},\n  \"state\": {\"devices\" {}}\n}\n", "line 3, column 23"),
        ("\n [{}, {}]", "line 2, column 2"),
        ("{\"settings\": {\"http\": [\"127.0.0.1:1\"]}}", "settings: http: a list"),
        ("{\"settings\": {\"log\": {}, \"data\": \"a\", \"data\": \"b\"}}", "settings: data: it"),
    ] {
        std::fs::write(&path, text).unwrap();
        let output = program(&path).output().unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(place), "{said}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

/// C28: no database at all, a page overwritten, the end missing.
pub(crate) const TEARS: [fn(&mut Vec<u8>); 3] = [
    |bytes| *bytes = b"no database".repeat(1000),
    |bytes| bytes[4096..8192].fill(0xA5),
    |bytes| bytes.truncate(6000),
];

#[tokio::test]
async fn a_torn_database_is_kept_aside_and_begun_anew() {
    for tear in TEARS {
        let server = Server::start();
        Device::join(&server, "front", r#"lock {"features":["ack"]}"#).await;
        // A graceful stop leaves one file.
        let folder = server.stop();
        let path = folder.path().join("data/latchlight.db");
        let mut bytes = std::fs::read(&path).unwrap();
        tear(&mut bytes);
        std::fs::write(&path, &bytes).unwrap();
        let server = Server::start_in(folder);
        let data = std::fs::read_dir(server.folder.path().join("data")).unwrap();
        let mut kept = data.flatten().map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("latchlight.db.torn-")
                && !name.ends_with("-wal")
                && !name.ends_with("-shm")
        });
        assert!(std::fs::read(kept.next().unwrap()).unwrap() == bytes, "it is kept as it was");
        // The doors are there, and can be operated.
        let mut door = Device::join(&server, "front", r#"lock {"features":["ack"]}"#).await;
        let (answer, ()) = tokio::join!(server.post("/lock?device=front"), async {
            let (_, id, _) = door.hear_command().await;
            door.say(&format!("ack {id} ok")).await;
        });
        assert_eq!(answer.0, 200, "{}", answer.1);
    }
}

#[tokio::test]
async fn a_torn_state_section_is_kept_aside_and_begun_anew() {
    for state in [r#"{"devices": 7}"#, "[]", "7"] {
        let folder = configured(json!({}));
        let path = folder.path().join("config.json");
        let text = std::fs::read_to_string(&path)
            .unwrap()
            .replace("\"state\":{}", &format!("\"state\":{state}"));
        std::fs::write(&path, &text).unwrap();
        let server = Server::start_in(folder);
        let (_, list) = server.get("/api/v1/devices").await;
        assert_eq!(list["devices"], json!([]));
        let aside = std::fs::read_dir(server.folder.path())
            .unwrap()
            .flatten()
            .find(|entry| entry.file_name().to_string_lossy().starts_with("config.json.torn-"));
        assert_eq!(std::fs::read_to_string(aside.unwrap().path()).unwrap(), text, "{state}");
    }
}

#[tokio::test]
async fn c8_a_device_that_comes_back_in_silence_is_there_and_unknown_until_it_is_asked() {
    let server = Server::start();
    let mut connect = server.device("front").await;
    connect.clean_start = false;
    connect.properties.make_mut().session_expiry_interval = Some(3600);
    let mut door = Device::connect(server.mqtt(), connect.clone()).await;
    door.listen(QoS::AtLeastOnce).await;
    for word in ["hand_shake lock", "state locked"] {
        door.say(word).await;
    }
    Device::join(&server, "back", "lock").await.say("state locked").await;
    server.device_when("back", |device| device["state"] == "locked").await;
    let server = Server::start_in(server.kill());
    // One whose session has kept what it listens to, and one that begins anew.
    let (front, present) = Device::resume(server.mqtt(), connect).await;
    assert!(present);
    let mut back = Device::connect(server.mqtt(), server.device("back").await).await;
    back.listen(QoS::AtLeastOnce).await;
    for mut door in [front, back] {
        let shown = server.device_when(&door.id, |device| device["online"] == true).await;
        assert_eq!(shown["state"], "unknown", "{shown}");
        while door.hear_publish().await.payload != "report" {}
        door.say("state unlocked").await;
        server.device_when(&door.id, |device| device["state"] == "unlocked").await;
    }
}
