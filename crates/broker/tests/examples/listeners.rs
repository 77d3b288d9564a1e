//! Ways to reach a broker.

use crate::process::Example;
use crate::support::Authority;

#[test]
fn tcp() {
    let example = Example::start("tcp", &["127.0.0.1:0"]);
    let [hear, say] = &example.commands()[..] else { panic!() };
    let mut heard = example.subscribed(hear);
    assert!(example.done(say).success);
    heard.until("doors/front locked");
    assert_eq!(example.stop(), ["2 connections were accepted"]);
}

#[test]
fn unix() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("mqtt.sock");
    let example = Example::start("unix", &[socket.to_str().unwrap()]).within(folder.path());
    let [hear, say] = &example.commands()[..] else { panic!() };
    let mut heard = example.subscribed(hear);
    assert!(example.done(say).success);
    heard.until("doors/front locked");
    example.stop();
    assert!(!socket.exists());
}

#[test]
fn tls() {
    let authority = Authority::new();
    let _ = ["server", "door"].map(|name| authority.sign(name));
    let [certificate, key, ca] =
        &["server.pem", "server.key", "ca.pem"].map(|name| authority.argument(name));
    let folder = authority.file("");
    let mut example = Example::start("tls", &["127.0.0.1:0", certificate, key, ca]).within(folder);
    let [hear, say, refused] = &example.commands()[..] else { panic!() };
    let mut heard = example.subscribed(hear);
    assert!(example.done(say).success);
    heard.until("door/bell rang");
    assert!(!example.done(refused).success);
    example.process.signal(rustix::process::Signal::HUP);
    example.process.until("count from now on");
    assert!(example.done(say).success);
    heard.until("door/bell rang");
    example.stop();
}

#[test]
fn websocket() {
    let node = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../var/node");
    assert!(node.exists(), "mqtt.js is needed: run script/bootstrap");
    let example = Example::start("websocket", &["127.0.0.1:0"]).within(node);
    let [say, hear] = &example.commands()[..] else { panic!() };
    assert!(example.done(say).success);
    let mut heard = example.background(hear);
    heard.until("doors/front locked");
    drop(heard);
    example.stop();
}
