//! docs/guides/device-makers.md: a lock in three languages, each locked and
//! unlocked by an app.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Server, outcome_of};
use crate::page::Page;
use crate::process::Process;
use crate::secrets;
use crate::terminal::Terminal;

const PAGE: Page = Page(include_str!("../../docs/guides/device-makers.md"));
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The lock is there, obeys, says its state, and is there again when the
/// server comes back on the same port.
async fn is_a_lock(server: Server, id: &str, device: Process) {
    let obeys = async |server: &Server| {
        let shown = server.device_when(id, |it| it["online"] == true && it["battery"] == 80).await;
        assert_eq!((&shown["kind"], &shown["features"]["ack"]), (&"lock".into(), &true.into()));
        for (verb, state) in [("unlock", "unlocked"), ("lock", "locked")] {
            let (status, answer) = server.post(&format!("/{verb}?device={id}&wait=10")).await;
            assert_eq!((status, outcome_of(&answer)), (200, "confirmed"), "{answer}");
            server.device_when(id, |it| it["state"] == state).await;
        }
    };
    obeys(&server).await;
    let port = |address: &str| address.rsplit_once(':').unwrap().1.to_owned();
    let (http, mqtt) = (port(&server.http), port(server.mqtt()));
    let folder = server.stop();
    // It finds the server where it was.
    let file = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    config["settings"]["http"]["listen"] = format!("127.0.0.1:{http}").into();
    config["settings"]["mqtt"]["listen"] = format!("127.0.0.1:{mqtt}").into();
    std::fs::write(file, config.to_string()).unwrap();
    let server = Server::start_in(folder);
    obeys(&server).await;
    drop(device);
    server.device_when(id, |it| it["online"] == false).await;
}

#[tokio::test]
async fn the_shell_script_is_a_lock() {
    let server = Server::start();
    let terminal = Terminal::beside(&server);
    terminal.write("door.sh", PAGE.block("sh door.sh"));
    let device = terminal.begin(PAGE.block("sh door"), "door.log");
    is_a_lock(server, "shed", device).await;
}

#[tokio::test]
async fn the_micropython_device_is_a_lock() {
    let server = Server::start();
    let password = secrets::of_device(&server.config_path(), "gate").await;
    let terminal = Terminal::beside(&server).on_a_device().replace("…", &password);
    let library = terminal.folder().join("lib/umqtt");
    std::fs::create_dir_all(&library).unwrap();
    let find = "python -c 'import importlib.util as i; print(i.find_spec(\"umqtt\").origin)'";
    let installed = terminal.run(find).await;
    std::fs::copy(installed.trim(), library.join("simple.py")).unwrap();
    terminal.write("config.py", PAGE.block("python config.py"));
    terminal.write("main.py", PAGE.block("python main.py"));
    let run = "MICROPYPATH=.:lib:.frozen exec micropython main.py";
    let device = terminal.begin(run, "gate.log");
    is_a_lock(server, "gate", device).await;
}

#[tokio::test]
async fn the_arduino_sketch_is_a_lock() {
    let server = Server::start();
    let password = secrets::of_device(&server.config_path(), "porch").await;
    let terminal =
        Terminal::beside(&server).on_a_device().replace("\"…\"", &format!("\"{password}\""));
    terminal.write("lock.ino", PAGE.block("cpp lock.ino"));
    terminal.write("config.h", PAGE.block("cpp config.h"));
    let board = Path::new(ROOT).join("tests/support/arduino");
    let compile = format!(
        "g++ -std=c++17 -Wall -Wextra -Werror -Wno-unused-parameter -I {board} -I . \
         -include Arduino.h -x c++ lock.ino {board}/board.cpp -lmosquitto -o sketch",
        board = board.display()
    );
    terminal.run(&compile).await;
    let device = terminal.begin("exec ./sketch", "porch.log");
    is_a_lock(server, "porch", device).await;
}

#[test]
fn every_block_of_the_guide_is_run() {
    let known = BTreeSet::from([
        "cpp config.h",
        "cpp lock.ino",
        "python config.py",
        "python main.py",
        "sh door",
        "sh door.sh",
    ]);
    assert_eq!(PAGE.marks().into_iter().collect::<BTreeSet<_>>(), known);
}
