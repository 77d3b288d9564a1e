//! Clients that read slowly, or not at all, and what that means for the
//! others and for the broker (C16).
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use latchlight_broker::Options;
use latchlight_mqtt::{Connect, Packet, ProtocolVersion, Publish, QoS, ReasonCode};
use support::{Client, PATIENCE, TestBroker};

use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce};

/// A busy machine pauses a reader for longer than a real stall takes, but not
/// for as long as this.
const STALLED: Duration = Duration::from_secs(5);

/// Longer than a client waits for its next message: no test goes on that comes
/// to wait for this.
const FOR_GOOD: Duration = PATIENCE.saturating_mul(3);

/// The stopped reader does not slow the others down: what one of them waits
/// for its message stays far below the time for which the stopped one is
/// waited for.
#[test]
fn the_others_messages_are_as_quick_as_before() {
    let broker = TestBroker::with_options(Options {
        high_water: 64 * 1024,
        stalled_after: STALLED,
        max_pause: STALLED,
        ..Options::default()
    });
    let mut stopped = Client::connect(broker.address(), V5, "stopped");
    stopped.subscribe("a", AtMostOnce);
    let mut reader = Client::connect(broker.address(), V5, "reader");
    reader.subscribe("a", AtMostOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    // Until it counts as stalled.
    while broker.counters().dropped_stalled == 0 {
        publisher.publish_packet(Publish::new("a", vec![0; 16 * 1024]));
        reader.next_publish();
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..200 {
        let since = Instant::now();
        publisher.send(Packet::Publish(Publish::new("a", vec![0; 16 * 1024])));
        reader.next_publish();
        slowest = slowest.max(since.elapsed());
    }
    // No measurement: waiting for the stopped one would take this long.
    assert!(slowest < STALLED, "{slowest:?}");
}

/// A reader that reads, only slower than is published, loses nothing: the
/// publisher is slowed down instead.
#[test]
fn a_publisher_that_outruns_its_reader_is_slowed_down() {
    const MESSAGES: u32 = 40_000;
    let broker = TestBroker::with_options(Options {
        high_water: 64 * 1024,
        stalled_after: STALLED,
        ..Options::default()
    });
    let mut reader = Client::connect(broker.address(), V5, "reader");
    reader.subscribe("a", AtMostOnce);
    let publisher = Client::connect(broker.address(), V311, "publisher");
    let publishing = flood(publisher, "a", MESSAGES);
    for number in 0..MESSAGES {
        let received = reader.next_publish();
        assert_eq!(received.payload[..4], number.to_be_bytes());
        if number % 4000 == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    publishing.join().unwrap();
    assert_eq!(broker.counters().dropped_stalled, 0);
}

/// Each of two is slowed down by the other, and both go on reading.
#[test]
fn two_clients_that_flood_each_other_lose_nothing() {
    const MESSAGES: u32 = 40_000;
    let broker = TestBroker::with_options(Options {
        high_water: 64 * 1024,
        // Neither is taken for a stalled one, not even for a while.
        stalled_after: FOR_GOOD,
        max_pause: FOR_GOOD,
        ..Options::default()
    });
    let threads: Vec<_> = [("one", "two"), ("two", "one")]
        .map(|(id, other)| {
            let mut client = Client::connect(broker.address(), V5, id);
            client.subscribe(id, AtMostOnce);
            (client, other)
        })
        .into_iter()
        .map(|(mut client, other)| {
            let writing = client.second_handle();
            std::thread::spawn(move || {
                let publishing = flood(writing, other, MESSAGES);
                for number in 0..MESSAGES {
                    assert_eq!(client.next_publish().payload[..4], number.to_be_bytes());
                }
                publishing.join().unwrap();
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(broker.counters().dropped_stalled, 0);
}

/// A client that gets what it sends is slowed down by itself alone.
#[test]
fn a_client_that_floods_itself_loses_nothing() {
    const MESSAGES: u32 = 40_000;
    let broker = TestBroker::with_options(Options {
        high_water: 64 * 1024,
        stalled_after: FOR_GOOD,
        max_pause: FOR_GOOD,
        ..Options::default()
    });
    let mut client = Client::connect(broker.address(), V5, "client");
    client.subscribe("a", AtMostOnce);
    let publishing = flood(client.second_handle(), "a", MESSAGES);
    for number in 0..MESSAGES {
        assert_eq!(client.next_publish().payload[..4], number.to_be_bytes());
    }
    publishing.join().unwrap();
    assert_eq!(broker.counters().dropped_stalled, 0);
}

#[test]
fn a_connection_that_takes_nothing_for_too_long_is_closed() {
    let broker = TestBroker::with_options(Options {
        high_water: 64 * 1024,
        stalled_limit: Duration::from_millis(500),
        ..Options::default()
    });
    let mut stopped = Client::connect(broker.address(), V5, "stopped");
    stopped.subscribe("a", AtMostOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    while broker.counters().dropped_stalled == 0 {
        publisher.publish_packet(Publish::new("a", vec![0; 16 * 1024]));
    }
    broker.until("it is closed", |broker| broker.clients().len() == 1);
    assert_eq!(broker.counters().stalled_closed, 1);
}

/// All that is retained comes, however much it is, to who reads it.
#[test]
fn a_subscription_brings_all_retained_messages() {
    const MESSAGES: usize = 3_000;
    let broker = TestBroker::with_options(Options { high_water: 64 * 1024, ..Options::default() });
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for number in 0..MESSAGES {
        publisher.send(Packet::Publish(Publish {
            retain: true,
            ..Publish::new(format!("a/{number}"), vec![0; 4096])
        }));
    }
    publisher.expect_nothing();
    for qos in [AtMostOnce, AtLeastOnce] {
        let mut reader = Client::connect(broker.address(), V5, "reader");
        reader.subscribe("a/+", qos);
        for _ in 0..MESSAGES {
            let received = reader.next_publish();
            assert!(received.retain);
            reader.acknowledge(&received);
        }
        reader.expect_nothing();
    }
    let counters = broker.counters();
    assert_eq!((counters.dropped_stalled, counters.dropped_queue_full), (0, 0));
}

/// The same for QoS 1: publishers whose messages are acknowledged at once do
/// not fill the queue of a reader that acknowledges all it gets.
#[test]
fn publishers_of_qos_1_that_outrun_their_reader_are_slowed_down() {
    const MESSAGES: u32 = 10_000;
    const PUBLISHERS: u32 = 4;
    let broker = TestBroker::with_options(Options {
        max_queued_messages: 1_000,
        stalled_after: STALLED,
        max_pause: STALLED,
        ..Options::default()
    });
    let mut connect = Connect::new(V5, "reader");
    connect.properties.make_mut().receive_maximum = Some(20);
    let (mut reader, _) = Client::connect_with(broker.address(), connect);
    reader.subscribe("a", AtLeastOnce);
    let publishing: Vec<_> = (0..PUBLISHERS)
        .map(|number| {
            let mut client = Client::connect(broker.address(), V311, &number.to_string());
            std::thread::spawn(move || {
                // A window of 100.
                for number in 0..MESSAGES {
                    let publish = Publish {
                        qos: AtLeastOnce,
                        packet_id: latchlight_mqtt::PacketId::new(1 + (number % 1000) as u16),
                        ..Publish::new("a", "x")
                    };
                    client.send(Packet::Publish(publish));
                    if number >= 100 {
                        client.next();
                    }
                }
                for _ in 0..100 {
                    client.next();
                }
            })
        })
        .collect();
    for _ in 0..MESSAGES * PUBLISHERS {
        let received = reader.next_publish();
        reader.acknowledge(&received);
    }
    for thread in publishing {
        thread.join().unwrap();
    }
    assert_eq!(broker.counters().dropped_queue_full, 0);
}

/// After a break with many messages open, a smaller window is kept to.
#[test]
fn a_session_that_comes_back_with_a_smaller_window_gets_no_more_than_that() {
    let broker = TestBroker::start();
    let with_window = |receive_maximum| {
        let mut connect = Connect { clean_start: false, ..Connect::new(V5, "client") };
        let values = connect.properties.make_mut();
        values.session_expiry_interval = Some(600);
        values.receive_maximum = Some(receive_maximum);
        Client::connect_with(broker.address(), connect).0
    };
    let mut client = with_window(5);
    client.subscribe("a", AtLeastOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for number in 0..5 {
        publisher.publish("a", &number.to_string(), AtLeastOnce);
        client.next_publish();
    }
    client.vanish();
    let mut client = with_window(2);
    let mut ids = Vec::new();
    for expected in [2, 1, 1, 1] {
        for _ in 0..expected {
            let again = client.next_publish();
            assert!(again.dup);
            ids.push(again.packet_id.unwrap());
        }
        // [MQTT-3.3.4-9]
        client.expect_nothing();
        client.puback(ids[ids.len() - 2]);
    }
    assert_eq!(ids.len(), 5);
}

/// Nothing is delivered in between, nothing waits: the publisher learns that
/// the whole audience is stalled.
#[test]
fn a_message_that_all_readers_had_to_miss_is_no_success() {
    let broker = TestBroker::with_options(Options {
        high_water: 64 * 1024,
        max_queued_messages: 10,
        ..Options::default()
    });
    let mut stopped = Client::connect(broker.address(), V5, "stopped");
    stopped.subscribe("a", AtLeastOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    let end = Instant::now() + PATIENCE;
    loop {
        let publish = Publish { qos: AtLeastOnce, ..Publish::new("a", vec![0; 16 * 1024]) };
        if publisher.publish_packet(publish) == ReasonCode::QuotaExceeded {
            return;
        }
        assert!(Instant::now() < end, "every queue ends somewhere");
    }
}

/// Publishes numbers as fast as the broker takes them.
fn flood(mut client: Client, topic: &'static str, messages: u32) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for number in 0..messages {
            let mut payload = vec![0; 200];
            payload[..4].copy_from_slice(&number.to_be_bytes());
            client.send(Packet::Publish(Publish::new(topic, payload)));
        }
    })
}
