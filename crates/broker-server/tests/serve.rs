//! The program as its users run it, with mosquitto's clients.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Folder, Redis, Running, hash, program, run, text};

#[test]
fn it_serves_by_options_alone() {
    let running = Running::start(&["--port", "0", "--allow-anonymous"]);
    let mut subscriber = running.subscribe(&["-t", "door/#"]);
    assert!(running.publish(&["-t", "door/front", "-m", "locked"]));
    assert_eq!(subscriber.next(), "door/front locked");
    assert!(running.seen.iter().any(|line| line.contains("everybody may do everything")));
}

#[test]
fn it_does_not_start_without_being_told_who_may() {
    let folder = Folder::new();
    let config = folder.write("broker.yaml", "listeners: [{address: '127.0.0.1:0'}]");
    for arguments in [&[][..], &["--port", "0"], &["--config", &config]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert!(said.contains("--allow-anonymous") && said.contains("--ledger"), "{said}");
    }
    let both = run(&["--allow-anonymous", "--ledger", "x"]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn a_store_is_of_a_kind_that_there_is() {
    for store in ["", "http://127.0.0.1:6379"] {
        let output = run(&["--allow-anonymous", "--port", "0", "--store", store]);
        assert_eq!(output.status.code(), Some(2));
        let said = text(&output.stderr);
        assert!(said.contains("it has to be a folder, redis://"), "{said}");
    }
}

#[test]
fn so_many_threads_are_taken_and_no_more() {
    let folder = Folder::new();
    for (threads, code) in [(1024, 0), (1025, 1)] {
        let config = format!(
            "{{listeners: [{{address: '127.0.0.1:0'}}], access: {{allow_anonymous: true}}, options: {{threads: {threads}}}}}"
        );
        let config = folder.write("broker.yaml", &config);
        assert_eq!(run(&["check", "--config", &config]).status.code(), Some(code), "{threads}");
    }
}

/// C24
#[test]
fn it_binds_loopback_unless_told_otherwise_out_loud() {
    let folder = Folder::new();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:1883"] {
        let config =
            format!("{{listeners: [{{address: '{address}'}}], access: {{allow_anonymous: true}}}}");
        let config = folder.write("broker.yaml", &config);
        let output = run(&["check", "--config", &config]);
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert!(said.contains("listeners[0].address") && said.contains("exposed: true"), "{said}");
    }
    let config =
        "{listeners: [{address: '0.0.0.0:0', exposed: true}], access: {allow_anonymous: true}}";
    let config = folder.write("broker.yaml", config);
    assert!(run(&["check", "--config", &config]).status.success());
}

#[test]
fn a_configuration_may_be_yaml_or_json() {
    let folder = Folder::new();
    let ledger = format!(
        "users:\n  alice: {{password: '{}'}}\nacl: [{{filters: {{'#': read-write}}}}]",
        hash("wonder")
    );
    folder.write("users.yaml", &ledger);
    let yaml = "
        listeners:
          - {address: '127.0.0.1:0'}
          - {type: tcp, address: '127.0.0.1:0'}
        access: {ledger: users.yaml}
        options: {max_topic_levels: 2, stalled_after: 0.1, when_full: drop-oldest}
        log: {level: 'info,latchlight_broker=debug'}
        ";
    let json = r#"{"listeners": [{"address": "127.0.0.1:0"}, {"address": "127.0.0.1:0"}],
        "access": {"ledger": "users.yaml"}, "options": {"max_topic_levels": 2},
        "log": {"format": "json"}}"#;
    for (name, content) in [("broker.yaml", yaml), ("broker.json", json)] {
        let running = Running::with_config(&folder.write(name, content));
        assert_eq!(running.ports.len(), 2);
        let alice = ["-u", "alice", "-P", "wonder", "-t", "a"];
        let mut subscriber = running.subscribe(&alice);
        assert!(running.publish(&[&alice[..], &["-m", "hello"]].concat()));
        assert_eq!(subscriber.next(), "a hello");
        assert!(!running.publish(&["-u", "alice", "-P", "wrong", "-t", "a", "-m", "x"]));
        assert!(!running.publish(&["-t", "a", "-m", "x"]));
        // The options count.
        let deep = ["-u", "alice", "-P", "wonder", "-t", "a/b/c", "-m", "x"];
        assert!(!running.publish(&deep));
    }
}

