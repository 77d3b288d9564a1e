//! What outlives the broker, and that nothing is acknowledged before it does.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use latchlight_broker::{AllowAll, Options};
use latchlight_mqtt::{
    Disconnect, Packet, ProtocolVersion, Publish, QoS, ReasonCode, Subscribe, SubscribeFilter,
    SubscriptionOptions, Will,
};
use support::{Client, Disk, Endpoint, TestBroker, VERSIONS, resuming};

use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

/// Longer than anything takes that is not held back.
const A_WHILE: Duration = Duration::from_millis(150);

#[test]
fn a_session_comes_back_with_what_it_is_owed() {
    for version in VERSIONS {
        let disk = Disk::default();
        let broker = on(&disk);
        let mut reader = resume(&broker, version, "reader").0;
        reader.subscribe("a/+", ExactlyOnce);
        reader.vanish();
        let mut writer = Client::connect(broker.address(), V5, "writer");
        for (payload, qos) in [("1", AtLeastOnce), ("2", ExactlyOnce), ("3", AtLeastOnce)] {
            assert_eq!(writer.publish("a/b", payload, qos), ReasonCode::Success);
        }
        writer.publish("a/b", "nobody is there", AtMostOnce);

        let broker = after_power_cut(broker, &disk.cut());
        let (mut reader, present) = resume(&broker, version, "reader");
        // 3.1 has no word for it.
        assert!(present || version == ProtocolVersion::V31, "{version}");
        let owed: Vec<_> = (0..3).map(|_| reader.next_publish()).collect();
        for (publish, (payload, qos)) in
            owed.iter().zip([("1", AtLeastOnce), ("2", ExactlyOnce), ("3", AtLeastOnce)])
        {
            assert_eq!((&publish.payload[..], publish.qos), (payload.as_bytes(), qos));
            reader.acknowledge(publish);
        }
        // The subscription is there, too.
        let mut writer = Client::connect(broker.address(), V5, "writer");
        writer.publish("a/c", "4", AtLeastOnce);
        let last = reader.next_publish();
        assert_eq!(&last.payload[..], b"4");
        reader.acknowledge(&last);
        reader.expect_nothing();
    }
}

#[test]
fn what_was_acknowledged_by_its_reader_does_not_come_again() {
    let disk = Disk::default();
    let broker = on(&disk);
    let mut reader = resume(&broker, V5, "reader").0;
    reader.subscribe("a", ExactlyOnce);
    let mut writer = Client::connect(broker.address(), V5, "writer");
    for qos in [AtLeastOnce, ExactlyOnce] {
        writer.publish("a", "x", qos);
        let publish = reader.next_publish();
        reader.acknowledge(&publish);
    }
    reader.expect_nothing();
    let mut broker = broker;
    broker.close();

    let broker = on(&disk);
    let (mut reader, present) = resume(&broker, V5, "reader");
    assert!(present);
    reader.expect_nothing();
}

#[test]
fn a_session_that_ends_leaves_nothing_in_the_store() {
    let disk = Disk::default();
    let mut broker = on(&disk);
    let mut reader = resume(&broker, V5, "reader").0;
    reader.subscribe("a", ExactlyOnce);
    reader.vanish();
    Client::connect(broker.address(), V5, "writer").publish("a", "x", ExactlyOnce);
    // A clean start ends it, and the new one ends with its connection.
    Client::connect(broker.address(), V5, "reader").disconnect();
    // This one is ended by its DISCONNECT.
    let mut other = resume(&broker, V5, "other").0;
    other.subscribe("a", ExactlyOnce);
    let mut end = Disconnect::new(ReasonCode::Success);
    end.properties.make_mut().session_expiry_interval = Some(0);
    other.disconnect_with(end);
    broker.until("both sessions are gone", |broker| broker.counters().sessions == 0);
    broker.close();
    assert_eq!(disk.len(), 1, "the format's version only");
}

