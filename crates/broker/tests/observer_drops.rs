//! Observers: every message that is dropped is told of, with its receiver and
//! why.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use latchlight_broker::{
    Access, AllowAll, ClientInfo, ConnectRequest, DropReason, InlinePublish, Interceptor, Options,
    Publication, PublishRequest, Recipient, Refusal, Steps, Stop, WhenFull, WhenInlineFull,
};
use latchlight_mqtt::{
    Connect, Packet, Properties, Publish, QoS, ReasonCode, SubscriptionOptions, Will,
};
use support::{Client, Disk, Losses, TestBroker, resuming};

use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use latchlight_mqtt::ProtocolVersion::V5;

fn start(change: impl FnOnce(&mut Options)) -> (TestBroker, Losses) {
    let (losses, mut options) = (Losses::default(), Options::default());
    change(&mut options);
    let seen = losses.clone();
    let broker =
        TestBroker::build(|builder| builder.options(options).access(AllowAll).observer(seen));
    (broker, losses)
}

fn writer(broker: &TestBroker) -> Client {
    Client::connect(broker.address(), V5, "writer")
}

/// Connects to the session that stays.
fn reader(broker: &TestBroker, change: impl FnOnce(&mut Properties)) -> Client {
    let mut connect = resuming(V5, "reader");
    change(&mut connect.properties);
    Client::connect_with(broker.address(), connect).0
}

fn leave(broker: &TestBroker, reader: Client) {
    reader.disconnect();
    broker.until("it is gone", |broker| broker.session("reader").is_some_and(|s| !s.connected));
}

#[test]
fn what_has_expired_is() {
    let (broker, losses) = start(|_| {});
    let mut away = reader(&broker, |_| {});
    away.subscribe("a", AtLeastOnce);
    let short = |seconds, payload: &'static str| {
        let mut publish = Publish { qos: AtLeastOnce, ..Publish::new("a", payload) };
        publish.properties.make_mut().message_expiry_interval = Some(seconds);
        publish
    };
    let mut writer = writer(&broker);
    writer.publish_packet(short(0, "when it came"));
    losses.expect("nobody", "when it came", DropReason::Expired);
    leave(&broker, away);
    writer.publish_packet(short(1, "while it waited"));
    // What is kept for as long, and from a moment later on, goes after that.
    writer.publish_packet(Publish { topic: "kept".into(), retain: true, ..short(1, "x") });
    broker.until("its time is over", |broker| broker.counters().retained_messages == 0);
    reader(&broker, |_| {}).expect_nothing();
    losses.expect("reader", "while it waited", DropReason::Expired);
}

#[test]
fn what_its_receiver_does_not_take_is() {
    let (broker, losses) = start(|_| {});
    let small = |properties: &mut Properties| {
        properties.make_mut().maximum_packet_size = Some(40);
    };
    for (durable, filter) in [(true, "a"), (false, "a"), (false, "$share/group/a")] {
        let expiry = if durable { 600 } else { 0 };
        let mut small = reader(&broker, |properties| {
            small(properties);
            properties.make_mut().session_expiry_interval = Some(expiry);
        });
        // Which takes five bytes in each message.
        let mut identified = Properties::new();
        identified.make_mut().subscription_identifiers = vec![268_435_455];
        small.subscribe_with(filter, SubscriptionOptions::qos(AtLeastOnce), identified);
        let mut writer = writer(&broker);
        for qos in [AtMostOnce, AtLeastOnce] {
            for length in 0..50 {
                let payload = "x".repeat(length);
                let id = (qos != AtMostOnce).then(|| writer.next_id());
                let publish = Publish { qos, packet_id: id, ..Publish::new("a", payload.clone()) };
                writer.send(Packet::Publish(publish));
                id.map(|id| writer.next_puback(id));
                writer.drain();
                let dropped = losses.take();
                if dropped.is_empty() {
                    let received = small.next_publish();
                    assert_eq!(received.payload, payload);
                    small.acknowledge(&received);
                    small.drain();
                } else {
                    let expected = ("reader".to_owned(), payload, DropReason::TooLarge);
                    assert_eq!(dropped, [expected]);
                    assert!(length > 15);
                }
            }
        }
        small.expect_nothing();
        broker.wait(broker.end_session("reader", ReasonCode::AdministrativeAction));
    }
    // It waited, or was sent before, and the next connection takes less.
    let long = "x".repeat(50);
    let mut away = reader(&broker, |_| {});
    away.subscribe("a", AtLeastOnce);
    let mut writer = writer(&broker);
    writer.publish("a", &long, AtLeastOnce);
    let id = away.next_publish().packet_id.unwrap();
    leave(&broker, away);
    writer.publish("a", &format!("{long}2"), AtLeastOnce);
    reader(&broker, small).expect_nothing();
    let expected = [long.clone(), format!("{long}2")];
    let expected = expected.map(|payload| ("reader".to_owned(), payload, DropReason::TooLarge));
    assert_eq!(losses.take(), expected);
    assert_eq!(losses.exchanges().last(), Some(&(id, "dropped")));
}

