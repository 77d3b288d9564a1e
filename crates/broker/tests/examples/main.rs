//! Each example as a process of its own: it is started, the commands of its head
//! are done with mosquitto's clients (WebSocket: mqtt.js), and Ctrl-C ends it.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod hooks;
mod listeners;
mod process;
mod running;

#[test]
fn every_example_is_tried() {
    let tests =
        concat!(include_str!("hooks.rs"), include_str!("listeners.rs"), include_str!("running.rs"));
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let is_tried = tests.contains(&format!("Example::start(\"{name}\""));
        assert!(is_tried || name == "users", "{name} has no test");
    }
}
