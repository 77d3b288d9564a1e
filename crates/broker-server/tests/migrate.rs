//! `latchlight-broker migrate`: what a Mochi-MQTT user gets, and is told.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Folder, Redis, Running, run, text};

/// Runs it; gives what it said.
fn migrate(folder: &Folder, name: &str, theirs: &str) -> String {
    let file = folder.write(name, theirs);
    let output = run(&["migrate", &file, "--out", &folder.argument("ours")]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn read(folder: &Folder, name: &str) -> String {
    std::fs::read_to_string(folder.path("ours").join(name)).unwrap()
}

/// The lines below a title.
fn below<'a>(said: &'a str, title: &str) -> Vec<&'a str> {
    let lines = said.lines().skip_while(|line| *line != format!("{title}:"));
    lines.skip(1).take_while(|line| !line.is_empty()).collect()
}

fn says(said: &str, title: &str, what: &[&str]) {
    let lines = below(said, title);
    let is_there = lines.iter().any(|line| what.iter().all(|what| line.contains(what)));
    assert!(is_there, "{title}: {what:?} is not in {lines:#?}");
}

const LOOK: &str = "Look at these";
const CHANGED: &str = "Changed in meaning";
const LEFT_OUT: &str = "Not carried over";

#[test]
fn a_whole_configuration_becomes_ours_and_runs() {
    let folder = Folder::new();
    let said = migrate(
        &folder,
        "theirs.yaml",
        r##"
listeners:
  - {type: tcp, id: main, address: "127.0.0.1:0"}
  - {type: ws, id: browsers, address: "127.0.0.1:0"}
  - {type: sysinfo, id: stats, address: ":8080"}
hooks:
  debug: {enable: true}
  storage:
    bolt: {path: bolt.db}
  auth:
    allow_all: false
    ledger:
      users:
        alice:
          password: 0123
          acl: {"alice/#": 3}
        mallory: {password: right, disallow: true}
      auth:
        - {username: bob, password: builder, client: "bob-*", allow: true}
        - {remote: "10.0.*", allow: true}
        - {remote: "127.0.0.1:*"}
      acl:
        - username: bob
          filters: {"news/#": 1}
        - filters: {"secret/#": 0, "$SYS/#": 0}
options:
  inline_client: true
  sys_topic_resend_interval: 10
  capabilities:
    maximum_clients: 500
    maximum_session_expiry_interval: 86400
    maximum_packet_size: 0
    maximum_inflight: 100
    maximum_qos: 1
    compatibilities: {obscure_not_authorized: true, passive_client_disconnect: false}
logging: {level: INFO}
"##,
    );
    let config = read(&folder, "broker.yaml");
    for line in [
        "ledger: users.yaml",
        "store: store",
        "max_connections: 500",
        "max_session_expiry: 86400",
        "max_queued_messages: 100",
        "sys_interval: 10",
        "level: info",
    ] {
        assert!(config.contains(line), "{line} is not in {config}");
    }
    assert!(!config.contains("max_packet_size"), "{config}");
    assert!(config.contains("type: ws"), "{config}");
    says(&said, CHANGED, &["listeners[1]", "pages from elsewhere"]);
    says(&said, LEFT_OUT, &["listeners[2]", "`sysinfo`"]);
    says(&said, LEFT_OUT, &["auth[2]", "refused anyway"]);
    says(&said, LEFT_OUT, &["inline_client"]);
    says(&said, LEFT_OUT, &["maximum_qos"]);
    says(&said, LEFT_OUT, &["obscure_not_authorized"]);
    assert!(!said.contains("passive_client_disconnect"));
    says(&said, CHANGED, &["default: allow"]);
    says(&said, CHANGED, &["argon2id"]);
    says(&said, CHANGED, &["storage.bolt", "begins empty"]);
    says(&said, CHANGED, &["max_packet_size", "default of ours"]);

    let running = Running::with_config(&folder.path("ours").join("broker.yaml").to_string_lossy());
    let publish = |who: [&str; 3], topic| {
        let [id, user, password] = who;
        running.publish(&["-i", id, "-u", user, "-P", password, "-t", topic, "-m", "x"])
    };
    let (alice, bob) = (["a", "alice", "0123"], ["bob-1", "bob", "builder"]);
    assert!(publish(alice, "alice/a") && publish(alice, "elsewhere"));
    assert!(!publish(alice, "secret/a"));
    assert!(publish(bob, "elsewhere") && !publish(bob, "news/a"));
    for stranger in [
        ["a", "alice", "123"],
        ["x", "bob", "builder"],
        ["m", "mallory", "right"],
        ["x", "eve", "x"],
    ] {
        assert!(!publish(stranger, "elsewhere"), "{stranger:?}");
    }
}

