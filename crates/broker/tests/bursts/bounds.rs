//! Who is away, what follows, and how much goes at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use latchlight_broker::{Broker, Options};
use latchlight_mqtt::ProtocolVersion::{V5, V311};
use latchlight_mqtt::QoS::AtMostOnce;
use latchlight_mqtt::{Packet, Publish};

use crate::support::{self, Client, TestBroker, resuming, values};
use crate::{MANY, Watching, expect_numbered, numbered, readers, subscribers};

/// Those that are away get none, and each is counted.
#[test]
fn who_is_away_gets_none_of_them() {
    let broker = TestBroker::start();
    let mut there = readers(&broker, "there", MANY - 1);
    let (mut away, _) = Client::connect_with(broker.address(), resuming(V5, "away"));
    away.subscribe("t", AtMostOnce);
    away.vanish();
    broker.until("it is away", |broker| broker.counters().clients_connected == MANY as u64 - 1);
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    publisher.send_bytes(&numbered(20, 4));
    there.iter_mut().for_each(|reader| expect_numbered(reader, 20));
    broker.until("they are counted", |broker| broker.counters().dropped_offline == 20);
    let (mut back, _) = Client::connect_with(broker.address(), resuming(V5, "away"));
    back.expect_nothing();
}

/// What went before an end of any kind arrives.
#[test]
fn what_went_before_an_end_arrives() {
    let ends: [fn(&mut Vec<u8>); 4] = [
        |_| {},
        |bytes| bytes.extend([0xE0, 0]),
        // No packet begins so.
        |bytes| bytes.extend([0, 0]),
        |bytes| Packet::Publish(Publish::new("refused", "x")).encode(V311, bytes).unwrap(),
    ];
    let broker = TestBroker::with_access(Watching::default());
    let mut readers = readers(&broker, "reader", MANY);
    for end in ends {
        let mut publisher = Client::connect(broker.address(), V311, "publisher");
        let mut bytes = numbered(20, 4);
        end(&mut bytes);
        publisher.send_bytes(&bytes);
        publisher.finish_sending_if_open();
        readers.iter_mut().for_each(|reader| expect_numbered(reader, 20));
        publisher.expect_closed();
    }
}

/// They do not overtake what is retained and comes first.
#[test]
fn they_come_behind_what_is_retained() {
    const RETAINED: usize = 8;
    let broker = TestBroker::with_options(Options { high_water: 64 * 1024, ..Options::default() });
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    for number in 0..RETAINED {
        publisher.send(Packet::Publish(Publish {
            retain: true,
            ..Publish::new(format!("retained/{number}"), vec![b'x'; 1024 * 1024])
        }));
    }
    let mut readers = readers(&broker, "reader", MANY);
    let mut late = Client::connect(broker.address(), V311, "late");
    let socket = socket2::SockRef::from(late.stream());
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    publisher.expect_nothing();
    late.subscribe("#", AtMostOnce);
    publisher.send_bytes(&numbered(3, 4));
    readers.iter_mut().for_each(|reader| expect_numbered(reader, 3));
    for _ in 0..RETAINED {
        assert!(late.next_publish().retain);
    }
    expect_numbered(&mut late, 3);
}

/// Readers are waited for, and not taken for stalled.
fn patient(high_water: usize) -> Options {
    let (stalled_after, max_pause) = (support::PATIENCE, support::PATIENCE);
    Options { high_water, stalled_after, max_pause, ..Options::default() }
}

/// A message with this number as its payload, and an alias for its topic; an
/// empty one is what the alias stands for.
fn aliased(number: u32, alias: u16, topic: &str) -> Publish {
    let properties = values(|values| values.topic_alias = Some(alias));
    Publish { properties, ..Publish::new(topic, number.to_be_bytes().to_vec()) }
}

/// Messages of a few bytes that stand for much more are no more than that, of
/// one topic and of two in turn, for many and for few.
#[test]
fn long_topics_behind_aliases_overrun_nobody() {
    const MESSAGES: u32 = 150;
    for (count, topics) in [(MANY, 1), (MANY, 2), (MANY - 1, 1), (1, 1), (1, 2)] {
        let broker = TestBroker::with_options(patient(16 * 1024));
        let readers = subscribers(&broker, "reader", count, "#", AtMostOnce);
        let mut publisher = Client::connect(broker.address(), V5, "publisher");
        let mut bytes = Vec::new();
        for number in 0..MESSAGES {
            let alias = number % topics;
            let topic = ["t", "u"][alias as usize].repeat(4 * 1024);
            let topic = if number < topics { topic.as_str() } else { "" };
            let publish = aliased(number, alias as u16 + 1, topic);
            Packet::Publish(publish).encode(V5, &mut bytes).unwrap();
        }
        publisher.send_bytes(&bytes);
        let threads: Vec<_> = readers
            .into_iter()
            .map(|mut reader| std::thread::spawn(move || expect_numbered(&mut reader, MESSAGES)))
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(broker.counters().dropped_stalled, 0);
    }
}

