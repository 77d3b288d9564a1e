//! A commit waits for nobody, and who comes while one runs shares the next.
#![allow(clippy::unwrap_used)]

mod support;

use latchlight_broker::AllowAll;
use latchlight_mqtt::{Packet, ProtocolVersion, Publish, QoS};
use support::{Client, Disk, TestBroker, resuming};

use ProtocolVersion::V5;
use QoS::AtLeastOnce;

const MESSAGES: u16 = 200;

#[test]
fn a_commit_begins_with_the_first_change_and_takes_what_gathered_before_it() {
    let disk = Disk::default();
    let broker = TestBroker::build(|builder| builder.access(AllowAll).store(disk.clone()));
    let mut reader = Client::connect_with(broker.address(), resuming(V5, "reader")).0;
    reader.subscribe("kept", AtLeastOnce);
    reader.vanish();
    broker.until("it is gone", |broker| broker.clients().is_empty());
    let mut writer = Client::connect(broker.address(), V5, "writer");
    writer.publish_retained("last", "", AtLeastOnce);

    // One at a time, nothing else comes: each is answered by a commit of its
    // own, for which nothing but the message itself was needed.
    let before = disk.commits();
    for number in 1..=3 {
        writer.publish("kept", "alone", AtLeastOnce);
        assert_eq!(disk.commits(), before + number);
    }

    // All that come while one runs are in the next.
    disk.hang();
    let received = broker.counters().received.all_messages();
    for _ in 0..MESSAGES {
        let packet_id = Some(writer.next_id());
        let publish = Publish { qos: AtLeastOnce, packet_id, ..Publish::new("kept", "x") };
        writer.send(Packet::Publish(publish));
    }
    broker.until("they are there", |broker| {
        broker.counters().received.all_messages() >= received + u64::from(MESSAGES)
    });
    disk.work();
    for _ in 0..MESSAGES {
        assert!(matches!(writer.next(), Packet::PubAck(_)));
    }
    assert!(disk.commits() <= before + 3 + 2, "{} commits", disk.commits() - before - 3);
}

/// The reader was faster than the disk: what it has acknowledged need not be
/// written any more, and there is nothing else to write.
#[test]
fn a_message_that_is_acknowledged_before_it_is_written_is_answered_all_the_same() {
    let disk = Disk::default();
    let broker = TestBroker::build(|builder| builder.access(AllowAll).store(disk.clone()));
    let mut reader = Client::connect_with(broker.address(), resuming(V5, "reader")).0;
    reader.subscribe("kept", AtLeastOnce);
    let mut writer = Client::connect(broker.address(), V5, "writer");
    writer.publish_retained("last", "", AtLeastOnce);
    disk.hang();
    // The first keeps the disk busy.
    let mut receive = || {
        let packet_id = Some(writer.next_id());
        let publish = Publish { qos: AtLeastOnce, packet_id, ..Publish::new("kept", "x") };
        writer.send(Packet::Publish(publish));
        reader.next_publish()
    };
    receive();
    broker.until("it is being written", |_| disk.is_waiting());
    let message = receive();
    reader.acknowledge(&message);
    reader.send(Packet::PingReq);
    assert_eq!(reader.next(), Packet::PingResp);
    let before = disk.commits();
    disk.work();
    for _ in 0..2 {
        assert!(matches!(writer.next(), Packet::PubAck(_)));
    }
    assert_eq!(disk.commits(), before + 1);
}
