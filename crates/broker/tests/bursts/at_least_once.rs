//! Of QoS 1: who acknowledges late or never, who is away, and what the
//! publisher is told.

use std::time::{Duration, Instant};

use latchlight_broker::{
    AllowAll, Injection, InlinePublish, Interests, Options, ReasonCode, WhenFull,
};
use latchlight_mqtt::ProtocolVersion::{V5, V311};
use latchlight_mqtt::QoS::AtLeastOnce;
use latchlight_mqtt::{Connect, Packet, PacketId, Publish};

use crate::support::{Client, Diary, Disk, PATIENCE, TestBroker, resuming};
use crate::{MANY, Watching, allow_many_sockets, subscribers};

/// Numbered ones, their packet ids one more.
fn numbered(count: u16) -> impl Iterator<Item = Packet> {
    (0..count).map(|number| {
        let publish = Publish::new("t", u32::from(number).to_be_bytes().to_vec());
        Packet::Publish(Publish { qos: AtLeastOnce, packet_id: Some(id(number)), ..publish })
    })
}

/// The packet id of a numbered one.
fn id(number: u16) -> PacketId {
    PacketId::new(number + 1).unwrap()
}

/// The next message, which has this number.
fn next(reader: &mut Client, number: u16) -> Publish {
    let publish = reader.next_publish();
    assert_eq!(
        (publish.qos, &publish.payload[..]),
        (AtLeastOnce, &u32::from(number).to_be_bytes()[..])
    );
    publish
}

/// Gets all of them and acknowledges each.
fn take(reader: &mut Client, count: u16) {
    for number in 0..count {
        let publish = next(reader, number);
        reader.acknowledge(&publish);
    }
}

/// The answers, in their order.
fn answers(publisher: &mut Client, count: u16) -> Vec<ReasonCode> {
    (0..count).map(|number| publisher.next_puback(id(number))).collect()
}

fn all_taken(count: u16) -> Vec<ReasonCode> {
    vec![ReasonCode::Success; count.into()]
}