#[test]
fn what_finds_a_queue_full_is() {
    let (broker, losses) = start(|options| options.max_waiting_bytes = 10);
    let mut away = reader(&broker, |_| {});
    away.subscribe("a", AtLeastOnce);
    let mut writer = writer(&broker);
    writer.publish("a", "123456789", AtLeastOnce);
    writer.publish("a", "with a connection", AtLeastOnce);
    losses.expect("reader", "with a connection", DropReason::QueueFull);
    leave(&broker, away);
    writer.publish("a", "without one", AtLeastOnce);
    losses.expect("reader", "without one", DropReason::QueueFull);
    // One that ends with its connection, and whose window is full.
    let mut brief = Connect::new(V5, "brief");
    brief.properties.make_mut().receive_maximum = Some(1);
    let mut brief = Client::connect_with(broker.address(), brief).0;
    brief.subscribe("b", AtLeastOnce);
    writer.publish("b", "in flight", AtLeastOnce);
    assert_eq!(brief.next_message().1, "in flight");
    writer.publish("b", "in the queue", AtLeastOnce);
    losses.expect("brief", "in the queue", DropReason::QueueFull);
}

#[test]
fn what_ends_a_connection_at_a_full_queue_is() {
    let (broker, losses) = start(|options| {
        options.max_queued_messages = 1;
        options.when_full = WhenFull::Disconnect;
    });
    let mut slow = reader(&broker, |properties| properties.make_mut().receive_maximum = Some(1));
    slow.subscribe("a", AtLeastOnce);
    let mut writer = writer(&broker);
    for payload in ["in flight", "waits", "too much"] {
        writer.publish("a", payload, AtLeastOnce);
    }
    losses.expect("reader", "too much", DropReason::QueueFull);
}

/// Lets everybody have what they would have.
struct Onlooker;

impl Interceptor for Onlooker {
    fn steps(&self) -> Steps {
        Steps { select_subscribers: true, ..Steps::NONE }
    }

    fn select_subscribers(
        &self,
        _: Option<&Arc<ClientInfo>>,
        _: &Publication,
        _: &mut Vec<Recipient>,
    ) {
    }
}

/// What one member has no room for and another takes is not dropped at all.
#[test]
fn what_no_member_of_a_share_has_room_for_is() {
    for selects in [false, true] {
        let losses = Losses::default();
        let seen = losses.clone();
        let options = Options { max_queued_messages: 1, ..Options::default() };
        let broker = TestBroker::build(|builder| {
            let builder = builder.options(options).access(AllowAll).observer(seen);
            if selects { builder.interceptor(Onlooker) } else { builder }
        });
        let [mut one, two] = ["one", "two"].map(|name| {
            let mut connect = Connect::new(V5, name);
            connect.properties.make_mut().receive_maximum = Some(1);
            let mut member = Client::connect_with(broker.address(), connect).0;
            member.subscribe("$share/jobs/a", AtLeastOnce);
            member
        });
        let mut writer = writer(&broker);
        let mut publish = |payload| writer.publish("a", payload, AtLeastOnce);
        // Two are in flight, and two wait.
        for payload in ["1", "2", "3", "4"] {
            assert_eq!(publish(payload), ReasonCode::Success);
        }
        assert_eq!(losses.take(), []);
        assert_eq!(publish("5"), ReasonCode::QuotaExceeded);
        let [(receiver, payload, reason)] = &losses.take()[..] else { panic!("one is lost") };
        assert_eq!((payload.as_str(), *reason), ("5", DropReason::QueueFull));
        let dropped = |name| broker.session(name).unwrap().dropped;
        assert_eq!(dropped(receiver), 1);
        // One of them goes on: whoever's turn it is.
        let mut received = one.next_publish();
        for _ in 0..4 {
            one.acknowledge(&received);
            received = one.next_publish();
            assert_eq!(publish("more"), ReasonCode::Success);
        }
        assert_eq!(losses.take(), []);
        assert_eq!(dropped("one") + dropped("two"), 1);
        assert_eq!(broker.counters().dropped_queue_full, 1);
        drop(two);
    }
}

