//! What little is kept of much does not keep the rest of it in memory (C13,
//! C16).
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchlight_broker::Options;
use latchlight_mqtt::{
    Connect, Packet, Properties, ProtocolVersion, Publish, QoS, SubscriptionOptions, Will,
};
use support::{Client, PATIENCE, TestBroker};

use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce};

const MEGABYTE: usize = 1024 * 1024;

/// What one test takes would be seen by another.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What `attack` leaves behind is less than this.
fn assert_leaves_less_than(most: usize, attack: impl FnOnce()) {
    let before = memory();
    attack();
    let grown = memory().saturating_sub(before);
    assert!(grown < most, "memory grew by {} MB", grown / MEGABYTE);
}

/// The resident memory of this process, in bytes.
fn memory() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// A megabyte of user properties.
fn ballast() -> Properties {
    let mut properties = Properties::new();
    properties.make_mut().user_properties = vec![("x".into(), "x".repeat(60_000).into()); 17];
    properties
}

#[test]
fn a_filter_does_not_keep_its_packet() {
    let _alone = alone();
    let broker = TestBroker::start();
    let mut client = Client::connect(broker.address(), V5, "client");
    let mut subscribe = |filter: &str| {
        client.subscribe_with(filter, SubscriptionOptions::default(), ballast());
    };
    subscribe("first");
    assert_leaves_less_than(30 * MEGABYTE, || {
        (0..100).for_each(|number| subscribe(&number.to_string()));
    });
    assert_eq!(broker.counters().subscriptions, 101);
}

#[test]
fn a_will_does_not_keep_its_connect() {
    let _alone = alone();
    let limit = 2 * MEGABYTE as u32;
    let broker =
        TestBroker::with_options(Options { max_connect_size: limit, ..Options::default() });
    let vanish = |number: usize| {
        let mut properties = Properties::new();
        properties.make_mut().content_type = Some("text/plain".into());
        let will = Will {
            topic: format!("wills/{number}").as_str().try_into().unwrap(),
            payload: "x".into(),
            qos: AtMostOnce,
            retain: true,
            properties,
        };
        let client_id = number.to_string();
        let connect = Connect { will: Some(will), ..Connect::new(V5, client_id) };
        let connect = Connect { properties: ballast(), ..connect };
        Client::connect_with(broker.address(), connect).0.vanish();
    };
    vanish(0);
    assert_leaves_less_than(30 * MEGABYTE, || {
        (1..=100).for_each(vanish);
        broker.until("they are published", |broker| broker.counters().retained_messages == 101);
    });
}

/// A client that stops reading: the others get everything, the broker keeps a
/// bounded amount for it, and what was dropped is counted.
#[test]
fn a_reader_that_stops_holds_nobody_up() {
    const MESSAGES: usize = 3_000;
    const SIZE: usize = 16 * 1024;
    // So far the publisher is ahead: less than the high water, or a reader that
    // a busy machine keeps from its processor would count as stalled as well.
    const AHEAD: usize = 8;
    let _alone = alone();
    let broker = TestBroker::with_options(Options {
        high_water: 256 * 1024,
        max_queued_messages: 100,
        stalled_after: Duration::from_millis(500),
        ..Options::default()
    });
    let mut stopped = Client::connect(broker.address(), V5, "stopped");
    stopped.subscribe("a", AtMostOnce);
    let mut stopped_at_qos_1 = Client::connect(broker.address(), V311, "stopped at QoS 1");
    stopped_at_qos_1.subscribe("a", AtLeastOnce);
    let mut reader = Client::connect(broker.address(), V5, "reader");
    reader.subscribe("a", AtMostOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    let (has_read, was_read) = sync_channel(MESSAGES);
    let reading = std::thread::spawn(move || {
        for number in 0..MESSAGES {
            let received = reader.next_publish();
            assert_eq!(received.payload[..8], (number as u64).to_be_bytes());
            has_read.send(()).unwrap();
        }
    });
    // 48 MB go through for each of the two; a few are kept.
    assert_leaves_less_than(24 * MEGABYTE, || {
        for number in 0..MESSAGES {
            if number >= AHEAD {
                was_read.recv_timeout(PATIENCE).unwrap();
            }
            let mut payload = vec![0; SIZE];
            payload[..8].copy_from_slice(&(number as u64).to_be_bytes());
            publisher.publish_packet(Publish { qos: AtLeastOnce, ..Publish::new("a", payload) });
        }
        reading.join().unwrap();
    });
    let counters = broker.counters();
    assert!(counters.dropped_stalled > 0, "{counters:?}");
    assert!(counters.dropped_queue_full > 0, "{counters:?}");
}

/// It reads so slowly that it would hold the old ones for long.
#[test]
fn a_reader_that_trickles_does_not_keep_what_was_replaced() {
    const TOPICS: usize = 80;
    let _alone = alone();
    let broker = TestBroker::with_options(Options {
        max_queued_bytes: 200 * MEGABYTE,
        ..Options::default()
    });
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    let mut publish = |first: &str| {
        for number in 0..TOPICS {
            let payload = first.repeat(MEGABYTE);
            publisher.publish_retained(&format!("kept/{number}"), &payload, AtLeastOnce);
        }
    };
    publish("o");
    let mut reader = Client::connect(broker.address(), V5, "reader");
    reader.subscribe("kept/#", AtMostOnce);
    reader.next_publish();
    assert_leaves_less_than(40 * MEGABYTE, || publish("n"));
    // It misses nothing: of each topic the newer one comes, once.
    let mut newer = std::collections::BTreeSet::new();
    while newer.len() < TOPICS {
        let message = reader.next_publish();
        if message.payload.starts_with(b"n") {
            assert!(newer.insert(message.topic));
        }
    }
    reader.expect_nothing();
}

/// Nor are routes kept that take too much.
#[test]
fn names_of_topics_are_not_kept_beyond_a_bound() {
    let _alone = alone();
    let broker = TestBroker::with_options(Options { threads: 1, ..Options::default() });
    let mut client = Client::connect(broker.address(), V5, "client");
    let filler = "x".repeat(60_000);
    assert_leaves_less_than(60 * MEGABYTE, || {
        for number in 0..2_000 {
            let topic = format!("{number}{filler}");
            client.publish_packet(Publish { qos: AtLeastOnce, ..Publish::new(topic, "x") });
        }
    });
}

/// A topic that is refused leaves nothing.
#[test]
fn names_that_are_too_deep_are_not_kept() {
    let _alone = alone();
    let broker = TestBroker::with_options(Options { threads: 1, ..Options::default() });
    let deep = "/".repeat(65_000);
    assert_leaves_less_than(30 * MEGABYTE, || {
        for number in 0..500 {
            let mut client = Client::connect(broker.address(), V5, "client");
            let topic = format!("{number}{deep}");
            client.send(Packet::Publish(Publish::new(topic, "x")));
            while client.try_next().is_some() {}
        }
    });
}