/// A reader gets no more at once than it takes, and all of them in the end; the
/// others do not wait for that.
#[test]
fn a_small_window_holds_up_its_reader_alone() {
    const WINDOW: u16 = 3;
    const MESSAGES: u16 = 50;
    let broker = TestBroker::start();
    let mut others = subscribers(&broker, "other", MANY, "t", AtLeastOnce);
    let mut connect = Connect::new(V5, "narrow");
    connect.properties.make_mut().receive_maximum = Some(WINDOW);
    let (mut narrow, _) = Client::connect_with(broker.address(), connect);
    narrow.subscribe("t", AtLeastOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    // As many as its window takes, and one more, and what is much more.
    for count in [WINDOW, WINDOW + 1, MESSAGES] {
        publisher.send_together(numbered(count));
        assert_eq!(answers(&mut publisher, count), all_taken(count));
        others.iter_mut().for_each(|other| take(other, count));
        let at_once: Vec<_> = (0..WINDOW).map(|number| next(&mut narrow, number)).collect();
        narrow.expect_nothing();
        at_once.iter().for_each(|publish| narrow.acknowledge(publish));
        for number in WINDOW..count {
            let publish = next(&mut narrow, number);
            narrow.acknowledge(&publish);
        }
        narrow.expect_nothing();
    }
}

/// As much as a reader has room for that acknowledges nothing: one is in flight.
/// Bursts are a quarter of what waits, so that the last one is taken in part.
const ROOM: u16 = 41;

fn with_little_room() -> Options {
    Options {
        max_in_flight: 1,
        max_queued_messages: usize::from(ROOM) - 1,
        max_pause: Duration::ZERO,
        ..Options::default()
    }
}

/// Never success for what nobody has room for, and what nobody has taken does
/// not count as received (C14).
#[test]
fn what_nobody_has_room_for_is_refused() {
    let broker = TestBroker::with_options(with_little_room());
    let mut readers = subscribers(&broker, "reader", MANY, "t", AtLeastOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    publisher.send_together(numbered(ROOM + 3));
    let mut expected = all_taken(ROOM);
    expected.extend([ReasonCode::QuotaExceeded; 3]);
    assert_eq!(answers(&mut publisher, ROOM + 3), expected);
    let counters = broker.counters();
    assert_eq!(counters.received.messages[1], u64::from(ROOM));
    assert_eq!(counters.received.payload_bytes[1], 4 * u64::from(ROOM));
    assert_eq!(counters.dropped_queue_full, 3 * MANY as u64);
    // What is said in a client's name is told so, too.
    let client = broker.session("publisher").unwrap().client.unwrap();
    let said =
        InlinePublish { qos: AtLeastOnce, ..InlinePublish::new("t".try_into().unwrap(), "x") };
    assert_eq!(broker.inject(&client, Injection::publish(said)), Ok(ReasonCode::QuotaExceeded));
    // One who has room is enough.
    take(&mut readers[0], ROOM);
    readers[0].drain();
    publisher.send_together(numbered(ROOM));
    assert_eq!(answers(&mut publisher, ROOM), all_taken(ROOM));
    take(&mut readers[0], ROOM);
    // An old client cannot be told, and is answered all the same.
    let mut old = Client::connect(broker.address(), V311, "old");
    readers.remove(0);
    broker.until("it is gone", |broker| broker.counters().clients_connected == MANY as u64 + 1);
    old.send_together(numbered(2));
    assert_eq!(answers(&mut old, 2), all_taken(2));
}

/// Whose queue is full is disconnected in the midst of them, where the options
/// say so, and nobody else.
#[test]
fn who_has_no_room_may_be_disconnected() {
    let options = Options { when_full: WhenFull::Disconnect, ..with_little_room() };
    let broker = TestBroker::with_options(options);
    let mut readers = subscribers(&broker, "reader", MANY, "t", AtLeastOnce);
    let mut silent = Client::connect(broker.address(), V5, "silent");
    silent.subscribe("t", AtLeastOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    // One more has room.
    for messages in [1, ROOM - 2] {
        publisher.send_together(numbered(messages));
        assert_eq!(answers(&mut publisher, messages), all_taken(messages));
        readers.iter_mut().for_each(|reader| take(reader, messages));
        // Their acknowledgements have come.
        readers.iter_mut().for_each(Client::drain);
    }
    publisher.send_together(numbered(5));
    assert_eq!(answers(&mut publisher, 5), all_taken(5));
    readers.iter_mut().for_each(|reader| take(reader, 5));
    next(&mut silent, 0);
    silent.expect_disconnect(ReasonCode::QuotaExceeded);
    assert_eq!(broker.counters().queue_full_closed, 1);
}

/// How many readers had some of 300 messages when the one behind them came:
/// between what makes 8,192 deliveries and what makes 32,768.
fn had_some_at_the_last(stay: bool) -> usize {
    const MESSAGES: u16 = 300;
    let access = Watching::default();
    let watching = access.clone();
    let broker = TestBroker::build(|builder| {
        builder.options(Options { threads: 1, ..Options::default() }).access(access)
    });
    allow_many_sockets();
    let reader = |number| {
        let id = format!("reader-{number}");
        let connect = if stay { resuming(V5, &id) } else { Connect::new(V5, id.as_str()) };
        let (mut reader, _) = Client::connect_with(broker.address(), connect);
        reader.subscribe("t", AtLeastOnce);
        reader
    };
    let mut readers: Vec<_> = (0..MANY).map(reader).collect();
    watching.watch(&readers);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    // The first one shows how they go.
    publisher.send_together(numbered(1));
    assert_eq!(answers(&mut publisher, 1), all_taken(1));
    readers.iter_mut().for_each(|reader| take(reader, 1));
    let last = Packet::Publish(Publish::new("last", "x"));
    publisher.send_together(numbered(MESSAGES).chain([last]));
    assert_eq!(answers(&mut publisher, MESSAGES), all_taken(MESSAGES));
    readers.iter_mut().for_each(|reader| take(reader, MESSAGES));
    broker.until("the last one", |_| watching.had_some.lock().unwrap().is_some());
    watching.had_some.lock().unwrap().unwrap()
}

/// What may take long for each is handed out in smaller parts: a reader that
/// stays has it noted one by one.
#[test]
fn who_gets_them_one_by_one_does_not_wait_for_all_of_them() {
    assert_eq!(had_some_at_the_last(true), MANY);
    // On a busy machine a turn may be over before all of them are handled.
    let begun = Instant::now();
    while had_some_at_the_last(false) > 0 {
        assert!(begun.elapsed() < PATIENCE, "they never go together");
    }
}

/// They are counted before their publisher is answered.
#[test]
fn what_is_acknowledged_was_counted() {
    let broker = TestBroker::start();
    let mut readers = subscribers(&broker, "reader", MANY, "t", AtLeastOnce);
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    for round in 1..=20 {
        publisher.send_together(numbered(10));
        assert_eq!(answers(&mut publisher, 10), all_taken(10));
        let received = broker.counters().received;
        assert_eq!((received.messages[1], received.payload_bytes[1]), (10 * round, 40 * round));
        readers.iter_mut().for_each(|reader| take(reader, 10));
    }
    let sent = broker.counters().sent;
    assert_eq!((sent.messages[1], sent.payload_bytes[1]), (200 * MANY as u64, 800 * MANY as u64));
}

/// Who stays gets again what it has not acknowledged, and who was away what it
/// has missed.
#[test]
fn sessions_that_stay_are_owed_all_of_them() {
    const MESSAGES: u16 = 20;
    let broker = TestBroker::start();
    let mut others = subscribers(&broker, "other", MANY, "t", AtLeastOnce);
    let stays = |id| Client::connect_with(broker.address(), resuming(V5, id)).0;
    let (mut reads, mut away) = (stays("reads"), stays("away"));
    reads.subscribe("t", AtLeastOnce);
    away.subscribe("t", AtLeastOnce);
    away.vanish();
    broker.until("it is away", |broker| broker.counters().clients_connected == MANY as u64 + 1);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    publisher.send_together(numbered(MESSAGES));
    assert_eq!(answers(&mut publisher, MESSAGES), all_taken(MESSAGES));
    others.iter_mut().for_each(|other| take(other, MESSAGES));
    let first: Vec<_> = (0..MESSAGES).map(|number| next(&mut reads, number)).collect();
    reads.acknowledge(&first[0]);
    reads.drain();
    reads.vanish();
    let mut reads = stays("reads");
    for before in &first[1..] {
        let again = reads.next_publish();
        assert_eq!(again, Publish { dup: true, ..before.clone() });
        reads.acknowledge(&again);
    }
    reads.expect_nothing();
    let mut away = stays("away");
    take(&mut away, MESSAGES);
    away.expect_nothing();
}

fn on(disk: &Disk) -> TestBroker {
    TestBroker::build(|builder| builder.access(AllowAll).store(disk.clone()))
}

/// What is acknowledged is on disk.
#[test]
fn their_answers_wait_for_the_disk() {
    const MESSAGES: u16 = 20;
    let disk = Disk::default();
    let broker = on(&disk);
    let mut others = subscribers(&broker, "other", MANY, "t", AtLeastOnce);
    let (mut away, _) = Client::connect_with(broker.address(), resuming(V5, "away"));
    away.subscribe("t", AtLeastOnce);
    away.vanish();
    broker.until("it is away", |broker| broker.counters().clients_connected == MANY as u64);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    disk.hang();
    publisher.send_together(numbered(MESSAGES));
    // Those who are there need not wait for it.
    others.iter_mut().for_each(|other| take(other, MESSAGES));
    broker.until("it is on its way to the disk", |_| disk.is_waiting());
    let socket = publisher.stream();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(socket.peek(&mut [0]).is_err(), "nothing is acknowledged yet");
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    disk.work();
    assert_eq!(answers(&mut publisher, MESSAGES), all_taken(MESSAGES));

    let disk = disk.cut();
    let broker = on(&disk);
    let (mut back, _) = Client::connect_with(broker.address(), resuming(V5, "away"));
    take(&mut back, MESSAGES);
    back.expect_nothing();
}

/// What cannot be written is refused, and not acknowledged where the version
/// has no word for that (C14, C28).
#[test]
fn a_full_disk_is_no_lie() {
    let disk = Disk::default();
    let broker = on(&disk);
    allow_many_sockets();
    for number in 0..MANY {
        let resuming = resuming(V5, &format!("away-{number}"));
        let (mut away, _) = Client::connect_with(broker.address(), resuming);
        away.subscribe("t", AtLeastOnce);
    }
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    assert_eq!(publisher.publish("t", "kept", AtLeastOnce), ReasonCode::Success);
    disk.fail();
    let mut first = Client::connect(broker.address(), V5, "first");
    first.send_together(numbered(1));
    broker.until("the failure is seen", |broker| broker.counters().store_errors > 0);
    publisher.send_together(numbered(3));
    assert_eq!(answers(&mut publisher, 3), [ReasonCode::QuotaExceeded; 3]);
    let mut old = Client::connect(broker.address(), V311, "old");
    old.send_together(numbered(3));
    old.expect_nothing();
    assert_eq!(broker.counters().received.messages[1], 2);
    disk.work();
    assert_eq!(answers(&mut first, 1), all_taken(1));
}

/// Who watches exchanges is told of each.
#[test]
fn each_exchange_is_told_of() {
    let diary = Diary::of(Interests { exchanges: true, ..Interests::NONE });
    let observer = diary.clone();
    let broker =
        TestBroker::build(|builder| builder.access(Watching::default()).observer(observer));
    let mut readers = subscribers(&broker, "reader", MANY, "t", AtLeastOnce);
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    publisher.send_together(numbered(3));
    readers.iter_mut().for_each(|reader| take(reader, 3));
    readers.iter_mut().for_each(Client::drain);
    let lines = diary.lines();
    for number in 0..MANY {
        let of_reader = format!("reader-{number} qos ");
        let told: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix(&of_reader)).collect();
        let (sent, completed): (Vec<_>, Vec<_>) =
            told.into_iter().partition(|line| line.ends_with("resent false"));
        assert_eq!((sent.len(), completed), (3, vec!["1 completed", "2 completed", "3 completed"]));
    }
}

/// Fewer come as one than fit into a reader's queue, so that their publisher
/// waits before there is no room in it (C13).
#[test]
fn few_at_a_time_do_not_overrun_a_queue() {
    const MESSAGES: u16 = 500;
    let options = Options {
        max_in_flight: 1,
        max_queued_messages: 40,
        max_pause: PATIENCE,
        stalled_after: PATIENCE,
        ..Options::default()
    };
    let broker = TestBroker::with_options(options);
    let readers = subscribers(&broker, "reader", MANY, "t", AtLeastOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    publisher.send_together(numbered(MESSAGES));
    let take = |mut reader: Client| std::thread::spawn(move || take(&mut reader, MESSAGES));
    let threads: Vec<_> = readers.into_iter().map(take).collect();
    assert_eq!(answers(&mut publisher, MESSAGES), all_taken(MESSAGES));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(broker.counters().dropped_queue_full, 0);
}