/// The same for a reader of long topics whose messages come in turn with those
/// for many others.
#[test]
fn long_topics_between_bursts_overrun_nobody() {
    const MESSAGES: u32 = 150;
    let broker = TestBroker::with_options(patient(16 * 1024));
    let long = "l".repeat(4 * 1024);
    let mut many = subscribers(&broker, "many", MANY, "t", AtMostOnce);
    let mut one = subscribers(&broker, "one", 1, &long, AtMostOnce).remove(0);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    let mut bytes = Vec::new();
    for number in 0..MESSAGES {
        let topic = if number == 0 { long.as_str() } else { "" };
        let short = Publish::new("t", number.to_be_bytes().to_vec());
        for publish in [aliased(number, 1, topic), short] {
            Packet::Publish(publish).encode(V5, &mut bytes).unwrap();
        }
    }
    publisher.send_bytes(&bytes);
    expect_numbered(&mut one, MESSAGES);
    many.iter_mut().for_each(|reader| expect_numbered(reader, MESSAGES));
    assert_eq!(broker.counters().dropped_stalled, 0);
}

/// Where many are to be asked, the first ones have it before the last one is.
#[test]
fn many_are_written_to_one_by_one_and_few_together() {
    for (count, is_many) in [(MANY - 1, false), (MANY, true)] {
        let access = Watching::default();
        let watching = access.clone();
        let broker = TestBroker::with_access(access);
        let mut readers = readers(&broker, "reader", count);
        watching.watch(&readers);
        let mut publisher = Client::connect(broker.address(), V311, "publisher");
        publisher.send_bytes(&numbered(1, 4));
        let are_sent = |broker: &Broker| broker.counters().sent.messages[0] == count as u64;
        broker.until("all have it", are_sent);
        readers.iter_mut().for_each(|reader| expect_numbered(reader, 1));
        let most = watching.had_some_when_asked.load(Ordering::Relaxed);
        assert_eq!(most, if is_many { count - 1 } else { 0 });
    }
}

/// Of very many, the first ones are there before the last ones are looked at.
#[test]
fn readers_do_not_wait_until_all_that_came_is_handled() {
    // 64 Ki deliveries are enough for a turn.
    const READERS: usize = 256;
    const MESSAGES: u32 = 256;
    let access = Watching::default();
    let watching = access.clone();
    let broker = TestBroker::build(|builder| {
        builder.options(Options { threads: 1, ..Options::default() }).access(access)
    });
    let mut readers = readers(&broker, "reader", READERS);
    watching.watch(&readers);
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    let mut bytes = numbered(MESSAGES, 4);
    Packet::Publish(Publish::new("last", "x")).encode(V311, &mut bytes).unwrap();
    publisher.send_bytes(&bytes);
    broker.until("the last one", |_| watching.had_some.lock().unwrap().is_some());
    readers.iter_mut().for_each(|reader| expect_numbered(reader, MESSAGES));
    assert_eq!(*watching.had_some.lock().unwrap(), Some(READERS));
}

/// Their publisher waits for one of them that is slower than the others.
#[test]
fn one_of_many_that_is_slow_loses_nothing() {
    const MESSAGES: u32 = 5_000;
    let broker = TestBroker::with_options(patient(64 * 1024));
    let mut readers = readers(&broker, "reader", MANY);
    let publisher = Client::connect(broker.address(), V311, "publisher");
    let mut writing = publisher.second_handle();
    let publishing = std::thread::spawn(move || writing.send_bytes(&numbered(MESSAGES, 2_000)));
    // The system takes some of what one of them does not read.
    let mut slow = readers.pop().unwrap();
    let socket = socket2::SockRef::from(slow.stream());
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let received = Arc::new(AtomicU64::new(0));
    let read = |mut reader: Client| {
        let received = received.clone();
        std::thread::spawn(move || {
            for number in 0..MESSAGES {
                assert_eq!(reader.next_publish().payload[..4], number.to_be_bytes());
                received.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let threads: Vec<_> = readers.into_iter().map(read).collect();
    // The others wait for it, too.
    let mut before = 0;
    loop {
        std::thread::sleep(Duration::from_millis(300));
        let now = received.load(Ordering::Relaxed);
        if now > 0 && now == before {
            break;
        }
        before = now;
    }
    assert!(before < u64::from(MESSAGES) * (MANY as u64 - 1));
    expect_numbered(&mut slow, MESSAGES);
    publishing.join().unwrap();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(broker.counters().dropped_stalled, 0);
}
