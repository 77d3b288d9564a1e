//! What becomes of the codes that are typed at a keypad: they are nowhere.

use std::path::Path;
use std::process::Command;

use latchlight::console::Console;
use serde_json::{Value, json};

use crate::harness::{Device, Server, outcome_of};

/// So long that nothing else has the same digits by chance.
const CHOSEN: &str = "730198265514";
const WRONG: &str = "930162740058";
const ONE_TIME: &str = "618203950471";

/// Everything that lies below a folder, the database and its log too.
fn files(folder: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, all);
        } else if let Ok(bytes) = std::fs::read(&path) {
            all.push((path.display().to_string(), bytes));
        }
    }
}

#[tokio::test]
async fn c22_no_code_is_in_a_log_a_file_an_event_or_an_answer() {
    let grants = json!([{ "actions": ["unlock"], "devices": ["front"], "pin": true }]);
    let server = Server::start_with(json!({
        "log": { "level": "trace" },
        "devices": { "keypad": { "grants": grants } },
    }));
    let console = Console::connect(&server.config_path()).await.unwrap();
    let secret = console.post("/api/v1/devices/keypad/credentials", &json!({})).await.unwrap();
    let secret = secret["password"].as_str().unwrap().to_owned();
    let bob = json!({ "name": "bob", "role": "member" });
    console.post("/api/v1/users", &bob).await.unwrap();
    for body in [json!({ "code": CHOSEN }), json!({ "code": ONE_TIME, "one_time": true })] {
        console.post("/api/v1/users/bob/pins", &body).await.unwrap();
    }
    let taken = console.post("/api/v1/users/bob/pins", &json!({ "code": CHOSEN })).await;
    let mut said = vec![taken.unwrap_err().to_string()];
    let mut door = Device::join(&server, "front", r#"lock {"features":["ack"]}"#).await;
    door.say("state locked").await;

    let client = reqwest::Client::new();
    let url = format!("{}/api/v1/keypad", server.http);
    let body = |code: &str| json!({ "code": code, "device": "front", "verb": "unlock" });
    let number = |code: &str| code.parse::<u64>().unwrap();
    let mut ask = async |url: &str, body: Value| {
        let request = client.post(url).basic_auth("keypad", Some(&secret)).json(&body);
        let response = request.send().await.unwrap();
        let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
        said.push(text.clone());
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    for code in [CHOSEN, ONE_TIME] {
        let (answered, ()) = tokio::join!(ask(&url, body(code)), async {
            let (verb, command, _) = door.hear_command().await;
            assert_eq!(verb, "unlock");
            door.say(&format!("ack {command} ok")).await;
        });
        assert_eq!((answered.0, outcome_of(&answered.1)), (200, "confirmed"), "{answered:?}");
    }
    // Wrong, used up, in wrong places; and too often.
    assert_eq!(ask(&url, body(WRONG)).await.0, 403);
    assert_eq!(ask(&url, body(ONE_TIME)).await.0, 403);
    for body in [
        json!({ "code": number(WRONG), "device": "front", "verb": "unlock" }),
        json!({ "code": "front", "device": WRONG, "verb": "unlock" }),
        json!({ "code": "front", "device": "front", "verb": WRONG }),
        json!({ WRONG: "front" }),
    ] {
        ask(&url, body).await;
    }
    for _ in 0..5 {
        ask(&url, body(WRONG)).await;
    }
    assert_eq!(ask(&url, body(CHOSEN)).await.0, 429);

    let events = console.get("/api/v1/events?limit=1000").await.unwrap();
    assert!(events.to_string().contains("wrong_codes"), "{events}");
    said.push(events.to_string());
    said.push(console.get("/api/v1/pins").await.unwrap().to_string());
    let mut stored = Vec::new();
    files(server.folder.path(), &mut stored);
    assert!(stored.iter().any(|(name, _)| name.ends_with("latchlight.db")));
    assert!(stored.iter().any(|(name, _)| name.ends_with("pins.key")));
    let log = server.stop_and_read_log().await;
    assert!(log.iter().any(|line| line["message"] == "code refused"), "{log:?}");
    for code in [CHOSEN, WRONG, ONE_TIME] {
        for text in &said {
            assert!(!text.contains(code), "{text}");
        }
        for line in &log {
            assert!(!line.to_string().contains(code), "{line}");
        }
        for (name, bytes) in &stored {
            let found = bytes.windows(code.len()).any(|window| window == code.as_bytes());
            assert!(!found, "{name} has a code in it");
        }
    }
}

/// Runs `latchlight pin` with these words; gives what it prints, or says that is
/// wrong.
fn pin(server: &Server, words: &str) -> Result<String, String> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_latchlight"));
    program.arg("pin").args(words.split(' ')).arg("--config").arg(server.config_path());
    let output = program.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[tokio::test]
async fn codes_come_and_go_by_the_command_line() {
    let server = Server::start();
    let console = Console::connect(&server.config_path()).await.unwrap();
    let bob = json!({ "name": "bob", "role": "member" });
    console.post("/api/v1/users", &bob).await.unwrap();
    assert_eq!(pin(&server, "list").unwrap(), "there are none\n");
    let made = pin(
        &server,
        "add bob --name cleaner --one-time --digits 12 --actions unlock --devices front-door \
         --days mon,thu --hours 08:00-12:30",
    );
    let made = made.unwrap();
    let code = made.lines().next().unwrap();
    assert!(code.len() == 12 && code.bytes().all(|byte| byte.is_ascii_digit()), "{made}");
    let list = pin(&server, "list bob").unwrap();
    let is_there = "bob  cleaner  unlock: front-door (mon, thu, 08:00-12:30)  once";
    assert!(list.contains(is_there) && !list.contains(code), "{list}");
    let id = list.split(' ').next().unwrap();
    assert!(pin(&server, &format!("disable {id}")).unwrap().contains("disabled"));
    assert!(!pin(&server, &format!("enable {id}")).unwrap().contains("disabled"));
    assert_eq!(pin(&server, &format!("remove {id}")).unwrap(), "the code is removed\n");
    let error = pin(&server, &format!("remove {id}")).unwrap_err();
    assert!(error.contains("there is no such code"), "{error}");
    let error = pin(&server, "add nobody").unwrap_err();
    assert!(error.contains("there is no such user"), "{error}");
    // What stands on a command line is read by others.
    assert!(pin(&server, "add bob --code 739155").is_err());
}