#[test]
fn what_a_member_of_a_share_leaves_to_nobody_is() {
    let (broker, losses) = start(|_| {});
    let mut away = reader(&broker, |_| {});
    away.subscribe("$share/jobs/a", AtLeastOnce);
    leave(&broker, away);
    let mut writer = writer(&broker);
    let mut short = Publish { qos: AtLeastOnce, ..Publish::new("a", "short") };
    short.properties.make_mut().message_expiry_interval = Some(1);
    writer.publish_packet(short.clone());
    writer.publish("a", "long", AtLeastOnce);
    // What is kept for as long, and from a moment later on, goes after that.
    writer.publish_packet(Publish { topic: "kept".into(), retain: true, ..short });
    broker.until("its time is over", |broker| broker.counters().retained_messages == 0);
    broker.wait(broker.end_session("reader", ReasonCode::AdministrativeAction));
    let expected = [("short", DropReason::Expired), ("long", DropReason::SessionEnded)];
    let expected = expected.map(|(text, reason)| ("reader".to_owned(), text.to_owned(), reason));
    assert_eq!(losses.take(), expected);
    assert_eq!(broker.counters().dropped_expired, 1);
}

#[test]
fn what_a_subscription_of_this_process_has_no_room_for_is() {
    for (when_full_inline, lost) in
        [(WhenInlineFull::DropNewest, "2"), (WhenInlineFull::DropOldest, "1")]
    {
        let (broker, losses) = start(|options| {
            options.inline_queue = 1;
            options.when_full_inline = when_full_inline;
        });
        let filter = "a".try_into().unwrap();
        let _waiting = broker.inline().subscribe(filter, SubscriptionOptions::default()).unwrap();
        let mut writer = writer(&broker);
        for payload in ["1", "2"] {
            writer.publish("a", payload, AtLeastOnce);
        }
        losses.expect("nobody", lost, DropReason::InlineFull);
        assert_eq!(broker.counters().dropped_inline_full, 1);
    }
}

#[test]
fn what_the_store_has_no_room_for_is() {
    let (disk, losses) = (Disk::default(), Losses::default());
    let seen = losses.clone();
    let broker =
        TestBroker::build(|builder| builder.access(AllowAll).store(disk.clone()).observer(seen));
    let mut kept = reader(&broker, |_| {});
    kept.subscribe("a", AtLeastOnce);
    let mut known = Client::connect_with(broker.address(), resuming(V5, "known")).0;
    disk.fail();
    // Something to write, so that it is noticed.
    let retained = Publish { retain: true, ..Publish::new("kept", "1") };
    writer(&broker).send(Packet::Publish(retained));
    broker.until("it is noticed", |broker| broker.counters().store_errors > 0);
    losses.take();
    let inline = broker.inline();
    let publish = |payload: &'static str| {
        let publish = InlinePublish::new("a".try_into().unwrap(), payload);
        inline.publish(InlinePublish { qos: AtLeastOnce, ..publish })
    };
    assert_eq!(publish("with a connection"), ReasonCode::QuotaExceeded);
    losses.expect("reader", "with a connection", DropReason::StoreFull);
    leave(&broker, kept);
    assert_eq!(publish("without one"), ReasonCode::QuotaExceeded);
    losses.expect("reader", "without one", DropReason::StoreFull);
    // Neither is what it would have to keep, nor what it would have to know.
    assert_eq!(known.publish_retained("b", "kept", AtLeastOnce), ReasonCode::QuotaExceeded);
    losses.expect("nobody", "kept", DropReason::StoreFull);
    let id = known.next_id();
    let publish = Publish { qos: ExactlyOnce, packet_id: Some(id), ..Publish::new("b", "known") };
    known.send(Packet::Publish(publish));
    assert_eq!(known.next_pubrec(id), ReasonCode::QuotaExceeded);
    losses.expect("nobody", "known", DropReason::StoreFull);
    assert_eq!(broker.counters().store_refused, 2);
    disk.work();
}

#[test]
fn what_a_reader_does_not_take_in_time_is() {
    let (broker, losses) = start(|options| {
        options.high_water = 64 * 1024;
        options.stalled_after = Duration::from_millis(50);
    });
    let mut stopped = Client::connect(broker.address(), V5, "stopped");
    stopped.subscribe("a", AtMostOnce);
    let mut writer = writer(&broker);
    let payload = "x".repeat(64 * 1024);
    while broker.counters().dropped_stalled == 0 {
        writer.publish("a", &payload, AtLeastOnce);
    }
    losses.wait_for(&broker, "stopped", &payload, DropReason::Stalled);
}

/// Refuses what a test says, when it says so.
#[derive(Clone, Default)]
struct Gate {
    closed: Arc<AtomicBool>,
}

#[async_trait]
impl Access for Gate {
    async fn authenticate(&self, _: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        Ok("anybody".into())
    }