#[test]
fn what_is_wrong_in_a_configuration_is_named_with_its_path() {
    let folder = Folder::new();
    folder.write("bad.yaml", "users: {alice: {password: hunter2}}");
    let with = |rest: &str| {
        format!(
            "{{listeners: [{{address: '127.0.0.1:0'}}], access: {{allow_anonymous: true}}, {rest}}}"
        )
    };
    for (content, path) in [
        (with("optoins: {}"), "optoins"),
        (with("options: {max_packet_sise: 1}"), "options.max_packet_sise"),
        (with("options: {max_packet_size: many}"), "options.max_packet_size"),
        (with("options: {stalled_after: -1}"), "options.stalled_after"),
        (with("log: {level: loud}"), "log.level"),
        (with("log: {format: xml}"), "log.format"),
        ("{access: {allow_anonymous: true}}".to_owned(), "listeners"),
        ("{listeners: [{address: localhost}]}".to_owned(), "listeners[0].address"),
        ("{listeners: [{address: '127.0.0.1:1', type: udp}]}".to_owned(), "listeners[0].type"),
        (
            "{listeners: [{address: '127.0.0.1:1'}, {address: '127.0.0.1:1'}]}".to_owned(),
            "listeners[1].address",
        ),
        (
            "{listeners: [{address: '127.0.0.1:0'}], access: {ledger: bad.yaml}}".to_owned(),
            "bad.yaml: users.alice.password",
        ),
        (
            "{listeners: [{address: '127.0.0.1:0'}], access: {ledger: none.yaml}}".to_owned(),
            "none.yaml",
        ),
    ] {
        let config = folder.write("broker.yaml", &content);
        for arguments in [&["check", "--config", &config][..], &["--config", &config]] {
            let output = run(arguments);
            assert_eq!(output.status.code(), Some(1), "{content}");
            let said = text(&output.stderr);
            assert!(said.contains(path) && !said.contains("hunter2"), "{content}: {said}");
        }
    }
}

#[test]
fn check_says_what_it_found() {
    let folder = Folder::new();
    folder.write("users.yaml", "{users: {a: {}, b: {}}, auth: [{allow: true}]}");
    let config = "{listeners: [{address: '127.0.0.1:0'}], access: {ledger: users.yaml}}";
    let output = run(&["check", "--config", &folder.write("broker.yaml", config)]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("users: 2, auth rules: 1, acl rules: 0"));
}

/// As behind `| head -1`, a moment later.
fn nobody_reads() -> std::io::PipeWriter {
    std::io::pipe().unwrap().1
}

#[test]
fn who_stops_reading_ends_no_command() {
    let folder = Folder::new();
    let config = "{listeners: [{address: '127.0.0.1:0'}], access: {allow_anonymous: true}}";
    let config = folder.write("broker.yaml", config);
    let mut check = program();
    let output = check.args(["check", "--config", &config]).stdout(nobody_reads()).output();
    let output = output.unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let missing = folder.argument("missing.yaml");
    let mut check = program();
    let status = check.args(["check", "--config", &missing]).stderr(nobody_reads()).status();
    assert_eq!(status.unwrap().code(), Some(1));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let running = Running::start(&["--port", "0", "--allow-anonymous"]);
    let port = running.ports[0].to_string();
    let output = run(&["--port", &port, "--allow-anonymous"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&format!("listen on 127.0.0.1:{port}")));
}

#[test]
fn sigterm_and_ctrl_c_stop_it_gracefully() {
    for signal in ["TERM", "INT"] {
        let mut running = Running::start(&["--port", "0", "--allow-anonymous"]);
        let mut subscriber = running.subscribe(&["-t", "a"]);
        running.signal(signal);
        // Server shutting down
        assert!(subscriber.rest().contains("DISCONNECT (139)"));
        running.until("stopped");
        assert_eq!(running.wait(), Some(0));
    }
}