#[test]
fn their_redis_is_ours_and_its_password_stays_where_it_is() {
    use std::os::unix::fs::PermissionsExt as _;

    let redis = Redis::start();
    let address = redis.url().replace("redis://", "");
    let theirs = |more: &str| {
        format!(
            "{{listeners: [{{type: tcp, id: a, address: '127.0.0.1:0'}}], hooks: {{auth: \
             {{allow_all: true}}, storage: {{redis: {{{more}}}}}}}}}"
        )
    };
    let folder = Folder::new();
    let said = migrate(
        &folder,
        "theirs.yaml",
        &theirs(&format!("address: '{address}', h_prefix: mochi-, database: 2, pool: 3")),
    );
    says(&said, CHANGED, &["storage.redis", "begun empty", "appendfsync"]);
    says(&said, LEFT_OUT, &["storage.redis.pool"]);
    let config = read(&folder, "broker.yaml");
    assert!(config.contains("store_prefix: mochi-"), "{config}");
    let running = Running::with_config(&folder.path("ours").join("broker.yaml").to_string_lossy());
    assert!(running.publish(&["-t", "door", "-m", "locked", "-r"]));

    let folder = Folder::new();
    let more = "username: me, password: 'p@ss/word', h_prefix: 'a b'";
    let said = migrate(&folder, "theirs.yaml", &theirs(more));
    says(&said, LOOK, &["redis.password"]);
    says(&said, CHANGED, &["h_prefix", "default"]);
    assert!(!said.contains("p@ss") && !said.contains("p%40ss"), "{said}");
    let config = read(&folder, "broker.yaml");
    assert!(config.contains("redis://me:p%40ss%2Fword@localhost:6379"), "{config}");
    let file = std::fs::metadata(folder.path("ours").join("broker.yaml")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

/// C30
#[test]
fn no_password_is_written_or_said() {
    let folder = Folder::new();
    let said = migrate(
        &folder,
        "theirs.json",
        r##"{"users": {"alice": {"password": "S3CRET"}, "eve": {"password": "S3CRET*x"}},
            "auth": [{"username": "bob", "password": "S3CRET", "allow": true},
                     {"username": "b*", "password": "S3CRET", "allow": true},
                     {"username": "alice", "password": "S3CRET", "allow": true},
                     {"username": "c", "password": "S3CRET", "allow": false}]}"##,
    );
    let ledger = read(&folder, "users.yaml");
    assert!(!said.contains("S3CRET") && !ledger.contains("S3CRET"), "{said}{ledger}");
    assert_eq!(ledger.matches("$argon2id$").count(), 3);
    says(&said, LOOK, &["auth[1]", "make each a user"]);
    says(&said, LOOK, &["auth[2]", "`alice` has a password already"]);
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(folder.path("ours/users.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // What is wrong in theirs shows none either.
    let file = folder.write("bad.yaml", "users: {alice: S3CRET}");
    let output = run(&["migrate", &file, "--out", &folder.argument("other")]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("users.alice") && !said.contains("S3CRET"), "{said}");
}

#[test]
fn what_the_order_decided_is_said() {
    let folder = Folder::new();
    let said = migrate(
        &folder,
        "theirs.yaml",
        r##"
auth:
  - {username: boss, allow: true}
  - {client: "bad-*", allow: false}
  - {username: "*", allow: true}
  - {client: never-asked, allow: false}
acl:
  - {username: boss, filters: {"a/#": 3, "b/#": 1}}
  - {username: clerk, filters: {"c/#": 3}}
  - {filters: {"a/x": 0, "b/y/#": 3, "#": 1}}
  - {remote: "127.0.0.1"}
  - {remote: "10.1*", filters: {"z": 0}}
  - {username: melon, filters: , "melon/#": 3}
"##,
    );
    says(&said, LOOK, &["auth[1]", "a deny wins"]);
    says(&said, LOOK, &["auth[2]", "lets everybody in"]);
    says(&said, LEFT_OUT, &["auth[3] and on"]);
    says(&said, CHANGED, &["acl[2] `a/x/#`", "acl[0] `a/#` allowed it"]);
    says(&said, CHANGED, &["acl[2] `a/x/#`", "`#` of the same rule"]);
    says(&said, LOOK, &["acl[2] `b/y/#`", "grants publishing", "acl[0] `b/#`"]);
    says(&said, CHANGED, &["acl[2] `a/x`", "all topics below it"]);
    says(&said, LEFT_OUT, &["acl[3]", "never meant anybody"]);
    says(&said, LOOK, &["acl[4]", "NOT denied"]);
    says(&said, LOOK, &["acl[5].melon/#", "below `filters`"]);
    // Bosses and clerks are different people.
    assert!(!said.contains("acl[1] `c/#`: also"), "{said}");
    let ledger = read(&folder, "users.yaml");
    assert!(!folder.path("ours/broker.yaml").exists());
    assert!(ledger.contains("default: allow") && ledger.contains("a/x/#"), "{ledger}");
}

#[test]
fn who_let_everybody_in_does_so_still() {
    let folder = Folder::new();
    let theirs = r#"{"listeners": [{"type": "tcp", "id": "t", "address": ":0"}],
        "hooks": {"auth": {"allow_all": true}}, "options": {"inlineclient": true}}"#;
    let said = migrate(&folder, "theirs.json", theirs);
    let config = read(&folder, "broker.yaml");
    assert!(
        config.contains("allow_anonymous: true") && config.contains("exposed: true"),
        "{config}"
    );
    assert!(!folder.path("ours/users.yaml").exists());
    says(&said, LOOK, &["listeners[0]", "other machines"]);
    says(&said, LEFT_OUT, &["options.inlineclient", "not known"]);
}

#[test]
fn nothing_is_overwritten() {
    let folder = Folder::new();
    migrate(&folder, "theirs.yaml", "auth: [{username: a, allow: true}]");
    let before = read(&folder, "users.yaml");
    let file = folder.argument("theirs.yaml");
    let output = run(&["migrate", &file, "--out", &folder.argument("ours")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("users.yaml is there already"));
    assert_eq!(read(&folder, "users.yaml"), before);
}
