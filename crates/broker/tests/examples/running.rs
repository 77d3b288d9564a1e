//! What a program does with its broker.

use crate::process::Example;

#[test]
fn inline() {
    let mut example = Example::start("inline", &["127.0.0.1:0"]);
    let [hear, say] = &example.commands()[..] else { panic!() };
    let mut heard = example.subscribed(hear);
    assert!(example.done(say).success);
    heard.until("welcome");
    example.process.until("Delivered");
    example.stop();
}

#[test]
fn injection() {
    let example = Example::start("injection", &["127.0.0.1:0", "127.0.0.1:0"]);
    let [hear, say] = &example.commands()[..] else { panic!() };
    let mut heard = example.subscribed(hear);
    assert!(example.done(say).success);
    heard.until("doors/front open");
    example.stop();
}

#[test]
fn persistence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broker.sqlite");
    let start = || Example::start("persistence", &["127.0.0.1:0", file.to_str().unwrap()]);
    let example = start();
    let [begin, ring, lock, owed, kept] = &example.commands()[..] else { panic!() };
    for command in [begin, ring, lock] {
        assert!(example.done(command).success);
    }
    // kill -9
    drop(example);
    let mut example = start();
    example.process.until("1 sessions, 1 retained");
    assert_eq!(example.done(owed).said, "bell/ring once\n");
    assert_eq!(example.done(kept).said, "doors/front locked\n");
    example.stop();
}

#[test]
fn administration() {
    let mut example = Example::start("administration", &["127.0.0.1:0"]);
    let [hear, keep] = &example.commands()[..] else { panic!() };
    let mut bell = example.subscribed(hear);
    assert!(example.done(keep).success);
    let answers = [
        ("clients", "bell connected"),
        ("client bell", "SessionDetails"),
        ("subscriptions", "bell bell/# AtMostOnce"),
        ("retained #", "doors/front locked"),
        ("clear doors/#", "1 gone"),
        ("clear doors/#", "0 gone"),
        ("end nobody", "false"),
        ("disconnect bell", "true"),
        ("counters", "CountersSnapshot"),
        ("help", "clients, client"),
    ];
    for (line, answer) in answers {
        example.types(line);
        example.process.until(answer);
    }
    // It comes back by itself.
    bell.until("sending CONNECT");
    example.stop();
}

#[test]
fn stats() {
    let example = Example::start("stats", &["127.0.0.1:0", "127.0.0.1:0"]);
    let [stats, health, metrics, sys] = &example.commands()[..] else { panic!() };
    assert!(example.done(stats).said.contains("clients_connected"));
    assert!(example.done(health).success);
    assert!(example.done(metrics).said.contains("# TYPE"));
    let mut heard = example.background(sys);
    heard.until("$SYS/broker/version");
    example.stop();
}