/// C28
#[test]
fn a_store_that_goes_away_is_said_and_an_end_without_it_is_a_failure() {
    let folder = Folder::new();
    let store = folder.argument("store");
    let arguments = ["--port", "0", "--allow-anonymous", "--store", &store];
    let mut running = Running::start(&arguments);
    assert!(running.publish(&["-t", "door", "-m", "locked", "-r"]));
    std::fs::rename(folder.path("store"), folder.path("away")).unwrap();
    assert!(running.publish(&["-t", "door", "-m", "open", "-r", "-q", "0"]));
    let said = running.until("what depends on it is not acknowledged");
    assert!(said.contains("taken away"), "{said}");
    // Refused: 0x97.
    assert!(!running.publish(&["-t", "door", "-m", "ajar", "-r"]));
    running.signal("TERM");
    running.until("the last changes are lost");
    assert_eq!(running.wait(), Some(1));

    // When it is back, all is written.
    std::fs::rename(folder.path("away"), folder.path("store")).unwrap();
    let mut running = Running::start(&arguments);
    assert_eq!(running.subscribe(&["-t", "door"]).next(), "door locked");
    std::fs::rename(folder.path("store"), folder.path("away")).unwrap();
    assert!(running.publish(&["-t", "door", "-m", "open", "-r", "-q", "0"]));
    running.until("what depends on it is not acknowledged");
    std::fs::create_dir(folder.path("store")).unwrap();
    running.until("the broker's store takes changes again");
    running.signal("TERM");
    assert_eq!(running.wait(), Some(0));
    let running = Running::start(&arguments);
    assert_eq!(running.subscribe(&["-t", "door"]).next(), "door open");
}

/// C28
#[test]
fn a_torn_store_is_kept_aside_and_one_that_cannot_be_had_stops_the_start() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("store")).unwrap();
    folder.write("store/broker.sqlite", &"no database".repeat(100));
    let store = folder.argument("store");
    let arguments = ["--port", "0", "--allow-anonymous", "--store", &store];
    let running = Running::start(&arguments);
    let said = running.seen.iter().find(|line| line.contains("kept aside")).unwrap();
    assert!(said.contains("broker.sqlite.torn-"), "{said}");
    // Another one has it.
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("another process uses it"));
}

#[test]
fn a_store_in_redis_is_one_and_a_weaker_one_is_named() {
    let redis = Redis::start();
    let store = redis.url();
    let arguments = ["--port", "0", "--allow-anonymous", "--store", &store];
    let mut running = Running::start(&arguments);
    assert!(running.publish(&["-t", "door", "-m", "locked", "-r"]));
    let weaker = running.seen.iter().find(|line| line.contains("weaker")).unwrap();
    assert!(weaker.contains("appendonly") && weaker.contains("wanted=\"yes\""), "{weaker}");
    running.signal("KILL");
    running.wait();

    let folder = Folder::new();
    let config = |prefix: &str| {
        format!(
            "{{listeners: [{{address: '127.0.0.1:0'}}], access: {{allow_anonymous: true}}, \
             store: '{store}', store_prefix: '{prefix}'}}"
        )
    };
    let file = folder.write("broker.yaml", &config("another"));
    let other = Running::with_config(&file);
    let mut subscriber = other.subscribe(&["-t", "door"]);
    assert!(other.publish(&["-t", "door", "-m", "not kept there"]));
    assert_eq!(subscriber.next(), "door not kept there");
    let running = Running::start(&arguments);
    assert_eq!(running.subscribe(&["-t", "door"]).next(), "door locked");

    // Where there is none, it does not start, and does not tell the password.
    drop(redis);
    let file = folder.write("wrong.yaml", &config("{x}"));
    let said = text(&run(&["check", "--config", &file]).stderr);
    assert!(said.contains("store_prefix"), "{said}");
    let store = store.replace("redis://", "redis://:secret@");
    let output = run(&["--port", "0", "--allow-anonymous", "--store", &store]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("the broker's store") && !said.contains("secret"), "{said}");
}

#[test]
fn with_a_store_sessions_and_retained_messages_outlive_it() {
    let folder = Folder::new();
    let store = folder.argument("kept/here");
    let arguments = ["--port", "0", "--allow-anonymous", "--store", &store];
    let mut running = Running::start(&arguments);
    assert!(running.publish(&["-t", "door", "-m", "locked", "-r"]));
    let session = ["-i", "reader", "-c", "-x", "600", "-q", "1", "-t", "news"];
    drop(running.subscribe(&session));
    assert!(running.publish(&["-t", "news", "-m", "waited"]));
    running.signal("KILL");
    running.wait();

    let mut running = Running::start(&arguments);
    assert_eq!(running.subscribe(&["-t", "door"]).next(), "door locked");
    assert_eq!(running.subscribe(&session).next(), "news waited");
    running.signal("TERM");
    assert_eq!(running.wait(), Some(0));
}
