//! C11: who is revoked is disconnected, and what waits for it is dropped. No
//! test waits for a second: the broker waits for nothing but the client's
//! socket to take a DISCONNECT, and for that not longer than half of one.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use latchlight_broker::{Access, ClientInfo, ConnectRequest, PublishRequest, Refusal, Review};
use latchlight_mqtt::{
    Connect, Packet, Properties, ProtocolVersion, Publish, QoS, ReasonCode, Will,
};
use support::{Client, Disk, TestBroker, VERSIONS, resuming};

use ProtocolVersion::V5;
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

/// Everybody may do everything until revoked; who one is is the client id.
#[derive(Clone, Default)]
struct Revocable(Arc<Mutex<BTreeSet<String>>>);

impl Revocable {
    fn revoke(&self, identity: &str) {
        self.0.lock().unwrap().insert(identity.to_owned());
    }

    fn is_revoked(&self, identity: &str) -> bool {
        self.0.lock().unwrap().contains(identity)
    }

    fn check(&self, identity: &str) -> Result<(), ReasonCode> {
        if self.is_revoked(identity) { Err(ReasonCode::NotAuthorized) } else { Ok(()) }
    }
}

#[async_trait]
impl Access for Revocable {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        self.check(request.client_id).map(|()| request.client_id.into())
    }

    fn authorize_publish(
        &self,
        client: &ClientInfo,
        _: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        self.check(&client.identity).map_err(Refusal::Ignore)
    }

    fn authorize_subscribe(&self, client: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
        self.check(&client.identity)
    }

    fn review(&self, client: &ClientInfo) -> Review {
        match self.check(&client.identity) {
            Ok(()) => Review::Keep,
            Err(reason) => Review::End(reason),
        }
    }
}

fn start() -> (TestBroker, Revocable) {
    let access = Revocable::default();
    (TestBroker::with_access(access.clone()), access)
}

fn durable(broker: &TestBroker, version: ProtocolVersion, client_id: &str) -> Client {
    Client::connect_with(broker.address(), resuming(version, client_id)).0
}

/// Nothing is left of the session.
fn assert_gone(broker: &TestBroker, client_id: &str) {
    broker.until("the session has ended", |broker| broker.counters().sessions == 1);
    let counters = broker.counters();
    assert_eq!((counters.subscriptions, counters.waiting_bytes), (0, 0));
    let (_, connack) = Client::try_connect(broker.address(), resuming(V5, client_id));
    assert_eq!(connack.reason, ReasonCode::NotAuthorized);
}

#[test]
fn a_connected_device_is_disconnected_and_its_queue_dropped() {
    for version in VERSIONS {
        let (broker, access) = start();
        let mut publisher = Client::connect(broker.address(), V5, "publisher");
        let mut connect = resuming(version, "door");
        if version.is_v5() {
            connect.properties.make_mut().receive_maximum = Some(2);
        }
        let (mut door, _) = Client::connect_with(broker.address(), connect);
        door.subscribe("door/down", ExactlyOnce);
        for number in 0..5 {
            publisher.publish("door/down", &number.to_string(), AtLeastOnce);
        }
        let in_window = if version.is_v5() { 2 } else { 5 };
        for _ in 0..in_window {
            door.next_publish();
        }
        access.revoke("door");
        assert_eq!(broker.review(), 1);
        // What comes from here on does not reach it, nor does what waited.
        publisher.publish("door/down", "unlock", AtLeastOnce);
        door.expect_disconnect(ReasonCode::NotAuthorized);
        assert_gone(&broker, "door");
    }
}

#[test]
fn an_offline_device_has_nothing_left() {
    let (broker, access) = start();
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    let mut door = durable(&broker, V5, "door");
    door.subscribe("door/down", ExactlyOnce);
    publisher.publish("door/down", "sent", ExactlyOnce);
    door.next_publish();
    door.disconnect();
    publisher.publish("door/down", "waits", ExactlyOnce);
    assert!(broker.counters().waiting_bytes > 0);
    access.revoke("door");
    assert_eq!(broker.review(), 1);
    // Already.
    assert_eq!(broker.counters().sessions, 1);
    assert_gone(&broker, "door");
}

#[test]
fn a_device_that_reads_nothing_is_gone_as_well() {
    let (broker, access) = start();
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    let mut door = durable(&broker, V5, "door");
    door.subscribe("door/down", AtLeastOnce);
    // More than its socket takes.
    let payload = "x".repeat(1024 * 1024);
    for _ in 0..12 {
        publisher.publish("door/down", &payload, AtLeastOnce);
    }
    access.revoke("door");
    assert_eq!(broker.review(), 1);
    assert_gone(&broker, "door");
    drop(door);
}