    fn authorize_publish(&self, _: &ClientInfo, _: &PublishRequest<'_>) -> Result<(), Refusal> {
        match self.closed.load(Ordering::Relaxed) {
            true => Err(Refusal::Ignore(ReasonCode::NotAuthorized)),
            false => Ok(()),
        }
    }

    fn authorize_subscribe(&self, _: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
        Ok(())
    }

    fn checks_delivery(&self) -> bool {
        true
    }

    fn authorize_receive(&self, _: &ClientInfo, _: &str) -> bool {
        !self.closed.load(Ordering::Relaxed)
    }
}

fn gated() -> (TestBroker, Losses, Gate) {
    let (losses, gate) = (Losses::default(), Gate::default());
    let (seen, access) = (losses.clone(), gate.clone());
    let broker = TestBroker::build(|builder| builder.access(access).observer(seen));
    (broker, losses, gate)
}

#[test]
fn what_its_receiver_may_not_have_any_more_is() {
    let (broker, losses, gate) = gated();
    let mut away = reader(&broker, |_| {});
    away.subscribe("a", ExactlyOnce);
    let mut writer = writer(&broker);
    writer.publish("a", "sent", AtLeastOnce);
    let id = away.next_publish().packet_id.unwrap();
    leave(&broker, away);
    writer.publish("a", "waits", AtLeastOnce);
    gate.closed.store(true, Ordering::Relaxed);
    broker.review();
    let reason = DropReason::NotAllowed;
    let expected = ["waits", "sent"].map(|text| ("reader".to_owned(), text.to_owned(), reason));
    assert_eq!(losses.take(), expected);
    assert_eq!(losses.exchanges(), [(id, "sent"), (id, "dropped")]);
}

#[test]
fn what_nobody_may_publish_is() {
    let (broker, losses, gate) = gated();
    let will = |payload: &'static str| Will {
        topic: "wills".try_into().unwrap(),
        payload: payload.into(),
        qos: AtMostOnce,
        retain: false,
        properties: Properties::new(),
    };
    let connect = Connect { will: Some(will("gone")), ..Connect::new(V5, "door") };
    let door = Client::connect_with(broker.address(), connect).0;
    let mut writer = writer(&broker);
    gate.closed.store(true, Ordering::Relaxed);
    let refused = DropReason::Refused(ReasonCode::NotAuthorized);
    writer.publish("a", "x", AtLeastOnce);
    losses.expect("nobody", "x", refused);
    door.vanish();
    losses.wait_for(&broker, "nobody", "gone", refused);
}

/// Stops whatever is published by this process, and wills.
struct Silence;

impl Interceptor for Silence {
    fn steps(&self) -> Steps {
        Steps { publish: true, will: true, ..Steps::NONE }
    }

    fn publish(
        &self,
        publisher: Option<&Arc<ClientInfo>>,
        _: &mut Publication,
    ) -> Result<(), Stop> {
        publisher.map(|_| ()).ok_or(Stop::Refuse(ReasonCode::QuotaExceeded))
    }

    fn will(&self, _: &Arc<ClientInfo>, _: &mut Publication) -> Result<(), Stop> {
        Err(Stop::Silently)
    }
}

#[test]
fn what_an_interceptor_stops_is() {
    let losses = Losses::default();
    let seen = losses.clone();
    let broker =
        TestBroker::build(|builder| builder.access(AllowAll).interceptor(Silence).observer(seen));
    broker.inline().publish(InlinePublish::new("a".try_into().unwrap(), "own"));
    losses.expect("nobody", "own", DropReason::Refused(ReasonCode::QuotaExceeded));
    let will = Will {
        topic: "wills".try_into().unwrap(),
        payload: "gone".into(),
        qos: AtMostOnce,
        retain: false,
        properties: Properties::new(),
    };
    let connect = Connect { will: Some(will), ..Connect::new(V5, "door") };
    Client::connect_with(broker.address(), connect).0.vanish();
    losses.wait_for(&broker, "nobody", "gone", DropReason::Intercepted);
}

#[test]
fn a_live_publish_begins_an_exchange() {
    let (broker, losses) = start(|_| {});
    let mut lock = reader(&broker, |_| {});
    lock.subscribe("down", AtLeastOnce);
    let publish = InlinePublish::new("down".try_into().unwrap(), "unlock");
    let publish = InlinePublish { qos: AtLeastOnce, ..publish };
    let _live = broker.inline().publish_live(publish, Duration::from_secs(60));
    let id = lock.next_publish().packet_id.unwrap();
    assert_eq!(losses.exchanges(), [(id, "sent")]);
}
