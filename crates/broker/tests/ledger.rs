//! The auth ledger over real sockets: who gets in and what they may, what a
//! file may say, and what a reload does to those who are there.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use latchlight_broker::document::{self, Format};
use latchlight_broker::ledger::{Ledger, LedgerRules, PasswordHash};
use latchlight_broker::{MemoryStore, QoS, ReasonCode};
use latchlight_mqtt::{Connect, ProtocolVersion, SubscriptionOptions};
use support::{Client, Ruled, TestBroker, VERSIONS, durable, user, with_hashes};

use ProtocolVersion::V5;
use QoS::{AtLeastOnce, AtMostOnce};

#[test]
fn only_whom_the_ledger_lets_in_is_let_in() {
    let ruled = Ruled::by(
        "
        users:
          alice: {password: HASH(wonder)}
          mallory: {password: HASH(right), disallow: true}
          door: {password: HASH(knock), client: [door, '%u.*']}
          far: {password: HASH(away), remote: 192.0.2.0/24}
          meter: {}
        auth:
          - {client: 'sensor-*', remote: 127.0.0.0/8, allow: true}
          - {username: meter, remote: [10.0.0.0/8, '127.0.0.1'], allow: true}
          - {client: 'sensor-bad*', allow: false}
          - {client: alices-stolen-phone, allow: false}
        ",
    );
    let refused = ReasonCode::BadUserNameOrPassword;
    for (connect, expected) in [
        (user("alice", "wonder", "phone"), ReasonCode::Success),
        (user("alice", "wrong", "phone"), refused),
        (user("alice", "", "phone"), refused),
        (user("nobody", "wonder", "phone"), refused),
        (user("mallory", "right", "phone"), refused),
        (user("alice", "wonder", "alices-stolen-phone"), refused),
        (user("door", "knock", "door"), ReasonCode::Success),
        (user("door", "knock", "door.2"), ReasonCode::Success),
        (user("door", "knock", "doors"), refused),
        (user("far", "away", "x"), refused),
        (user("meter", "", "x"), ReasonCode::Success),
        (Connect::new(V5, "sensor-1"), ReasonCode::Success),
        (Connect::new(V5, "sensor-bad1"), ReasonCode::NotAuthorized),
        (Connect::new(V5, "other"), ReasonCode::NotAuthorized),
        // A rule that lets in whoever comes does not stand for a password.
        (user("alice", "wrong", "sensor-2"), refused),
        (Connect { username: Some("alice".into()), ..Connect::new(V5, "sensor-3") }, refused),
        (user("stranger", "any", "sensor-4"), ReasonCode::Success),
        (
            Connect { username: Some("".into()), ..Connect::new(V5, "other") },
            ReasonCode::NotAuthorized,
        ),
    ] {
        let said = format!("{connect:?}");
        assert_eq!(ruled.try_connect(connect), expected, "{said}");
    }
}

#[test]
fn each_does_with_topics_what_the_rules_say() {
    let ruled = Ruled::by(
        "
        users:
          alice:
            password: HASH(a)
            acl: {alice/#: read-write, alice/secret: deny}
        auth: [{allow: true}]
        acl:
          - filters: {'news/#': read-only, 'drop/%c': write-only}
          - {client: reader, filters: {'#': read-only}}
          - {username: '*', filters: {'named/%u': read-write}}
        ",
    );
    for version in VERSIONS {
        let mut alice = ruled.connect(Connect { version, ..user("alice", "a", "phone") });
        let ok = |reason: ReasonCode| !reason.is_error();
        for (filter, allowed) in [
            ("alice/a", true),
            ("alice/#", false),
            ("alice/secret", false),
            ("news/#", true),
            ("$share/group/news/a", true),
            ("$share/group/drop/phone", false),
            ("drop/phone", false),
            ("named/alice", true),
            ("named/+", false),
            ("#", false),
            ("$SYS/#", false),
        ] {
            let reason = alice.try_subscribe(filter, SubscriptionOptions::default());
            assert_eq!(ok(reason), allowed, "{filter}");
        }
        alice.disconnect();
    }
    let mut alice = ruled.connect(user("alice", "a", "phone"));
    for (topic, allowed) in [
        ("alice/a", true),
        ("alice/secret", false),
        ("news/a", false),
        ("drop/phone", true),
        ("drop/other", false),
        ("named/alice", true),
        ("elsewhere", false),
    ] {
        let reason = alice.publish(topic, "x", AtLeastOnce);
        assert_eq!(reason == ReasonCode::NotAuthorized, !allowed, "{topic}: {reason:?}");
    }
    let mut reader = ruled.connect(Connect::new(V5, "reader"));
    reader.subscribe("#", AtMostOnce);
    alice.publish("alice/a", "seen", AtLeastOnce);
    assert_eq!(reader.next_message().1, "seen");
}

#[test]
fn a_file_may_be_json_and_means_the_same() {
    let yaml = "{default: allow, users: {a: {disallow: true, client: x, remote: '::1'}},
        auth: [{remote: [10.0.0.0/8], allow: false}], acl: [{username: [b, c], filters: {'#': deny}}]}";
    let json = r##"{"default": "allow", "users": {"a": {"disallow": true, "client": ["x"],
        "remote": "::1"}}, "auth": [{"remote": "10.0.0.0/8", "allow": false}],
        "acl": [{"username": ["b", "c"], "filters": {"#": "deny"}}]}"##;
    let yaml: LedgerRules = document::read_str(yaml, Format::Yaml).unwrap();
    let json: LedgerRules = document::read_str(json, Format::Json).unwrap();
    assert_eq!(yaml, json);
    // And it can be written again.
    let written: LedgerRules =
        document::read_str(&serde_json::to_string(&json).unwrap(), Format::Json).unwrap();
    assert_eq!(written, json);
}