#[test]
fn what_depends_on_the_store_waits_for_it_and_nothing_else_does() {
    let disk = Disk::default();
    let broker = on(&disk);
    let mut reader = resume(&broker, V5, "reader").0;
    reader.subscribe("kept", ExactlyOnce);
    let mut writer = Client::connect(broker.address(), V5, "writer");
    let mut bystander = Client::connect(broker.address(), V5, "bystander");
    bystander.subscribe("fleeting", AtLeastOnce);
    disk.hang();

    // PUBACK, and the first PUBLISH of QoS 2 with its packet id.
    let id = writer.next_id();
    let kept = Publish { qos: AtLeastOnce, packet_id: Some(id), ..Publish::new("kept", "1") };
    writer.send(Packet::Publish(kept));
    assert_silent(&mut writer);
    let first = reader.next_publish();
    assert_eq!(&first.payload[..], b"1", "QoS 1 need not wait");

    // Who has nothing to do with it goes on.
    let mut other = Client::connect(broker.address(), V311, "other");
    assert_eq!(other.publish("fleeting", "2", AtLeastOnce), ReasonCode::Success);
    let fleeting = bystander.next_publish();
    bystander.acknowledge(&fleeting);

    // A session that is to outlive its connection, and its CONNACK.
    let mut late = Client::open(broker.address(), V5);
    late.send(Packet::Connect(Box::new(resuming(V5, "late"))));
    assert_silent(&mut late);
    disk.work();
    assert_eq!(writer.next_puback(id), ReasonCode::Success);
    assert!(matches!(late.next(), Packet::ConnAck(_)));

    // SUBACK.
    disk.hang();
    let packet_id = late.next_id();
    let options = SubscriptionOptions::qos(ExactlyOnce);
    let filters = vec![SubscribeFilter { filter: "kept".try_into().unwrap(), options }];
    let properties = latchlight_mqtt::Properties::new();
    late.send(Packet::Subscribe(Subscribe { packet_id, filters, properties }));
    assert_silent(&mut late);
    disk.work();
    assert!(matches!(late.next(), Packet::SubAck(_)));
}

#[test]
fn each_step_of_qos_2_waits_for_the_store() {
    let disk = Disk::default();
    let broker = on(&disk);
    let mut reader = resume(&broker, V5, "reader").0;
    reader.subscribe("kept", ExactlyOnce);
    let mut writer = resume(&broker, V5, "writer").0;
    let id = writer.next_id();
    let publish = Publish { qos: ExactlyOnce, packet_id: Some(id), ..Publish::new("kept", "1") };

    disk.hang();
    writer.send(Packet::Publish(publish));
    assert_silent(&mut writer);
    assert_silent(&mut reader);
    disk.work();
    assert_eq!(writer.next_pubrec(id), ReasonCode::Success);
    let received = reader.next_publish();
    let theirs = received.packet_id.unwrap();

    disk.hang();
    writer.pubrel(id);
    assert_silent(&mut writer);
    disk.work();
    assert_eq!(writer.next_pubcomp(id), ReasonCode::Success);

    disk.hang();
    reader.pubrec(theirs);
    assert_silent(&mut reader);
    disk.work();
    assert_eq!(reader.next_pubrel(theirs), ReasonCode::Success);
    reader.pubcomp(theirs);
    reader.expect_nothing();
}

#[test]
fn qos_2_goes_on_where_it_was_after_a_power_cut() {
    let disk = Disk::default();
    let broker = on(&disk);
    let mut reader = resume(&broker, V5, "reader").0;
    reader.subscribe("kept", ExactlyOnce);
    let mut writer = resume(&broker, V5, "writer").0;

    // The writer's message was taken, and not released.
    let id = writer.next_id();
    let publish = Publish { qos: ExactlyOnce, packet_id: Some(id), ..Publish::new("kept", "1") };
    writer.send(Packet::Publish(publish.clone()));
    assert_eq!(writer.next_pubrec(id), ReasonCode::Success);
    // The reader was sent it, and has not said so.
    let first = reader.next_publish();

    let disk = disk.cut();
    let broker = after_power_cut(broker, &disk);
    let mut writer = resume(&broker, V5, "writer").0;
    writer.send(Packet::Publish(Publish { dup: true, ..publish }));
    assert_eq!(writer.next_pubrec(id), ReasonCode::Success);
    writer.pubrel(id);
    assert_eq!(writer.next_pubcomp(id), ReasonCode::Success);
    let mut reader = resume(&broker, V5, "reader").0;
    let again = reader.next_publish();
    // [MQTT-4.4.0-1]
    assert_eq!((again.packet_id, again.dup), (first.packet_id, true));
    assert_eq!(again.payload, first.payload);
    let theirs = again.packet_id.unwrap();
    reader.pubrec(theirs);
    assert_eq!(reader.next_pubrel(theirs), ReasonCode::Success);

    let disk = disk.cut();
    let broker = after_power_cut(broker, &disk);
    let mut reader = resume(&broker, V5, "reader").0;
    // It has the message; what is left is its end.
    assert_eq!(reader.next_pubrel(theirs), ReasonCode::Success);
    reader.pubcomp(theirs);
    reader.expect_nothing();
    // A packet id of the first run is free again.
    let mut writer = Client::connect(broker.address(), V5, "another");
    writer.publish("kept", "2", ExactlyOnce);
    assert_eq!(reader.next_publish().payload, "2");
}

