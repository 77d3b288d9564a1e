//! What a reload of the auth ledger does to those who are there.
#![allow(clippy::unwrap_used)]

mod support;

use latchlight_broker::{QoS, ReasonCode};
use latchlight_mqtt::{Connect, ProtocolVersion};
use support::{Client, Ruled, durable, user};

use ProtocolVersion::V5;
use QoS::AtLeastOnce;

/// C25, C11
#[test]
fn a_reload_ends_the_sessions_of_those_who_may_no_more_and_no_others() {
    let first = "
        users:
          gone: {password: HASH(1)}
          banned: {password: HASH(1)}
          away: {password: HASH(1)}
          stays: {password: HASH(1)}
        auth: [{client: 'guest-*', allow: true}]
        acl: [{filters: {'a/#': read-write}}]
        ";
    let ruled = Ruled::by(first);
    let mut gone = ruled.connect(durable(user("gone", "1", "gone"), true));
    let mut banned = ruled.connect(user("banned", "1", "banned"));
    let mut away = ruled.connect(durable(user("away", "1", "away"), true));
    let mut guest = ruled.connect(Connect::new(V5, "guest-1"));
    let stays = std::fs::read_to_string(&ruled.file).unwrap();
    let stays = stays.lines().find(|line| line.contains("stays:")).unwrap().to_owned();
    let mut kept = ruled.connect(durable(user("stays", "1", "stays"), true));
    for client in [&mut gone, &mut away, &mut kept] {
        client.subscribe("a/b", AtLeastOnce);
    }
    away.disconnect();
    ruled.broker.until("it is away", |broker| broker.clients().len() == 4);

    let second = format!(
        "
        users:
          banned: {{password: HASH(1), disallow: true}}
{stays}
        acl: [{{filters: {{'a/#': read-write}}}}]
        "
    );
    assert_eq!(ruled.change(&second), 4);
    for client in [&mut gone, &mut banned, &mut guest] {
        client.expect_disconnect(ReasonCode::NotAuthorized);
    }
    kept.expect_nothing();
    ruled.broker.until("their sessions are gone", |broker| broker.counters().sessions == 1);
    assert_eq!(ruled.broker.counters().subscriptions, 1);
    for name in ["gone", "banned", "away"] {
        let reason = ruled.try_connect(durable(user(name, "1", name), false));
        assert_eq!(reason, ReasonCode::BadUserNameOrPassword);
    }
    assert!(!kept.publish("a/c", "x", AtLeastOnce).is_error());
}

/// C25
#[test]
fn a_bad_file_keeps_the_rules_that_there_are() {
    let ruled = Ruled::by("users: {alice: {password: HASH(a)}}");
    let mut alice = ruled.connect(user("alice", "a", "phone"));
    for bad in ["users: {alice: {password: plain}}", "users: [", "{acl: [{filters: {}}]}"] {
        std::fs::write(&ruled.file, bad).unwrap();
        let error = ruled.ledger.reload().unwrap_err().to_string();
        assert!(error.contains("ledger.yaml"), "{error}");
        assert_eq!(ruled.broker.review(), 0);
    }
    std::fs::remove_file(&ruled.file).unwrap();
    assert!(ruled.ledger.reload().unwrap_err().to_string().contains("ledger.yaml"));
    alice.expect_nothing();
    assert_eq!(ruled.try_connect(user("alice", "a", "other")), ReasonCode::Success);
}

#[test]
fn a_session_with_a_subscription_that_is_no_longer_allowed_ends() {
    let rules =
        |filters: &str| format!("{{auth: [{{allow: true}}], acl: [{{filters: {{{filters}}}}}]}}");
    let ruled = Ruled::by(&rules("'a/#': read-write, 'b/#': read-write"));
    let mut wide = ruled.connect(durable(Connect::new(V5, "wide"), true));
    wide.subscribe("a/#", AtLeastOnce);
    wide.subscribe("b/#", AtLeastOnce);
    let mut narrow = ruled.connect(durable(Connect::new(V5, "narrow"), true));
    narrow.subscribe("a/#", AtLeastOnce);
    assert_eq!(ruled.change(&rules("'a/#': read-write, 'b/#': deny")), 1);
    wide.expect_disconnect(ReasonCode::NotAuthorized);
    narrow.expect_nothing();
    let (_, connack) =
        Client::connect_with(ruled.broker.address(), durable(Connect::new(V5, "wide"), false));
    assert!(!connack.session_present);
}

#[test]
fn another_password_closes_the_connections_that_came_by_the_old_one() {
    let ruled =
        Ruled::by("{users: {alice: {password: HASH(old)}}, acl: [{filters: {'#': read-write}}]}");
    let mut alice = ruled.connect(durable(user("alice", "old", "phone"), true));
    alice.subscribe("a", AtLeastOnce);
    ruled.change("{users: {alice: {password: HASH(new)}}, acl: [{filters: {'#': read-write}}]}");
    alice.expect_disconnect(ReasonCode::NotAuthorized);
    assert!(ruled.try_connect(durable(user("alice", "old", "phone"), false)).is_error());
    // The session waits for whoever knows the new one.
    let connect = durable(user("alice", "new", "phone"), false);
    let (mut alice, connack) = Client::connect_with(ruled.broker.address(), connect);
    assert!(connack.session_present);
    assert_eq!(ruled.broker.review(), 0);
    alice.expect_nothing();
}

/// Nobody's will speaks for them when they may no more.
#[test]
fn the_will_of_somebody_who_was_removed_is_not_published() {
    let acl = "acl: [{filters: {'#': read-write}}]";
    let ruled = Ruled::by(&format!(
        "{{users: {{alice: {{password: HASH(a)}}}}, auth: [{{client: watcher, allow: true}}], {acl}}}"
    ));
    let mut watcher = ruled.connect(Connect::new(V5, "watcher"));
    watcher.subscribe("will", AtLeastOnce);
    let will = latchlight_mqtt::Will {
        topic: "will".try_into().unwrap(),
        payload: "x".into(),
        qos: AtLeastOnce,
        retain: false,
        properties: Default::default(),
    };
    let mut alice = ruled.connect(Connect { will: Some(will), ..user("alice", "a", "phone") });
    ruled.change(&format!("{{auth: [{{client: watcher, allow: true}}], {acl}}}"));
    alice.expect_disconnect(ReasonCode::NotAuthorized);
    ruled.broker.until("it is gone", |broker| broker.counters().sessions == 1);
    watcher.expect_nothing();
}