#[test]
fn what_is_wrong_in_a_file_is_named_with_its_path_and_never_shown() {
    let mistakes = [
        ("{userz: {}}", "userz"),
        ("{default: perhaps}", "default"),
        ("{users: {alice: {password: S3CRET}}}", "users.alice.password"),
        ("{users: {alice: {password: 5318008}}}", "users.alice.password"),
        ("{users: {alice: {pasword: x}}}", "users.alice.pasword"),
        ("{users: {alice: S3CRET}}", "users.alice"),
        ("{users: [S3CRET]}", "users"),
        ("{auth: [{client: a}]}", "auth[0]"),
        ("{auth: [{client: 'a', allow: 'S3CRET'}]}", "auth[0].allow"),
        ("{auth: [{allow: true}, {remote: 10.0.0.0/99, allow: true}]}", "auth[1].remote"),
        ("{auth: [{remote: [10.0.0.1, localhost], allow: true}]}", "auth[0].remote[1]"),
        ("{auth: [{username: [], allow: true}]}", "auth[0].username"),
        ("{acl: [{filters: {a/#/b: deny}}]}", "acl[0].filters"),
        ("{acl: [{filters: {a: 3}}]}", "acl[0].filters.a"),
        ("{acl: [{filters: {}}]}", "acl[0].filters"),
        ("{acl: [{}]}", "acl[0]"),
        ("{users: {'': {}}}", "users"),
    ];
    for (yaml, path) in mistakes {
        let json: Option<serde_json::Value> = document::read_str(yaml, Format::Yaml).ok();
        let json = json.map(|value| value.to_string());
        let texts = [(Some(yaml.to_owned()), Format::Yaml), (json, Format::Json)];
        for (text, format) in texts.into_iter().filter_map(|(text, format)| Some((text?, format))) {
            let rules = document::read_str(&text, format).and_then(Ledger::new);
            let error = rules.expect_err(&text).to_string();
            assert!(error.contains(path), "{text}: {error}");
            assert!(!error.contains("S3CRET") && !error.contains("5318008"), "{text}: {error}");
        }
    }
    for (twice, format) in [
        (r#"{"users": {"alice": {}, "alice": {"disallow": true}}}"#, Format::Json),
        ("users:\n  alice: {}\n  alice: {disallow: true}\n", Format::Yaml),
    ] {
        let error = document::read_str::<LedgerRules>(twice, format).unwrap_err().to_string();
        assert!(error.contains("users") && error.contains("`alice` stands here twice"), "{error}");
    }
    // Of two sections, neither is passed over: one may shut out whom the other
    // lets in.
    for (twice, said, format) in [
        (r#"{"users": {}, "users": {}}"#, "duplicate field `users` (line 1, column", Format::Json),
        ("users: {}\nacl: []\nusers: {}\n", "`users` stands here twice (line 3,", Format::Yaml),
        (
            "users: {a: {disallow: true, disallow: false}}\n",
            "users.a: `disallow` stands here twice (line 1,",
            Format::Yaml,
        ),
        (
            "acl:\n  - filters: {a: deny}\n    filters: {}\n",
            "acl[0]: `filters` stands here twice (line 3,",
            Format::Yaml,
        ),
    ] {
        let error = document::read_str::<LedgerRules>(twice, format).unwrap_err().to_string();
        assert!(error.contains(said), "{twice}: {error}");
    }
}

#[test]
fn a_password_in_the_place_of_a_hash_is_refused_with_the_command_that_makes_one() {
    let argon2i =
        "$argon2i$v=19$m=4096,t=3,p=1$c29tZXNhbHQ$iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A";
    let endless =
        "$argon2id$v=19$m=4194304,t=3,p=1$c29tZXNhbHQ$iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A";
    for offered in ["hunter2", argon2i, endless, "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ"] {
        let text = format!("users:\n  alice:\n    password: '{offered}'\n");
        let error = document::read_str::<LedgerRules>(&text, Format::Yaml).unwrap_err().to_string();
        assert!(error.contains("users.alice.password"), "{error}");
        assert!(error.contains("latchlight-broker hash-password"), "{error}");
        assert!(error.contains("line 3") && !error.contains(offered), "{error}");
    }
}

/// C30
#[test]
fn no_debug_output_has_a_hash() {
    let hash = PasswordHash::of(b"secret").unwrap();
    let text = format!("users: {{alice: {{password: '{hash}'}}}}");
    let rules: LedgerRules = document::read_str(&text, Format::Yaml).unwrap();
    let ledger = Ledger::new(rules.clone()).unwrap();
    for shown in [format!("{hash:?}"), format!("{rules:?}"), format!("{ledger:?}")] {
        assert!(!shown.contains("argon2"), "{shown}");
    }
}

/// The threads that serve sockets do not check passwords.
#[test]
fn while_passwords_are_checked_others_are_served() {
    let ruled = Ruled::by(
        "{users: {alice: {password: HASH(a)}}, auth: [{client: busy, allow: true}],
          acl: [{filters: {'#': read-write}}]}",
    );
    let mut busy = ruled.connect(Connect::new(V5, "busy"));
    let address = ruled.broker.address();
    let tries: Vec<_> = (0..12)
        .map(|number| {
            let connect = user("alice", "a", &format!("phone-{number}"));
            // Who waits for too long, on a busy machine, comes again.
            std::thread::spawn(move || {
                loop {
                    let reason = Client::try_connect(address, connect.clone()).1.reason;
                    if reason != ReasonCode::ServerBusy {
                        return reason;
                    }
                }
            })
        })
        .collect();
    let mut served = 0;
    let end = Instant::now() + Duration::from_secs(60);
    while tries.iter().any(|one| !one.is_finished()) && Instant::now() < end {
        busy.expect_nothing();
        served += 1;
    }
    for one in tries {
        assert_eq!(one.join().unwrap(), ReasonCode::Success);
    }
    // Each try takes milliseconds; had they been in the way, it were one per thread.
    assert!(served > 12, "{served}");
}

/// What the rules say at a restart counts for those who were there before it.
#[test]
fn sessions_that_a_store_brings_back_are_held_to_the_rules_of_now() {
    let store = MemoryStore::default();
    let start = |text: &str| {
        let rules = document::read_str(&with_hashes(text), Format::Yaml).unwrap();
        let ledger = Ledger::new(rules).unwrap();
        TestBroker::build(|builder| builder.access(ledger).store(store.clone()))
    };
    let alice = "alice: {password: HASH(a), remote: 127.0.0.1}";
    let mut broker = start(&format!(
        "{{users: {{{alice}, gone: {{password: HASH(g)}}}}, acl: [{{filters: {{'#': read-write}}}}]}}"
    ));
    let connect = |broker: &TestBroker, name, id, clean_start| {
        Client::connect_with(broker.address(), durable(user(name, &name[..1], id), clean_start))
    };
    for (name, id, filter) in [("alice", "1", "a"), ("alice", "2", "b"), ("gone", "3", "a")] {
        connect(&broker, name, id, true).0.subscribe(filter, AtLeastOnce);
    }
    broker.close();

    let broker = start(&format!(
        "{{users: {{{alice}}}, acl: [{{remote: 127.0.0.1, filters: {{a: read-only}}}}]}}"
    ));
    assert_eq!(broker.counters().sessions, 2);
    assert!(connect(&broker, "alice", "1", false).1.session_present);
    assert!(!connect(&broker, "alice", "2", false).1.session_present);
    // The client id is free again.
    assert!(!connect(&broker, "alice", "3", false).1.session_present);
}

/// Granted in part, a subscription brings what may be read; refused as a
/// whole, it brings nothing.
#[test]
fn who_may_not_read_a_topic_does_not_read_it_by_a_wildcard() {
    let filtering = with_hashes(
        "{wide_subscriptions: filter, users: {alice: {password: HASH(a)}, bob: {password: HASH(b)}},
         acl: [{username: alice, filters: {'#': read-only, 'secret/#': deny}},
               {username: bob, filters: {'#': read-write}}]}",
    );
    let refusing = filtering.replace("filter,", "refuse,");
    let ruled = Ruled::by(&filtering);
    let mut bob = ruled.connect(user("bob", "b", "bob"));
    bob.publish_retained("secret/kept", "s", AtLeastOnce);
    let mut alice = ruled.connect(user("alice", "a", "alice"));
    for filter in ["#", "+/x", "$share/group/#"] {
        alice.subscribe(filter, AtLeastOnce);
    }
    let reason = alice.try_subscribe("secret/+", SubscriptionOptions::default());
    assert_eq!(reason, ReasonCode::NotAuthorized);
    bob.publish("secret/x", "s", AtLeastOnce);
    bob.publish("free/x", "f", AtLeastOnce);
    for _ in 0..2 {
        let publish = alice.next_publish();
        assert_eq!(publish.topic, "free/x");
        alice.acknowledge(&publish);
    }
    alice.expect_nothing();

    // With the file's word gone, the subscription is too wide.
    assert_eq!(ruled.change(&refusing), 1);
    alice.expect_disconnect(ReasonCode::NotAuthorized);
    let mut alice = ruled.connect(user("alice", "a", "alice"));
    let reason = alice.try_subscribe("#", SubscriptionOptions::default());
    assert_eq!(reason, ReasonCode::NotAuthorized);
    // And back, without a moment in which it brings more than it should.
    std::fs::write(&ruled.file, &filtering).unwrap();
    ruled.ledger.reload().unwrap();
    let reason = alice.try_subscribe("#", SubscriptionOptions::default());
    assert_eq!(reason, ReasonCode::NotAuthorized, "the broker does not ask yet");
    ruled.broker.review();
    alice.subscribe("#", AtLeastOnce);
    bob.publish("secret/x", "s", AtLeastOnce);
    alice.expect_nothing();
}

