//! What is chosen to happen at a full queue, at its bound and one beyond: for a
//! client that is there and one that is not, in QoS 1 and 2, MQTT 3.1.1 and 5,
//! with a store and without one (C13, C14).
#![allow(clippy::unwrap_used)]

mod support;

use std::path::PathBuf;

use latchlight_broker::{
    AllowAll, CountersSnapshot, InlinePublish, InlineSubscription, Options, SqliteStore,
    SubscriptionOptions, WhenFull, WhenInlineFull, WhenOfflineFull,
};
use latchlight_mqtt::{ProtocolVersion, Publish, QoS, ReasonCode};
use support::{Client, TestBroker, resuming};

use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

/// As many wait, and one is in flight.
const BOUND: usize = 3;

/// One of the ways to come to a full queue.
#[derive(Debug, Clone, Copy)]
struct Case {
    version: ProtocolVersion,
    qos: QoS,
    /// The reader is there.
    is_connected: bool,
    has_store: bool,
}

/// Calls this with each of them.
fn in_each_case(is_connected: bool, mut test: impl FnMut(Case)) {
    for version in [V311, V5] {
        for qos in [AtLeastOnce, ExactlyOnce] {
            for has_store in [false, true] {
                test(Case { version, qos, is_connected, has_store });
            }
        }
    }
}

/// A broker, and a reader whose queue has filled up.
struct Filled {
    case: Case,
    options: Options,
    broker: TestBroker,
    file: PathBuf,
    reader: Option<Client>,
    writer: Client,
    /// The one in flight; of QoS 2, the reader has said PUBREC, and is owed
    /// PUBREL.
    first: Publish,
    _folder: tempfile::TempDir,
}

