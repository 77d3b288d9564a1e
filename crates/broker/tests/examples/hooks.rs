//! Hooks.

use crate::process::Example;

#[test]
fn access() {
    let example = Example::start("access", &["127.0.0.1:0"]);
    let [hear, own, foreign, guess] = &example.commands()[..] else { panic!() };
    let mut heard = example.subscribed(hear);
    assert!(example.done(own).success);
    heard.until("alice/desk/lamp on");
    assert!(example.done(foreign).said.contains("Not authorized"));
    assert!(!example.done(guess).success);
    example.stop();
}

#[test]
fn ledger() {
    let example = Example::start("ledger", &["127.0.0.1:0"]);
    let [hear, own, foreign, guess] = &example.commands()[..] else { panic!() };
    let mut heard = example.subscribed(hear);
    assert!(example.done(own).success);
    heard.until("users/alice/diary hello");
    assert!(example.done(foreign).said.contains("Not authorized"));
    assert!(!example.done(guess).success);
    example.stop();
}

#[test]
fn ledger_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.yaml");
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/users.yaml");
    std::fs::copy(shipped, &file).unwrap();
    let arguments = ["127.0.0.1:0", file.to_str().unwrap()];
    let mut example = Example::start("ledger_file", &arguments);
    let [hear, own, foreign] = &example.commands()[..] else { panic!() };
    let mut heard = example.subscribed(hear);
    assert!(example.done(own).success);
    heard.until("users/alice/diary hello");
    assert!(example.done(foreign).said.contains("Not authorized"));

    std::fs::write(&file, "users: 3").unwrap();
    example.process.signal(rustix::process::Signal::HUP);
    example.process.until("the rules stay as they are");
    assert!(example.done(own).success);
    std::fs::write(&file, "users: {}").unwrap();
    example.process.signal(rustix::process::Signal::HUP);
    let said = example.process.until("read again");
    // The one that hears, and perhaps the one that has just said goodbye.
    assert!(said.ends_with(": 1") || said.ends_with(": 2"), "{said}");
    assert!(!example.done(own).success);
    example.stop();
}

#[test]
fn interceptor() {
    let example = Example::start("interceptor", &["127.0.0.1:0"]);
    let [hear, attic, hall, bytes] = &example.commands()[..] else { panic!() };
    let mut heard = example.subscribed(hear);
    assert!(example.done(attic).success && example.done(hall).success);
    let line = heard.until("lamp ");
    assert_eq!(line, "rooms/hall/lamp the **** lamp is on");
    let refused = example.done(bytes);
    assert!(refused.said.contains("Payload format invalid"), "{refused:?}");
    example.stop();
}

#[test]
fn observer() {
    let mut example = Example::start("observer", &["127.0.0.1:0"]);
    let commands = example.commands();
    commands.iter().for_each(|command| assert!(example.done(command).success));
    let expected = [
        "lamp is here, its session begins",
        "lamp hears lamp/set at AtLeastOnce",
        "lamp is gone (Success), its session waits",
        "hand is here, its session begins",
        "lamp does not get lamp/set: Offline",
        "hand published 2 bytes to lamp/set",
        "hand is gone (Success), its session has ended",
        "hand is here, its session begins",
        "hand published 2 bytes to lamp/set",
        "hand is gone (Success), its session has ended",
    ];
    for expected in expected {
        assert_eq!(example.process.until(""), expected);
    }
    example.stop();
}

#[test]
fn debug() {
    let mut example = Example::start("debug", &["127.0.0.1:0"]);
    let [say] = &example.commands()[..] else { panic!() };
    assert!(example.done(say).success);
    example.process.until("username=\"alice\"");
    example.process.until("\"lamp/set\" qos=1");
    let rest = example.stop();
    assert!(!rest.iter().any(|line| line.contains("wonderland")), "{rest:#?}");
}

#[test]
fn packet_controller() {
    let example = Example::start("packet_controller", &["127.0.0.1:0"]);
    let [set, read, forget, again, stranger] = &example.commands()[..] else { panic!() };
    assert!(example.done(set).success);
    assert_eq!(example.done(read).said, "colour blue\n");
    example.done(forget);
    let forgotten = example.done(again);
    assert!(!forgotten.said.contains("blue"), "{forgotten:?}");
    assert!(!example.done(stranger).success);
    example.stop();
}

#[test]
fn scram() {
    let example = Example::start("scram", &["127.0.0.1:0"]);
    let [none, other] = &example.commands()[..] else { panic!() };
    assert!(example.done(none).said.contains("Not authorized"));
    assert!(example.done(other).said.contains("Bad authentication method"));
    example.stop();
}