#[test]
fn a_will_that_waits_and_a_session_that_runs_out_are_kept_to_their_times() {
    let disk = Disk::default();
    let broker = on(&disk);
    let mut watcher = resume(&broker, V5, "watcher").0;
    watcher.subscribe("will", AtLeastOnce);
    watcher.vanish();
    let mut connect = resuming(V5, "mortal");
    connect.properties.make_mut().session_expiry_interval = Some(2);
    let mut will = Will {
        topic: "will".try_into().unwrap(),
        payload: "gone".into(),
        qos: AtLeastOnce,
        retain: false,
        properties: latchlight_mqtt::Properties::new(),
    };
    will.properties.make_mut().will_delay_interval = Some(1);
    connect.will = Some(will);
    let (client, _) = Client::connect_with(broker.address(), connect);
    client.vanish();
    all_committed(&broker);

    let broker = after_power_cut(broker, &disk.cut());
    let mut watcher = resume(&broker, V5, "watcher").0;
    assert_eq!(watcher.next_message().1, "gone");
    broker.until("its session ends", |broker| broker.counters().sessions == 1);
}

#[test]
fn a_store_that_cannot_write_is_no_lie_and_stops_nobody_else() {
    let disk = Disk::default();
    let broker = on(&disk);
    let mut reader = resume(&broker, V5, "reader").0;
    reader.subscribe("kept", AtLeastOnce);
    reader.vanish();
    all_committed(&broker);
    let mut stays = resume(&broker, V311, "stays").0;
    disk.fail();
    let mut first = Client::connect(broker.address(), V5, "first");
    let id = first.next_id();
    let kept = Publish { qos: AtLeastOnce, packet_id: Some(id), ..Publish::new("kept", "1") };
    first.send(Packet::Publish(kept));
    broker.until("the failure is seen", |broker| broker.counters().store_errors > 0);
    assert_silent(&mut first);

    // From now on it is said at once (C14, C28).
    let mut second = Client::connect(broker.address(), V5, "second");
    assert_eq!(second.publish("kept", "2", AtLeastOnce), ReasonCode::QuotaExceeded);
    let refused = second.publish_retained("kept", "2", AtLeastOnce);
    assert_eq!(refused, ReasonCode::QuotaExceeded);
    // An older version has no word for it, so that there is no answer.
    let mut older = Client::connect(broker.address(), V311, "older");
    for (qos, retain) in [(AtLeastOnce, false), (ExactlyOnce, false), (AtLeastOnce, true)] {
        let packet_id = Some(older.next_id());
        let publish = Publish { qos, retain, packet_id, ..Publish::new("kept", "2") };
        older.send(Packet::Publish(publish));
    }
    older.expect_nothing();
    // Nor that it was taken, if that cannot be kept.
    let packet_id = Some(stays.next_id());
    let publish = Publish { qos: ExactlyOnce, packet_id, ..Publish::new("nobody/listens", "2") };
    stays.send(Packet::Publish(publish));
    stays.expect_nothing();
    let mut bystander = Client::connect(broker.address(), V311, "bystander");
    bystander.subscribe("fleeting", AtLeastOnce);
    assert_eq!(second.publish("fleeting", "3", AtLeastOnce), ReasonCode::Success);
    assert_eq!(bystander.next_message().1, "3");

    disk.work();
    assert_eq!(first.next_puback(id), ReasonCode::Success);
    broker.until("it takes messages again", |_| {
        second.publish("kept", "4", AtLeastOnce) == ReasonCode::Success
    });
    let mut reader = resume(&broker, V5, "reader").0;
    assert_eq!(reader.next_message().1, "1");
    assert_eq!(reader.next_message().1, "4");
}

#[test]
fn the_backlog_of_the_store_is_bounded() {
    let disk = Disk::default();
    let options = Options { max_store_backlog: 20_000, ..Options::default() };
    let broker =
        TestBroker::build(|builder| builder.options(options).access(AllowAll).store(disk.clone()));
    let mut reader = resume(&broker, V5, "reader").0;
    reader.subscribe("kept", AtLeastOnce);
    reader.vanish();
    all_committed(&broker);
    disk.hang();
    let mut writer = Client::connect(broker.address(), V5, "writer");
    for _ in 0..40 {
        let id = writer.next_id();
        let publish = Publish::new("kept", vec![7; 1000]);
        let publish = Publish { qos: AtLeastOnce, packet_id: Some(id), ..publish };
        writer.send(Packet::Publish(publish));
    }
    broker.until("some are refused", |broker| broker.counters().dropped_store_full > 0);
    disk.work();
    let reasons: Vec<_> = (0..40)
        .map(|_| match writer.next() {
            Packet::PubAck(ack) => ack.reason,
            other => panic!("expected PUBACK, received {other:?}"),
        })
        .collect();
    let taken = reasons.iter().filter(|reason| **reason == ReasonCode::Success).count();
    assert!((1..40).contains(&taken), "{taken} of 40");
    let mut reader = resume(&broker, V5, "reader").0;
    for _ in 0..taken {
        let publish = reader.next_publish();
        reader.acknowledge(&publish);
    }
    reader.expect_nothing();
}

