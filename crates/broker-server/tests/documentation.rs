//! docs/broker.md: its examples are what it says they are.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Authority, Folder, Running, run, text};

const PAGE: &str = include_str!("../../../docs/broker.md");

/// The block that is marked with this file's name.
fn example(name: &str) -> &'static str {
    let block = PAGE.split_once(&format!("```yaml {name}\n")).unwrap().1;
    block.split_once("```").unwrap().0
}

#[test]
fn its_examples_can_be_used() {
    let folder = Folder::new();
    folder.write("users.yaml", example("users.yaml"));
    let config = folder.write("broker.yaml", example("broker.yaml"));
    let output = run(&["check", "--config", &config]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("users: 4, auth rules: 2, acl rules: 2"));
}

#[test]
fn its_listeners_can_be_used() {
    let folder = Folder::new();
    folder.write("users.yaml", example("users.yaml"));
    let config = folder.write("listeners.yaml", example("listeners.yaml"));
    // Its files are not there, and that is all that is wrong with it.
    let output = run(&["check", "--config", &config]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("listeners[0]"), "{}", text(&output.stderr));
    let authority = Authority::new(&folder);
    authority.sign(&folder, "server");
    std::fs::copy(folder.path("ca.pem"), folder.path("devices.pem")).unwrap();
    let output = run(&["check", "--config", &config]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn its_ledger_does_what_it_says() {
    let folder = Folder::new();
    let ledger = folder.write("users.yaml", example("users.yaml"));
    let running = Running::start(&["--port", "0", "--ledger", &ledger]);
    let publish = |id: &str, user: &str, topic: &str| {
        running.publish(&["-i", id, "-u", user, "-P", "wonder", "-t", topic, "-m", "x"])
    };
    assert!(
        publish("phone", "alice", "home/lamp/set") && publish("phone", "alice", "home/alice/x")
    );
    assert!(
        !publish("phone", "alice", "home/lamp/state")
            && !publish("phone", "alice", "home/safe/set")
    );
    assert!(publish("door", "door", "home/door/x") && publish("door.2", "door", "home/door/x"));
    assert!(!publish("doors", "door", "home/door/x") && !publish("x", "former", "home/former/x"));
    for (filter, answer) in [("home/lamp/+", ": 0"), ("#", ": 135"), ("home/+/set", ": 135")] {
        let subscriber = running.subscribe(&["-u", "alice", "-P", "wonder", "-t", filter]);
        assert!(subscriber.answer.ends_with(answer), "{filter}: {}", subscriber.answer);
    }
}

#[test]
fn every_command_line_of_it_is_one() {
    let shown = PAGE.split_once("```sh\n").unwrap().1.split_once("```").unwrap().0;
    let help = text(&run(&["--help"]).stdout);
    for line in shown.lines() {
        for word in line.split_whitespace().skip(1).take_while(|word| *word != "#") {
            let is_known = !word.starts_with("--") || help.contains(word) || word == "--out";
            assert!(is_known, "{line}: {word}");
        }
    }
}