/// Users by the certificates that they show, at a TLS listener; with a password
/// beside it, or without one.
#[cfg(feature = "tls")]
#[test]
fn users_are_known_by_their_certificates() {
    use latchlight_broker::{ClientCertificates, Listener};
    use support::{Authority, tls};

    let authority = Authority::new();
    let [door, window, stranger] = ["door", "window", "stranger"].map(|name| authority.sign(name));
    let ruled = Ruled::by(
        "{users: {door: {certificate: '%u'}, both: {certificate: window, password: HASH(right)}, \
         plain: {password: HASH(right)}}, auth: [{username: door, allow: true}], \
         acl: [{filters: {'#': read-write}}]}",
    );
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = authority.server_for(ClientCertificates::Optional);
    let listener = Listener::tcp(socket).tls(&tls(config));
    let address = ruled.broker.add_listener(listener).unwrap().address.socket().unwrap();
    let connect = |shows: Option<&support::Identity>, name: &str, password: Option<&str>| {
        let wallet = support::Wallet { shows, ..authority.wallet() };
        let mut connect = Connect::new(V5, "client");
        connect.username = (!name.is_empty()).then(|| name.into());
        connect.password = password.map(|password| password.to_owned().into());
        let stream = wallet.connect(address).unwrap();
        Client::new(stream, V5).say_connect(connect).1.reason
    };
    for (shows, name, password, is_let_in) in [
        (Some(&door), "door", None, true),
        // Without a name, it is whose certificate it is.
        (Some(&door), "", None, true),
        (Some(&window), "door", None, false),
        (Some(&stranger), "", None, false),
        // No rule stands for the certificate.
        (None, "door", None, false),
        (Some(&window), "both", Some("right"), true),
        (Some(&window), "both", Some("wrong"), false),
        (Some(&window), "both", None, false),
        (Some(&door), "both", Some("right"), false),
        (None, "both", Some("right"), false),
        (None, "plain", Some("right"), true),
        (Some(&door), "plain", None, false),
    ] {
        let reason = connect(shows, name, password);
        assert_eq!(!reason.is_error(), is_let_in, "{name} {password:?}: {reason:?}");
    }
}
