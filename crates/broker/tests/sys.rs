//! The `$SYS` topics.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use latchlight_broker::{
    Access, ClientInfo, ConnectRequest, InlinePublish, Options, PublishRequest, Refusal,
    SubscriptionOptions,
};
use latchlight_mqtt::{
    Connect, Properties, ProtocolVersion, QoS, ReasonCode, RetainHandling, Will,
};
use support::{Client, TestBroker, VERSIONS};

use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce};

fn every(milliseconds: u64) -> Options {
    Options { sys_interval: Duration::from_millis(milliseconds), ..Options::default() }
}

#[test]
fn a_new_subscription_gets_all_values_as_retained_ones() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        broker.until("they are there", |broker| {
            broker.retained(&"$SYS/#".try_into().unwrap()).count() > 50
        });
        let mut client = Client::connect(broker.address(), version, "client");
        client.subscribe("$SYS/broker/version", AtLeastOnce);
        let received = client.next_publish();
        assert!(received.retain && received.qos == AtMostOnce, "{received:?}");
        let expected = format!("latchlight-broker version {}", env!("CARGO_PKG_VERSION"));
        assert_eq!(received.payload, expected.as_bytes());
        client.subscribe("$SYS/broker/clients/+", AtMostOnce);
        let received: BTreeSet<_> = (0..7).map(|_| client.next_message().0).collect();
        let names =
            ["active", "connected", "disconnected", "expired", "inactive", "maximum", "total"];
        assert_eq!(received, names.map(|name| format!("$SYS/broker/clients/{name}")).into());
        client.expect_nothing();
    }
}

#[test]
fn wildcards_at_the_beginning_do_not_reach_them() {
    let broker = TestBroker::with_options(every(20));
    let mut hidden = Client::connect(broker.address(), V5, "hidden");
    hidden.subscribe("#", AtMostOnce);
    hidden.subscribe("+/broker/uptime", AtMostOnce);
    let mut client = Client::connect(broker.address(), V5, "client");
    client.subscribe("$SYS/broker/clients/connected", AtMostOnce);
    while client.next_message().1 != "2" {}
    // [MQTT-4.7.2-1]
    hidden.expect_nothing();
}

#[test]
fn only_what_has_changed_is_sent_again() {
    let broker = TestBroker::with_options(every(20));
    let mut client = Client::connect(broker.address(), V5, "client");
    let once = SubscriptionOptions {
        retain_handling: RetainHandling::DoNotSend,
        ..SubscriptionOptions::default()
    };
    // Not while it is being said, which would come before SUBACK.
    broker.until("they say that it is there", |broker| {
        ["connected", "maximum"].iter().all(|name| {
            let topic = format!("$SYS/broker/clients/{name}");
            let mut said = broker.retained(&topic.as_str().try_into().unwrap());
            said.next().is_some_and(|said| said.payload == "1")
        })
    });
    client.try_subscribe("$SYS/broker/clients/connected", once);
    client.try_subscribe("$SYS/broker/clients/maximum", once);
    let other = Client::connect(broker.address(), V311, "other");
    let mut received: Vec<_> = (0..2).map(|_| client.next_message()).collect();
    received.sort();
    let expected = [("connected", "2"), ("maximum", "2")]
        .map(|(name, value)| (format!("$SYS/broker/clients/{name}"), value.to_owned()));
    assert_eq!(received, expected);
    other.disconnect();
    // The maximum stays, and is not said again.
    let (topic, value) = client.next_message();
    assert_eq!((&*topic, &*value), ("$SYS/broker/clients/connected", "1"));
}

#[test]
fn they_count_what_went_by() {
    let broker = TestBroker::with_options(every(20));
    let mut client = Client::connect(broker.address(), V5, "client");
    client.subscribe("a/#", AtMostOnce);
    client.subscribe("$share/group/b", AtMostOnce);
    for _ in 0..3 {
        client.send(latchlight_mqtt::Packet::Publish(latchlight_mqtt::Publish::new("a", "12345")));
        client.next_publish();
    }
    client.publish_retained("kept", "1234567", AtLeastOnce);
    let expected = [
        ("clients/connected", "1"),
        ("clients/total", "1"),
        ("publish/messages/received", "4"),
        ("publish/messages/sent", "3"),
        ("publish/bytes/received", "22"),
        ("publish/bytes/sent", "15"),
        ("publish/messages/dropped", "0"),
        // CONNECT, two SUBSCRIBE, four PUBLISH; CONNACK, two SUBACK, three PUBLISH, PUBACK
        ("messages/received", "7"),
        ("messages/sent", "7"),
        ("retained messages/count", "1"),
        ("messages/stored", "1"),
        ("store/messages/bytes", "11"),
        ("subscriptions/count", "1"),
        ("shared_subscriptions/count", "1"),
    ];
    for (name, value) in expected {
        broker.until(name, |broker| {
            let topic = format!("$SYS/broker/{name}").try_into().unwrap();
            broker.retained(&topic).next().is_some_and(|message| message.payload == value)
        });
    }
    let load = "$SYS/broker/load/connections/1min".try_into().unwrap();
    broker.until("the load", |broker| {
        let payload = broker.retained(&load).next().map(|message| message.payload);
        payload.is_some_and(|load| str::from_utf8(&load).unwrap().parse::<f64>().unwrap() > 0.5)
    });
}