/// It sends as fast as it can meanwhile.
#[test]
fn a_device_that_floods_is_gone_as_well() {
    for version in VERSIONS {
        let (broker, access) = start();
        let mut other = Client::connect(broker.address(), V5, "other");
        let mut door = durable(&broker, version, "door");
        door.subscribe("door/down", AtLeastOnce);
        let mut bytes = Vec::new();
        let publish = Publish::new("door/up", "x".repeat(1000));
        Packet::Publish(publish).encode(version, &mut bytes).unwrap();
        let mut flood = door.stream().try_clone().unwrap();
        // It ends with the connection.
        let flooding = std::thread::spawn(move || while flood.write_all(&bytes).is_ok() {});
        access.revoke("door");
        assert_eq!(broker.review(), 1);
        assert_gone(&broker, "door");
        flooding.join().unwrap();
        other.expect_nothing();
    }
}

#[test]
fn others_are_left_alone() {
    let (broker, access) = start();
    let mut lamp = durable(&broker, V5, "lamp");
    lamp.subscribe("lamp/down", AtLeastOnce);
    let mut door = durable(&broker, V5, "door");
    access.revoke("door");
    assert_eq!(broker.review(), 1);
    door.expect_disconnect(ReasonCode::NotAuthorized);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    publisher.publish("lamp/down", "still here", AtLeastOnce);
    assert_eq!(lamp.next_message().1, "still here");
}

/// A revoked device has no last word.
#[test]
fn the_will_of_a_revoked_device_is_not_published() {
    let (broker, access) = start();
    let mut watcher = Client::connect(broker.address(), V5, "watcher");
    watcher.subscribe("#", AtMostOnce);
    for delay in [0, 600] {
        let mut properties = Properties::new();
        properties.make_mut().will_delay_interval = Some(delay);
        let will = Will {
            topic: "door/online".try_into().unwrap(),
            payload: "unlock".into(),
            qos: AtLeastOnce,
            retain: true,
            properties,
        };
        let client_id = format!("door{delay}");
        let connect = Connect { will: Some(will), ..resuming(V5, &client_id) };
        let (mut door, _) = Client::connect_with(broker.address(), connect);
        access.revoke(&client_id);
        assert_eq!(broker.review(), 1);
        door.expect_disconnect(ReasonCode::NotAuthorized);
        broker.until("the session has ended", |broker| broker.counters().sessions == 1);
    }
    watcher.expect_nothing();
    assert_eq!(broker.counters().retained_messages, 0);
}

/// A session that shares a subscription leaves what it had to the others.
#[test]
fn what_a_revoked_member_had_goes_to_others() {
    let (broker, access) = start();
    let mut member = durable(&broker, V5, "member");
    member.subscribe("$share/group/jobs", AtLeastOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    publisher.publish("jobs", "1", AtLeastOnce);
    member.next_publish();
    let mut other = Client::connect(broker.address(), V5, "other");
    other.subscribe("$share/group/jobs", AtLeastOnce);
    access.revoke("member");
    broker.review();
    assert_eq!(other.next_message().1, "1");
}

#[test]
fn the_store_forgets_a_revoked_device_also_one_revoked_between_two_runs() {
    let disk = Disk::default();
    let access = Revocable::default();
    let on = |disk: &Disk| TestBroker::build(|b| b.access(access.clone()).store(disk.clone()));
    let mut broker = on(&disk);
    let empty = disk.len();
    for client_id in ["one", "two"] {
        let mut device = durable(&broker, V5, client_id);
        device.subscribe("down", ExactlyOnce);
        device.disconnect();
    }
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    publisher.publish("down", "unlock", ExactlyOnce);
    access.revoke("one");
    assert_eq!(broker.review(), 1);
    assert!(broker.wait(broker.persisted()));
    let (with_two, left) = (disk.len(), disk.cut());
    assert!(with_two > empty);
    broker.close();

    access.revoke("two");
    let broker = on(&left);
    assert_eq!(broker.counters().sessions, 0);
    assert_eq!(broker.counters().waiting_bytes, 0);
    assert!(broker.wait(broker.persisted()));
    broker.until("the store has forgotten it", |_| left.len() <= empty.max(1));
    for client_id in ["one", "two"] {
        let (_, connack) = Client::try_connect(broker.address(), resuming(V5, client_id));
        assert_eq!(connack.reason, ReasonCode::NotAuthorized);
    }
}
