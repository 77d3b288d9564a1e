//! What hooks are asked, told and promised.

use std::sync::Arc;

use latchlight_broker::{ClientInfo, Interceptor, Interests, Publication, ReasonCode, Steps, Stop};
use latchlight_mqtt::ProtocolVersion::{V5, V311};
use latchlight_mqtt::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use latchlight_mqtt::{Packet, PacketId, Publish};

use crate::support::{Client, Diary, TestBroker, asked, resuming};
use crate::{MANY, Watching, expect_numbered, message, numbered, readers};

#[test]
fn who_may_not_receive_gets_none_of_them_and_each_is_counted() {
    let broker = TestBroker::with_access(Watching::default());
    let mut allowed = readers(&broker, "allowed", MANY);
    let mut refused = readers(&broker, "refused", 3);
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    publisher.send_bytes(&numbered(20, 4));
    allowed.iter_mut().for_each(|reader| expect_numbered(reader, 20));
    let sent = 20 * MANY as u64;
    // Before them, CONNACK and SUBACK for each, and the publisher's CONNACK.
    let packets = sent + 2 * (MANY as u64 + 3) + 1;
    broker.until("they are counted", |broker| broker.counters().sent.packets == packets);
    refused.iter_mut().for_each(Client::expect_nothing);
    let counters = broker.counters();
    assert_eq!(counters.deliveries_refused, 3 * 20);
    assert_eq!(counters.received.messages[0], 20);
    assert_eq!((counters.sent.messages[0], counters.sent.payload_bytes[0]), (sent, 4 * sent));
}

/// An interceptor that lowers the QoS leaves what is owed to the publisher.
#[test]
fn what_is_lowered_is_taken_once_and_acknowledged() {
    let lowers = asked!(publish, |_publisher: Option<&Arc<ClientInfo>>,
                                  message: &mut Publication|
     -> Result<(), Stop> {
        message.qos = AtMostOnce;
        message.payload = "edited".into();
        Ok(())
    });
    let broker =
        TestBroker::build(|builder| builder.access(Watching::default()).interceptor(lowers));
    let mut readers = readers(&broker, "reader", MANY);
    let (mut publisher, _) = Client::connect_with(broker.address(), resuming(V5, "publisher"));
    assert_eq!(publisher.publish("t", "x", AtLeastOnce), ReasonCode::Success);
    let id = PacketId::new(5).unwrap();
    let exactly_once = |dup| {
        Packet::Publish(Publish { qos: ExactlyOnce, packet_id: Some(id), dup, ..message("x") })
    };
    publisher.send(exactly_once(false));
    assert_eq!(publisher.next_pubrec(id), ReasonCode::Success);
    // As if that had been lost.
    publisher.send(exactly_once(true));
    assert_eq!(publisher.next_pubrec(id), ReasonCode::Success);
    publisher.pubrel(id);
    assert_eq!(publisher.next_pubcomp(id), ReasonCode::Success);
    for reader in &mut readers {
        for _ in 0..2 {
            let publish = reader.next_publish();
            assert_eq!((publish.qos, &publish.payload[..]), (AtMostOnce, &b"edited"[..]));
        }
        reader.expect_nothing();
    }
    let counters = broker.counters();
    assert_eq!(counters.received.messages, [0, 1, 1]);
    assert_eq!(counters.received.payload_bytes, [0, 1, 1]);
}

/// One that raises it, too.
#[test]
fn what_is_raised_is_acknowledged_by_all() {
    let raises = asked!(publish, |_publisher: Option<&Arc<ClientInfo>>,
                                  message: &mut Publication|
     -> Result<(), Stop> {
        message.qos = AtLeastOnce;
        Ok(())
    });
    let broker =
        TestBroker::build(|builder| builder.access(Watching::default()).interceptor(raises));
    let reader = |number| {
        let mut reader = Client::connect(broker.address(), V311, &format!("reader-{number}"));
        reader.subscribe("t", AtLeastOnce);
        reader
    };
    let mut readers: Vec<_> = (0..MANY).map(reader).collect();
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    publisher.send_bytes(&numbered(3, 4));
    for reader in &mut readers {
        for number in 0..3_u32 {
            let publish = reader.next_publish();
            assert_eq!(
                (publish.qos, &publish.payload[..]),
                (AtLeastOnce, &number.to_be_bytes()[..])
            );
            reader.acknowledge(&publish);
        }
    }
}

/// Who watches packets is told that a message was handled when it was.
#[test]
fn what_is_watched_is_told_in_its_order() {
    let diary = Diary::of(Interests { packets: true, ..Interests::NONE });
    let observer = diary.clone();
    let broker =
        TestBroker::build(|builder| builder.access(Watching::default()).observer(observer));
    let mut readers = readers(&broker, "reader", MANY);
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    publisher.send_bytes(&numbered(1, 4));
    let lines = diary.until(&broker, "publisher processed Publish: Ok(())");
    let sent = lines.iter().filter(|line| line.ends_with(" sent Publish")).count();
    assert_eq!(sent, MANY);
    assert_eq!(lines.last().unwrap(), "publisher processed Publish: Ok(())");
    readers.iter_mut().for_each(|reader| expect_numbered(reader, 1));
}
