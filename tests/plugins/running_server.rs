//! Plugins in the running server, from outside: devices call their actions
//! over MQTT, and the API says what became of them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use latchlight_mqtt::{Connect, ProtocolVersion, QoS};
use serde_json::{Value, json};

use crate::harness::{Device, Server, configured, merge, open_house};
use crate::libraries::{in_c, in_rust};

/// A server with these libraries, installed as plugins/README.md says.
fn server_with(libraries: &[(&Path, Value)], devices: Value, time_limit_ms: u64) -> Server {
    let folder = libraries[0].0.parent().unwrap();
    let allow: Vec<Value> = libraries.iter().map(|(file, more)| allowed(file, more)).collect();
    let plugins = json!({ "folder": folder, "allow": allow, "time_limit_ms": time_limit_ms });
    let mut settings = open_house();
    merge(&mut settings, json!({ "plugins": plugins, "devices": devices }));
    Server::start_with(settings)
}

/// The entry that the command line prints for a file, and more.
fn allowed(file: &Path, more: &Value) -> Value {
    let program = Command::new(env!("CARGO_BIN_EXE_latchlight"))
        .args(["plugin", "allow"])
        .arg(file)
        .output()
        .unwrap();
    assert!(program.status.success(), "{}", String::from_utf8_lossy(&program.stderr));
    let mut entry: Value = serde_json::from_slice(&program.stdout).unwrap();
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

fn all_commands() -> Value {
    json!({ "grants": { "commands": [
        { "actions": ["lock", "unlock", "on", "off"], "devices": ["*"] }] } })
}

/// Whoever hears this: an app within the prefix, anybody outside of it.
async fn watcher(server: &Server, filter: &str) -> Device {
    let connect = match filter.starts_with("latchlight/") {
        true => server.app("watcher").await,
        false => Connect::new(ProtocolVersion::V5, "watcher"),
    };
    let mut watcher = Device::connect(server.mqtt(), connect).await;
    watcher.subscribe(filter, QoS::AtLeastOnce).await;
    watcher
}

async fn report(server: &Server, file: &str) -> Value {
    let (status, body) = server.get("/api/v1/plugins").await;
    assert_eq!(status, 200);
    let plugins = body["plugins"].as_array().unwrap();
    plugins.iter().find(|plugin| plugin["file"] == file).unwrap().clone()
}

#[tokio::test]
async fn a_keypad_says_night_mode_and_the_house_goes_to_sleep() {
    let grants = json!({ "keypad": { "grants": [
        { "actions": ["lock"], "devices": ["front"] }, { "actions": ["off"], "devices": ["hall"] }] } });
    let library = in_rust("night_mode");
    let server = server_with(&[(&library, all_commands())], grants, 20_000);
    let mut front = Device::join(&server, "front", r#"lock {"features": ["ack"]}"#).await;
    let mut hall = Device::join(&server, "hall", r#"light {"features": ["ack"]}"#).await;
    let mut keypad = Device::join(&server, "keypad", "other").await;
    keypad.say("night_mode").await;
    let (verb, id, _) = front.hear_command().await;
    assert_eq!(verb, "lock");
    let (_, command) = server.get(&format!("/api/v1/commands/{id}")).await;
    assert_eq!(command["issuer"], "plugin:night_mode", "{command}");
    front.say(&format!("ack {id} ok")).await;
    let (verb, id, _) = hall.hear_command().await;
    assert_eq!(verb, "off");
    hall.say(&format!("ack {id} ok")).await;
    assert_eq!(keypad.hear().await, "ok night_mode 1 locked, 1 off");
}

#[tokio::test]
async fn a_device_without_a_grant_has_no_door_operated_through_a_plugin() {
    let library = in_rust("rude");
    let server = server_with(&[(&library, all_commands())], json!({}), 20_000);
    let mut front = Device::join(&server, "front", "lock").await;
    let mut hall = Device::join(&server, "hall", "light").await;
    hall.say("rude_unlock front").await;
    let said = hall.hear().await;
    assert_eq!(said, "error rude_unlock config.json does not grant hall to `unlock` front");
    front.hears_nothing_for(Duration::from_millis(300)).await;
}

#[tokio::test]
async fn a_press_of_the_bell_is_an_alert_to_everyone() {
    let library = in_rust("doorbell");
    let more = json!({ "grants": { "alerts": ["doorbell"] } });
    let server = server_with(&[(&library, more)], json!({}), 20_000);
    let mut watcher = watcher(&server, "latchlight/alerts/#").await;
    let mut gate = Device::join(&server, "gate", "other").await;
    gate.say("doorbell").await;
    let alert = watcher.hear_publish().await;
    assert_eq!(&*alert.topic, "latchlight/alerts/doorbell");
    let body: Value = serde_json::from_slice(&alert.payload).unwrap();
    assert_eq!(body["device"], "gate");
    assert!(!alert.retain);
    assert_eq!(gate.hear().await, "ok doorbell rung");
}

#[tokio::test]
async fn no_plugin_reaches_a_command_topic_whatever_config_json_grants() {
    let library = in_rust("rude");
    let more = json!({ "grants": { "topics": ["#"] } });
    let server = server_with(&[(&library, more)], json!({}), 20_000);
    let mut front = Device::join(&server, "front", "lock").await;
    let mut hall = Device::join(&server, "hall", "light").await;
    let mut watcher = watcher(&server, "house/#").await;
    let closed = ["latchlight/devices/front/down", "latchlight/devices/front/state"];
    for topic in closed.into_iter().chain(["latchlight/alerts/x", "latchlight/devices/front/up"]) {
        hall.say(&format!("rude_publish {topic}")).await;
        assert_eq!(hall.hear().await, "ok rude_publish alert false, publish false", "{topic}");
        hall.say(&format!("rude_reply {topic}")).await;
        assert_eq!(hall.hear().await, "ok rude_reply", "{topic}");
    }
    hall.say("rude_reply house/night").await;
    assert_eq!(&*watcher.hear_publish().await.topic, "house/night");
    front.hears_nothing_for(Duration::from_millis(300)).await;
}

#[tokio::test]
async fn a_slow_plugin_holds_up_nobody_and_is_put_in_quarantine() {
    let library = in_rust("rude");
    let server = server_with(&[(&library, json!({}))], json!({}), 6000);
    let mut front = Device::join(&server, "front", r#"lock {"features": ["ack"]}"#).await;
    front.say("rude_sleep 60000").await;
    // The same device's words, and an app's command to it, do not wait.
    front.say("state unlocked").await;
    server.device_when("front", |device| device["state"] == "unlocked").await;
    let app = server.post("/lock?device=front&wait=5");
    let door = async {
        let (_, id, _) = front.hear_command().await;
        front.say(&format!("ack {id} ok")).await;
    };
    let ((status, answer), ()) = tokio::join!(app, door);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(report(&server, "librude.so").await["state"], "started");
    let said = front.hear().await;
    assert!(said.starts_with("error rude_sleep") && said.contains("quarantine"), "{said}");
    let report = report(&server, "librude.so").await;
    assert_eq!(report["state"], "quarantined");
    assert!(report["quarantined_since"].is_string(), "{report}");
    front.say("rude_echo").await;
    assert!(front.hear().await.contains("in quarantine since"));
}

#[tokio::test]
async fn a_plugin_that_panics_is_an_error_to_its_caller_and_the_server_goes_on() {
    let library = in_rust("rude");
    let more = json!({ "grants": { "sees": ["front"] } });
    let server = server_with(&[(&library, more)], json!({}), 20_000);
    let mut front = Device::join(&server, "front", "lock").await;
    front.say("rude_panic").await;
    let said = front.hear().await;
    assert_eq!(said, "error rude_panic the plugin rude failed; the server's log has more");
    front.say("rude_echo still here").await;
    assert_eq!(front.hear().await, "ok rude_echo device:front says still here to 1");
    assert_eq!(report(&server, "librude.so").await["panics"], 1);
}

#[tokio::test]
async fn the_api_says_what_became_of_each_plugin_and_lists_its_actions() {
    let (wrong, good) = (in_c("wrong_api"), in_c("in_c"));
    let server = server_with(&[(&wrong, json!({})), (&good, json!({}))], json!({}), 20_000);
    let refused = report(&server, "wrong_api.so").await;
    assert_eq!((&refused["state"], &refused["api"]), (&json!("declared"), &json!(999)));
    assert!(refused["error"].as_str().unwrap().contains("API 999"), "{refused}");
    let started = report(&server, "in_c.so").await;
    assert_eq!(started["state"], "started");
    assert_eq!(started["actions"], json!(["spoken_in_c"]));
    let (_, listed) = server.get("/api/v1/actions").await;
    let actions = listed["actions"].as_array().unwrap();
    let spoken = actions.iter().find(|action| action["name"] == "spoken_in_c").unwrap();
    assert_eq!(spoken["origin"], "in_c");
}

#[tokio::test]
async fn an_app_calls_a_plugins_action_over_http() {
    let library = in_rust("rude");
    let server = server_with(&[(&library, all_commands())], json!({}), 20_000);
    let mut front = Device::join(&server, "front", r#"lock {"features": ["ack"]}"#).await;
    let echo = "/api/v1/actions/rude_echo";
    let (status, said) = server.post_json(echo, json!({ "a": 1 })).await;
    assert_eq!((status, said), (200, json!({ "text": "app:owner says {\"a\":1} to 1" })));
    let (answer, ()) = tokio::join!(server.post("/api/v1/actions/rude_unlock"), async {
        let (_, id, _) = front.hear_command().await;
        front.say(&format!("ack {id} ok")).await;
    });
    assert_eq!(answer, (200, json!({ "text": "front confirmed" })));
    let (status, problem) = server.post("/api/v1/actions/rude_panic").await;
    assert_eq!((status, &problem["type"]), (500, &json!("urn:latchlight:problem:internal")));
}

/// C5: it may have told devices before it failed.
#[tokio::test]
async fn a_key_whose_action_failed_half_way_is_not_obeyed_again() {
    let library = in_rust("rude");
    let server = server_with(&[(&library, json!({}))], json!({}), 20_000);
    for status in [500, 409, 409] {
        assert_eq!(server.post_once("/api/v1/actions/rude_panic", "k1").await.0, status);
    }
    assert_eq!(report(&server, "librude.so").await["panics"], 1);
}

#[test]
fn the_command_line_lists_the_plugins_and_whether_they_are_the_allowed_ones() {
    let folder = configured(json!({}));
    let config = folder.path().join("config.json");
    let list = || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_latchlight"));
        let output = program.args(["plugin", "list", "--config"]).arg(&config).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(list().starts_with("no plugins: plugins.allow is empty"), "{}", list());
    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let named = ["in_c.so", "same_name.so"].map(|file| plugins.join(file));
    std::fs::copy(in_c("in_c"), &named[0]).unwrap();
    std::fs::copy(in_c("same_name"), &named[1]).unwrap();
    std::fs::copy(in_c("takes_lock"), plugins.join("stranger.so")).unwrap();
    let mut entries: Vec<_> = named.iter().map(|file| allowed(file, &json!({}))).collect();
    entries.push(json!({ "file": "gone.so", "sha256": "0".repeat(64) }));
    let settings = json!({ "settings": { "plugins": { "allow": entries } } });
    std::fs::write(&config, settings.to_string()).unwrap();
    // It was replaced after it was allowed.
    std::fs::copy(in_c("takes_lock"), &named[1]).unwrap();
    let listed = list();
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines[0], "in_c.so       allowed");
    assert!(lines[1].starts_with("same_name.so  not to be loaded: it was changed"), "{listed}");
    assert!(lines[2].starts_with("gone.so       not to be loaded: it cannot be read"), "{listed}");
    assert!(
        lines[3].starts_with("stranger.so   not allowed: `latchlight plugin allow "),
        "{listed}"
    );
    assert_eq!(lines.len(), 4, "{listed}");
}
