//! What somebody does in the first hour, with the usual tools: a device that
//! joins by a code, and a keypad at a door, over TLS.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::{Device, PATIENCE, Server, configured};
use crate::terminal::Terminal;

/// Waits until a file has a line with this before something else; gives that.
async fn line(file: &Path, before: &str) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let said = std::fs::read_to_string(file).unwrap_or_default();
        // One that is whole.
        let lines = said.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let mut found = lines.filter_map(|line| Some(line.split_once(before)?.1.trim().to_owned()));
        if let Some(found) = found.next_back() {
            return found;
        }
        assert!(Instant::now() < end, "no `{before}` in {said}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn c21_a_device_joins_by_the_code_that_latchlight_pair_shows() {
    let server = Server::start();
    let terminal = Terminal::beside(&server);
    let log = terminal.folder().join("pair.log");
    let mut pair = terminal.begin("exec latchlight pair --seconds 60", "pair.log");
    let code = line(&log, "Join code: ").await;
    let join = |code: &str| {
        format!(
            "mosquitto_rr -V 5 -p 1883 -u join -P {code} -i shed -W 10 -q 1 \
             -e latchlight/join/shed/down -t latchlight/join/shed/up -m 'hand_shake lock'"
        )
    };
    let refused = terminal.run(&format!("{} 2>&1 || true", join("AAAAA-AAAAA"))).await;
    assert!(!refused.contains("ok hand_shake"), "{refused}");
    assert_eq!(line(&log, "1 wrong codes were ").await, "shown");

    // As a person types it.
    let said = terminal.run(&join(&code.to_lowercase())).await;
    let told: Value = serde_json::from_str(said.trim().strip_prefix("ok hand_shake ").unwrap())
        .unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!((&told["username"], &told["client_id"]), (&json!("shed"), &json!("shed")));
    let password = told["password"].as_str().unwrap();
    let up = told["topics"]["up"].as_str().unwrap();
    let say = |words: &str| {
        format!("mosquitto_pub -p 1883 -u shed -P {password} -i shed -q 1 -t {up} -m '{words}'\n")
    };
    terminal.run(&[say("hand_shake lock"), say("state locked")].concat()).await;
    server.device_when("shed", |shed| shed["state"] == "locked").await;
    assert_eq!(line(&log, "shed has joined").await, ", and has credentials of its own");
    let end = Instant::now() + PATIENCE;
    while pair.is_running() {
        assert!(Instant::now() < end, "it has nothing more to wait for");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The code was good once.
    let again = terminal.run(&format!("{} 2>&1 || true", join(&code))).await;
    assert!(!again.contains("ok hand_shake"), "{again}");
}

#[tokio::test]
async fn a_keypad_opens_a_door_over_the_houses_own_tls() {
    let grants = json!([{ "actions": ["lock", "unlock"], "devices": ["front"], "pin": true }]);
    let folder = configured(json!({ "devices": { "keypad": { "grants": grants } } }));
    // What `tls init` makes and prints, as the page on TLS says.
    let server = Server::start_in(folder);
    let terminal = Terminal::beside(&server);
    let printed = terminal.run("latchlight tls init --name home.example").await;
    let printed: Value = serde_json::from_str(&printed[printed.find("\n{").unwrap()..]).unwrap();
    let folder = server.stop();
    let file = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let settings = &mut config["settings"];
    settings["tls"] = printed["tls"].clone();
    settings["http"]["tls_listen"] = "127.0.0.1:0".into();
    settings["http"]["hosts"] = printed["http"]["hosts"].clone();
    std::fs::write(&file, config.to_string()).unwrap();
    let server = Server::start_in(folder);
    let terminal = Terminal::beside(&server);

    let mut door = Device::join(&server, "front", r#"lock {"features":["ack"]}"#).await;
    door.say("state locked").await;
    let secret = terminal.run("latchlight device add keypad --kind other").await;
    terminal.run("latchlight user add bob --no-password").await;
    let code = terminal.run("latchlight pin add bob --actions unlock --devices front").await;
    let (secret, code) = (secret.trim(), code.trim());
    assert!(code.len() == 6 && code.chars().all(|digit| digit.is_ascii_digit()), "{code}");
    let port = server.at("https").rsplit_once(':').unwrap().1.to_owned();
    let ask = |trust: &str, code: &str| {
        format!(
            "curl --silent --show-error {trust} --resolve home.example:{port}:127.0.0.1 \
             -w '\\n%{{http_code}}\\n' -u keypad:{secret} -H 'Content-Type: application/json' \
             -d '{{\"code\": \"{code}\", \"device\": \"front\", \"verb\": \"unlock\", \"wait\": 10}}' \
             https://home.example:{port}/api/v1/keypad"
        )
    };
    let ours = "--cacert tls/authority.pem";
    let right = ask(ours, code);
    let (said, ()) = tokio::join!(terminal.run(&right), async {
        let (verb, command, _) = door.hear_command().await;
        assert_eq!(verb, "unlock");
        door.say(&format!("ack {command} ok")).await;
    });
    assert!(said.contains(r#""outcome":"confirmed""#) && said.ends_with("\n200\n"), "{said}");
    let wrong = if code == "730198" { "730199" } else { "730198" };
    let said = terminal.run(&ask(ours, wrong)).await;
    assert!(said.ends_with("\n403\n") && !said.contains(wrong), "{said}");
    // Who does not trust the house's authority is told nothing, and says nothing.
    let said = terminal.run(&format!("{} 2>&1 || true", ask("", code))).await;
    assert!(said.contains("certificate") && !said.contains("\n200\n"), "{said}");
}