impl Filled {
    fn new(case: Case, when_full: WhenFull, when_full_offline: WhenOfflineFull) -> Self {
        let options = Options {
            max_queued_messages: BOUND,
            max_in_flight: 1,
            when_full,
            when_full_offline,
            ..Options::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("broker.sqlite");
        let broker = start(case, &options, &file);
        let mut reader = Client::connect_with(broker.address(), resuming(case.version, "reader")).0;
        reader.subscribe("a", case.qos);
        let mut writer = Client::connect(broker.address(), case.version, "writer");
        assert_eq!(writer.publish("a", "0", case.qos), ReasonCode::Success);
        let first = reader.next_publish();
        if case.qos == ExactlyOnce {
            reader.pubrec(first.packet_id.unwrap());
            assert_eq!(reader.next_pubrel(first.packet_id.unwrap()), ReasonCode::Success);
        }
        let reader = Some(reader).filter(|_| case.is_connected);
        let clients = 1 + usize::from(case.is_connected);
        broker.until("it is away", |broker| broker.clients().len() == clients);
        for number in 1..=BOUND {
            assert_eq!(writer.publish("a", &number.to_string(), case.qos), ReasonCode::Success);
        }
        assert_eq!(broker.counters().dropped_at_bounds(), 0, "{case:?}");
        Self { case, options, broker, file, reader, writer, first, _folder: folder }
    }

    /// Publishes one more that is not taken.
    fn is_refused(&mut self) {
        let Case { version, qos, .. } = self.case;
        // Before MQTT 5 there is no word for it, and without an acknowledgement
        // one reader that never comes back would stop its publishers for good.
        let told = if version.is_v5() { ReasonCode::QuotaExceeded } else { ReasonCode::Success };
        assert_eq!(self.writer.publish("a", "one more", qos), told);
    }

    fn is_taken(&mut self) {
        let Case { qos, .. } = self.case;
        assert_eq!(self.writer.publish("a", "one more", qos), ReasonCode::Success);
    }

    /// Messages of the queue that were dropped, those of them that had waited,
    /// and connections that were closed for it.
    fn counts(&self, expected: (u64, u64, u64)) {
        let CountersSnapshot { dropped_queue_full, dropped_oldest, queue_full_closed, .. } =
            self.broker.counters();
        let counts = (dropped_queue_full, dropped_oldest, queue_full_closed);
        assert_eq!(counts, expected, "{:?}", self.case);
    }

    /// The reader comes back, to another run of the broker where that has a
    /// store: the exchange that was under way goes on, and these follow.
    fn brings(mut self, expected: [&str; BOUND]) {
        let case = self.case;
        if let Some(reader) = self.reader.take() {
            reader.vanish();
            self.broker.until("it is away", |broker| broker.clients().len() <= 1);
        }
        if case.has_store {
            self.broker.close();
            self.broker = start(case, &self.options, &self.file);
        }
        let connect = resuming(case.version, "reader");
        let (mut reader, answer) = Client::connect_with(self.broker.address(), connect);
        assert!(answer.session_present, "{case:?}");
        if case.qos == ExactlyOnce {
            let id = self.first.packet_id.unwrap();
            assert_eq!(reader.next_pubrel(id), ReasonCode::Success);
            reader.pubcomp(id);
        } else {
            let again = reader.next_publish();
            assert_eq!((&again.payload, again.dup), (&self.first.payload, true), "{case:?}");
            reader.acknowledge(&again);
        }
        for payload in expected {
            let next = reader.next_publish();
            assert_eq!(next.payload, payload, "{case:?}");
            reader.acknowledge(&next);
        }
        reader.expect_nothing();
    }
}

fn start(case: Case, options: &Options, file: &PathBuf) -> TestBroker {
    TestBroker::build(|builder| {
        let builder = builder.options(options.clone()).access(AllowAll);
        match case.has_store {
            true => builder.store(SqliteStore::open(file).unwrap()),
            false => builder,
        }
    })
}

#[test]
fn drop_newest_takes_no_more_for_who_is_there() {
    in_each_case(true, |case| {
        let mut filled = Filled::new(case, WhenFull::DropNewest, WhenOfflineFull::DropOldest);
        filled.is_refused();
        filled.counts((1, 0, 0));
        filled.brings(["1", "2", "3"]);
    });
}

#[test]
fn drop_newest_takes_no_more_for_who_is_away() {
    in_each_case(false, |case| {
        let mut filled = Filled::new(case, WhenFull::Disconnect, WhenOfflineFull::DropNewest);
        filled.is_refused();
        filled.counts((1, 0, 0));
        filled.brings(["1", "2", "3"]);
    });
}

#[test]
fn drop_oldest_makes_room_for_who_is_there() {
    in_each_case(true, |case| {
        let mut filled = Filled::new(case, WhenFull::DropOldest, WhenOfflineFull::DropNewest);
        filled.is_taken();
        filled.counts((1, 1, 0));
        filled.brings(["2", "3", "one more"]);
    });
}

#[test]
fn drop_oldest_makes_room_for_who_is_away() {
    in_each_case(false, |case| {
        let mut filled = Filled::new(case, WhenFull::DropNewest, WhenOfflineFull::DropOldest);
        filled.is_taken();
        filled.counts((1, 1, 0));
        filled.brings(["2", "3", "one more"]);
    });
}

#[test]
fn disconnect_closes_the_connection_and_keeps_what_waits() {
    in_each_case(true, |case| {
        let mut filled = Filled::new(case, WhenFull::Disconnect, WhenOfflineFull::DropOldest);
        filled.is_refused();
        let mut reader = filled.reader.take().unwrap();
        if case.version.is_v5() {
            reader.expect_disconnect(ReasonCode::QuotaExceeded);
        } else {
            reader.expect_closed();
        }
        filled.broker.until("it is away", |broker| broker.clients().len() == 1);
        filled.counts((1, 0, 1));
        // Now it is one who is away.
        filled.brings(["1", "2", "3"]);
    });
}

/// An inline subscription that two clients publish to, and the options for it.
fn inline(
    when_full_inline: WhenInlineFull,
    change: impl FnOnce(&mut Options),
) -> (TestBroker, InlineSubscription, [Client; 2]) {
    let mut options = Options { inline_queue: BOUND, when_full_inline, ..Options::default() };
    change(&mut options);
    let broker = TestBroker::with_options(options);
    let messages =
        broker.inline().subscribe("a".try_into().unwrap(), SubscriptionOptions::default());
    let clients = ["one", "two"].map(|id| Client::connect(broker.address(), V5, id));
    (broker, messages.unwrap(), clients)
}

/// What waits for it, until this comes.
fn drain(broker: &TestBroker, messages: &mut InlineSubscription, last: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    while all.last().is_none_or(|payload| payload != last) {
        let message = broker.wait(messages.next()).unwrap();
        all.push(String::from_utf8(message.payload.to_vec()).unwrap());
    }
    all
}

#[test]
fn a_full_inline_subscription_drops_the_newest() {
    let (broker, mut messages, [mut one, mut two]) = inline(WhenInlineFull::DropNewest, |_| {});
    for payload in ["1", "2", "3"] {
        assert_eq!(one.publish("a", payload, AtLeastOnce), ReasonCode::Success);
    }
    assert_eq!(broker.counters().dropped_inline_full, 0);
    for qos in [AtLeastOnce, ExactlyOnce] {
        assert_eq!(two.publish("a", "4", qos), ReasonCode::QuotaExceeded);
    }
    one.publish("a", "5", AtMostOnce);
    let counters = broker.counters();
    assert_eq!((counters.dropped_inline_full, counters.dropped_at_bounds()), (3, 3));
    assert_eq!(drain(&broker, &mut messages, "3"), ["1", "2", "3"]);
    assert_eq!(two.publish("a", "6", AtLeastOnce), ReasonCode::Success);
    assert_eq!(drain(&broker, &mut messages, "6"), ["6"]);
}

#[test]
fn a_full_inline_subscription_drops_the_oldest_of_the_same_publisher_first() {
    let (broker, mut messages, [mut one, mut two]) = inline(WhenInlineFull::DropOldest, |_| {});
    for payload in ["1", "2", "3"] {
        one.publish("a", payload, AtLeastOnce);
    }
    assert_eq!(broker.counters().dropped_inline_full, 0);
    // Nothing waits of this one: whose turn is next makes room, and then it
    // does itself.
    for (payload, dropped) in [("x", 1), ("y", 2)] {
        assert_eq!(two.publish("a", payload, AtLeastOnce), ReasonCode::Success);
        assert_eq!(broker.counters().dropped_inline_full, dropped);
    }
    one.publish("a", "4", AtLeastOnce);
    assert_eq!(broker.counters().dropped_inline_full, 3);
    let mut left = drain(&broker, &mut messages, "4");
    left.sort_unstable();
    assert_eq!(left, ["3", "4", "y"]);
}

#[test]
fn bytes_fill_an_inline_subscription_too() {
    for when_full in [WhenInlineFull::DropNewest, WhenInlineFull::DropOldest] {
        // Each takes its topic and payload: 1 + 9 bytes.
        let (broker, mut messages, [mut one, _]) = inline(when_full, |options| {
            (options.inline_queue, options.max_queued_bytes) = (100, 20)
        });
        let payload = |number: u8| char::from(b'0' + number).to_string().repeat(9);
        for number in [1, 2] {
            assert_eq!(one.publish("a", &payload(number), AtLeastOnce), ReasonCode::Success);
        }
        assert_eq!(broker.counters().dropped_inline_full, 0);
        let is_newest = when_full == WhenInlineFull::DropNewest;
        let reason = one.publish("a", &payload(3), AtLeastOnce);
        assert_eq!(reason.is_error(), is_newest);
        // It drives out nothing.
        assert_eq!(one.publish("a", &"x".repeat(20), AtLeastOnce), ReasonCode::QuotaExceeded);
        assert_eq!(broker.counters().dropped_inline_full, 2);
        let expected = if is_newest { [1, 2] } else { [2, 3] }.map(payload);
        assert_eq!(drain(&broker, &mut messages, &expected[1]), expected);
    }
}

/// Who publishes from within the process cannot be slowed down, and is told.
#[test]
fn what_the_process_itself_says_has_a_bound_too() {
    // Each counts for 128 beside its topic and payload.
    let (broker, mut messages, _) =
        inline(WhenInlineFull::SlowDown, |options| options.max_waiting_bytes = 3 * 130);
    let publish = |payload: &'static str| {
        broker.inline().publish(InlinePublish::new("a".try_into().unwrap(), payload))
    };
    for payload in ["1", "2", "3"] {
        assert_eq!(publish(payload), ReasonCode::Success);
    }
    assert_eq!(publish("4"), ReasonCode::QuotaExceeded);
    assert_eq!(broker.counters().dropped_inline_full, 1);
    assert_eq!(drain(&broker, &mut messages, "3"), ["1", "2", "3"]);
    assert_eq!(publish("5"), ReasonCode::Success);
}

/// They come first, all of them, and take nobody's room.
#[test]
fn retained_messages_for_an_inline_subscription_are_no_matter_of_its_bound() {
    for when_full in [WhenInlineFull::DropNewest, WhenInlineFull::DropOldest] {
        let (broker, _, [mut one, _]) = inline(when_full, |_| {});
        for number in 0..10 {
            one.publish_retained(&format!("kept/{number}"), &number.to_string(), AtLeastOnce);
        }
        let filter = "kept/+".try_into().unwrap();
        let mut messages =
            broker.inline().subscribe(filter, SubscriptionOptions::default()).unwrap();
        assert_eq!(one.publish("kept/0", "new", AtLeastOnce), ReasonCode::Success);
        let all = drain(&broker, &mut messages, "new");
        assert_eq!((all.len(), broker.counters().dropped_inline_full), (11, 0));
    }
}
