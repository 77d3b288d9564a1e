//! docs/guides/app-developers.md: an app in three languages.

use std::collections::BTreeSet;

use serde_json::Value;
use tokio::time::Instant;

use crate::harness::{PATIENCE, Server};
use crate::page::Page;
use crate::process::Process;
use crate::terminal::Terminal;

const PAGE: Page = Page(include_str!("../../docs/guides/app-developers.md"));

/// A server with the guide's person and devices.
async fn house() -> (Server, Terminal, Process) {
    let server = Server::start();
    let terminal =
        Terminal::beside(&server).replace("curl ", "curl --silent --show-error --write-out '\\n' ");
    let simulator = terminal.begin(PAGE.block("sh start"), "simulator.log");
    for device in ["lock-1", "lock-2", "light-1", "camera-1"] {
        server.device_when(device, |device| device["online"] == true).await;
    }
    (server, terminal, simulator)
}

/// The lines of an answer that are JSON.
fn answers(said: &str) -> Vec<Value> {
    said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Whether each name that the guide shows of an answer is in what was said.
fn shows(said: &Value, shown: &Value) -> bool {
    match (said, shown) {
        (Value::Object(said), Value::Object(shown)) => {
            shown.iter().all(|(key, shown)| said.get(key).is_some_and(|said| shows(said, shown)))
        }
        (Value::Array(said), Value::Array(shown)) => {
            said.iter().zip(shown).all(|(said, shown)| shows(said, shown))
        }
        (said, shown) => {
            let is_word = |text: &str| text.chars().all(|c| c.is_ascii_lowercase());
            match shown.as_str() {
                Some(text) if is_word(text) => said == shown,
                Some(_) => said.is_string(),
                // A time, a charge, a number of seconds.
                None => true,
            }
        }
    }
}

/// A camera's picture.
async fn upload(server: &Server) {
    let camera = server.request(reqwest::Method::POST, "/api/v1/pictures?device=camera-1").await;
    let mut picture = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(8, 8).write_to(&mut picture, image::ImageFormat::Png).unwrap();
    let sent = camera.body(picture.into_inner()).send().await.unwrap();
    assert_eq!(sent.status(), 201);
}

#[tokio::test]
async fn an_app_by_curl_does_what_the_guide_says() {
    let (server, terminal, _simulator) = house().await;
    upload(&server).await;
    let blocks = |mark: &str| PAGE.blocks(mark).concat();
    let said = terminal
        .run(&["sh curl", "sh stream", "sh pictures", "sh errors"].map(blocks).concat())
        .await;
    assert_eq!(said.matches(r#""outcome":"confirmed""#).count(), 2, "{said}");
    assert!(said.contains("\nevent: command\ndata: {"), "{said}");
    let tokens = std::fs::read_to_string(terminal.folder().join("tokens.json")).unwrap();
    let links = std::fs::read_to_string(terminal.folder().join("links.json")).unwrap();
    let answered = [answers(&said), answers(&tokens), answers(&links)].concat();
    let shown = answers(&blocks("json"));
    assert_eq!(shown.len(), 5, "each is on one line");
    for shown in shown {
        assert!(answered.iter().any(|answered| shows(answered, &shown)), "{shown}\n{said}");
    }
    for file in ["door.jpg", "anybodys.jpg", "small.jpg"] {
        let bytes = std::fs::read(terminal.folder().join(file)).unwrap();
        assert!(image::load_from_memory(&bytes).is_ok(), "{file}");
    }
}

#[tokio::test]
async fn the_apps_in_python_and_javascript_do_what_the_guide_says() {
    let (server, terminal, _simulator) = house().await;
    for (mark, run, lock) in
        [("python app.py", "python3 app.py", "lock-1"), ("js app.mjs", "node app.mjs", "lock-2")]
    {
        let name = mark.split(' ').nth(1).unwrap();
        terminal.write(name, PAGE.block(mark));
        let said = terminal.run(run).await;
        for line in [
            "light-1 off online",
            "camera-1 unknown online",
            &format!("{lock} confirmed"),
            "404: there is no device nosuch",
        ] {
            assert!(said.lines().any(|there| there.trim() == line), "{name}: {line}\n{said}");
        }
        let lock = server.device_when(lock, |lock| lock["state"] == "unlocked").await;
        assert_eq!(lock["online"], true);
    }
}

#[tokio::test]
async fn a_link_to_a_picture_is_made_in_python_and_javascript_and_opens_it() {
    let (server, terminal, _simulator) = house().await;
    upload(&server).await;
    for (mark, name, run) in [
        ("python share.py", "doorbell", "python3 share.py"),
        ("js share.mjs", "doorbell-2", "node share.mjs"),
    ] {
        terminal.write(mark.split(' ').nth(1).unwrap(), PAGE.block(mark));
        let key = format!("export KEY=$(latchlight apikey add {name} --scopes pictures:read)\n");
        let said = terminal.run(&(key + run)).await;
        let link = format!("{}/picture/", server.http);
        assert!(said.contains("camera-1 until 20") && said.contains(&link), "{mark}: {said}");
        assert!(said.lines().any(|line| line.starts_with("image/jpeg ")), "{mark}: {said}");
    }
}

#[tokio::test]
async fn the_display_in_the_hall_tells_what_happens() {
    let (server, terminal, _simulator) = house().await;
    terminal.write("follow.py", PAGE.block("python follow.py"));
    let commands = "export KEY=$(latchlight apikey add hall --scopes devices:read)\n\
                    exec python3 follow.py";
    let _display = terminal.begin(commands, "hall.log");
    let end = Instant::now() + PATIENCE;
    loop {
        // It may begin to follow in the middle of them.
        server.post("/lock?device=lock-1&wait=5").await;
        let said = std::fs::read_to_string(terminal.folder().join("hall.log")).unwrap();
        if said.contains("lock-1 lock confirmed") {
            return;
        }
        assert!(Instant::now() < end, "{said}");
    }
}

#[test]
fn every_block_of_the_guide_is_run_or_shown() {
    let known = BTreeSet::from([
        "js app.mjs",
        "js share.mjs",
        "json",
        "python app.py",
        "python follow.py",
        "python share.py",
        "sh curl",
        "sh errors",
        "sh pictures",
        "sh start",
        "sh stream",
    ]);
    assert_eq!(PAGE.marks().into_iter().collect::<BTreeSet<_>>(), known);
}