/// Publishers and a reader at work while the power goes again and again:
/// what was acknowledged arrives, QoS 2 exactly once.
#[test]
fn nothing_that_was_acknowledged_is_lost_by_power_cuts() {
    const CUTS: usize = 60;
    const MESSAGES: usize = 12;
    let mut disk = Disk::default();
    let mut broker = on(&disk);
    let mut reader = Endpoint::new("reader");
    let mut writer = Endpoint::new("writer");
    reader.connect(broker.address());
    reader.client().subscribe("kept/#", ExactlyOnce);
    let mut sent = 0;
    for round in 0..CUTS {
        writer.connect(broker.address());
        // Some are sent without looking, so that the cut meets them half way.
        for number in 0..MESSAGES {
            let qos = if number % 2 == 0 { AtLeastOnce } else { ExactlyOnce };
            sent += 1;
            writer.begin_publish(&format!("{sent}"), qos);
        }
        for _ in 0..round % (MESSAGES * 2) {
            if writer.has_open() {
                writer.take_one();
            }
        }
        for _ in 0..round % 5 {
            reader.take_one();
        }
        disk = disk.cut();
        broker = after_power_cut(broker, &disk);
        reader.connect(broker.address());
    }
    writer.connect(broker.address());
    while writer.has_open() {
        writer.take_one();
    }
    // What came again and again fills its window more than once.
    reader.take_all();
    reader.assert_received(sent);
}

/// Sessions that begin, are replaced, run out and leave wills, while others
/// publish and the store commits all the time: everybody goes on.
#[test]
fn who_comes_and_goes_holds_nobody_up() {
    let disk = Disk::default();
    let broker = on(&disk);
    let address = broker.address();
    let come_and_go = |name: String| {
        for round in 0..60 {
            let mut connect = resuming(V5, &name);
            connect.clean_start = round % 3 == 0;
            connect.properties.make_mut().session_expiry_interval = Some(1);
            connect.will = Some(Will {
                topic: "kept/will".try_into().unwrap(),
                payload: "gone".into(),
                qos: ExactlyOnce,
                retain: round % 2 == 0,
                properties: latchlight_mqtt::Properties::new(),
            });
            let (mut client, _) = Client::connect_with(address, connect);
            let packet_id = client.next_id();
            let options = SubscriptionOptions::qos(ExactlyOnce);
            let filters = vec![SubscribeFilter { filter: "kept/#".try_into().unwrap(), options }];
            let properties = latchlight_mqtt::Properties::new();
            client.send(Packet::Subscribe(Subscribe { packet_id, filters, properties }));
            let packet_id = Some(client.next_id());
            let publish = Publish { qos: ExactlyOnce, packet_id, ..Publish::new("kept/x", "x") };
            client.send(Packet::Publish(publish));
            client.next();
            client.vanish();
        }
    };
    std::thread::scope(|scope| {
        for number in 0..6 {
            scope.spawn(move || come_and_go(format!("client-{number}")));
        }
    });
    broker.until("their sessions end", |broker| broker.counters().sessions == 0);
}

/// Everybody has gone, and that is in the store.
fn all_committed(broker: &TestBroker) {
    broker.until("they are gone", |broker| broker.clients().is_empty());
    // Its commit comes after those.
    Client::connect(broker.address(), V5, "last").publish_retained("last", "", AtLeastOnce);
}

fn on(disk: &Disk) -> TestBroker {
    TestBroker::build(|builder| builder.access(AllowAll).store(disk.clone()))
}

/// The broker is gone; another one starts on what is left.
fn after_power_cut(mut broker: TestBroker, disk: &Disk) -> TestBroker {
    broker.close();
    on(disk)
}

/// Connects to a session that outlives the connection; true: it was there.
fn resume(broker: &TestBroker, version: ProtocolVersion, client_id: &str) -> (Client, bool) {
    let (client, answer) = Client::connect_with(broker.address(), resuming(version, client_id));
    (client, answer.session_present)
}

/// Nothing comes for a while.
fn assert_silent(client: &mut Client) {
    client.stream().set_read_timeout(Some(A_WHILE)).unwrap();
    let mut byte = [0];
    let peeked = client.stream().peek(&mut byte);
    assert!(peeked.is_err(), "something came that had to wait");
    client.stream().set_read_timeout(Some(support::PATIENCE)).unwrap();
}