#[test]
fn a_session_that_comes_back_gets_no_old_numbers() {
    let broker = TestBroker::with_options(every(20));
    let mut client = Client::connect_with(broker.address(), support::resuming(V5, "client")).0;
    client.subscribe("$SYS/broker/messages/#", AtLeastOnce);
    client.disconnect();
    let mut other = Client::connect(broker.address(), V5, "other");
    let changed = "$SYS/broker/messages/received".try_into().unwrap();
    let before = broker.retained(&changed).next();
    other.expect_nothing();
    broker.until("it changes", |broker| broker.retained(&changed).next() != before);
    assert_eq!(broker.session("client").unwrap().queued_messages, 0);
}

#[test]
fn nobody_else_publishes_there() {
    let broker = TestBroker::with_options(every(0));
    let mut client = Client::connect(broker.address(), V5, "client");
    client.subscribe("$SYS/#", AtMostOnce);
    let topic = "$SYS/broker/version";
    assert_eq!(client.publish(topic, "mine", AtLeastOnce), ReasonCode::NotAuthorized);
    assert_eq!(client.publish_retained(topic, "mine", AtLeastOnce), ReasonCode::NotAuthorized);
    assert_eq!(client.publish("$SYS", "mine", AtLeastOnce), ReasonCode::NotAuthorized);
    client.publish(topic, "mine", AtMostOnce);
    let mut older = Client::connect(broker.address(), V311, "older");
    older.publish_retained(topic, "mine", AtLeastOnce);
    client.expect_nothing();
    let mut connect = Connect::new(V5, "third");
    connect.will = Some(Will {
        topic: topic.try_into().unwrap(),
        payload: "mine".into(),
        qos: AtMostOnce,
        retain: true,
        properties: Properties::new(),
    });
    let (_, connack) = Client::try_connect(broker.address(), connect);
    assert_eq!(connack.reason, ReasonCode::NotAuthorized);
    assert_eq!(broker.counters().publishes_refused, 5);
    // What only begins so is any topic.
    client.publish("$SYSTEM", "x", AtLeastOnce);
    // The process itself may add to them; with an interval of 0 there is nothing else.
    let own =
        InlinePublish { retain: true, ..InlinePublish::new(topic.try_into().unwrap(), "own") };
    broker.inline().publish(own);
    assert_eq!(client.next_message(), (topic.to_owned(), "own".to_owned()));
    assert_eq!(broker.retained(&"$SYS/#".try_into().unwrap()).count(), 1);
    assert_eq!(broker.counters().retained_messages, 0);
}

/// Lets everybody in, and nobody at `$SYS`.
struct NotSystem;

#[async_trait]
impl Access for NotSystem {
    async fn authenticate(&self, _: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        Ok("somebody".into())
    }

    fn authorize_publish(&self, _: &ClientInfo, _: &PublishRequest<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, filter: &str) -> Result<(), ReasonCode> {
        match filter.starts_with("$SYS") {
            true => Err(ReasonCode::NotAuthorized),
            false => Ok(()),
        }
    }
}

#[test]
fn who_may_read_them_is_asked_for_as_for_any_filter() {
    let broker = TestBroker::with_access(NotSystem);
    let mut client = Client::connect(broker.address(), V5, "client");
    for filter in ["$SYS/#", "$SYS/broker/version", "$share/group/$SYS/#"] {
        let reason = client.try_subscribe(filter, SubscriptionOptions::default());
        assert_eq!(reason, ReasonCode::NotAuthorized, "{filter}");
    }
    client.expect_nothing();
}

/// A mosquitto of the test's own.
struct Mosquitto(Child, std::net::SocketAddr);

impl Mosquitto {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("mosquitto.conf");
        loop {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let lines = ["allow_anonymous true", "sys_interval 1", "log_dest stderr"].join("\n");
            let listener = format!("listener {} 127.0.0.1\n{lines}\n", address.port());
            std::fs::write(&config, listener).unwrap();
            let mut mosquitto = Command::new("mosquitto");
            mosquitto.arg("-c").arg(&config).stderr(Stdio::piped());
            let mut child = mosquitto.spawn().expect("mosquitto is installed (script/bootstrap)");
            let log = BufReader::new(child.stderr.take().unwrap());
            let is_up = log.lines().map_while(Result::ok).find_map(|line| {
                let (runs, fails) = (line.ends_with(" running"), line.contains("Error"));
                (runs || fails).then_some(runs)
            });
            if is_up == Some(true) {
                return Self(child, address);
            }
            child.wait().unwrap();
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The names of what is said in a few intervals, and of all of these at least.
fn names(address: std::net::SocketAddr, expected: &BTreeSet<String>) -> BTreeSet<String> {
    let mut client = Client::connect(address, V311, "client");
    client.subscribe("$SYS/#", AtMostOnce);
    let (mut names, mut intervals) = (BTreeSet::new(), 0);
    while intervals < 3 || !names.is_superset(expected) {
        let topic = client.next_message().0;
        intervals += usize::from(topic == "$SYS/broker/uptime");
        // Ours has no allocator of its own.
        if !topic.starts_with("$SYS/broker/heap/") {
            names.insert(topic);
        }
    }
    names
}

#[test]
fn they_have_the_names_that_mosquitto_gives_them() {
    let broker = TestBroker::with_options(every(1000));
    let ours = names(broker.address(), &BTreeSet::new());
    let mosquitto = Mosquitto::start();
    let theirs = names(mosquitto.1, &ours);
    assert_eq!(ours, theirs);
}
