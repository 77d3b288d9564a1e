//! What hooks are asked, told and promised.

use std::sync::Arc;

use latchlight_broker::{
    ClientInfo, Interceptor, Interests, Options, Publication, ReasonCode, Recipient, Steps, Stop,
};
use latchlight_mqtt::ProtocolVersion::{V5, V311};
use latchlight_mqtt::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use latchlight_mqtt::{Packet, PacketId, Publish, SubscriptionOptions};

use crate::support::{Client, Diary, TestBroker, asked, resuming};
use crate::{MANY, Watching, expect_numbered, message, numbered, readers, subscribers};

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
    broker.until("the refused are, too", |broker| broker.counters().deliveries_refused == 60);
    refused.iter_mut().for_each(Client::expect_nothing);
    let counters = broker.counters();
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
    let mut readers = subscribers(&broker, "reader", MANY, "t", AtLeastOnce);
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
    let broker = TestBroker::build(|builder| {
        let options = Options { threads: 1, ..Options::default() };
        builder.options(options).access(Watching::default()).observer(observer)
    });
    let mut readers = readers(&broker, "reader", MANY);
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    publisher.send_bytes(&numbered(1, 4));
    let lines = diary.until(&broker, "publisher processed Publish: Ok(())");
    let sent = lines.iter().filter(|line| line.ends_with(" sent Publish")).count();
    assert_eq!(sent, MANY);
    assert_eq!(lines.last().unwrap(), "publisher processed Publish: Ok(())");
    readers.iter_mut().for_each(|reader| expect_numbered(reader, 1));
}

/// Not sessions alone: each gets all of them once, one of a shared subscription
/// as well as this process.
#[test]
fn a_shared_and_an_inline_subscription_get_them_too() {
    let broker = TestBroker::start();
    let mut readers = readers(&broker, "reader", MANY);
    let mut member = Client::connect(broker.address(), V311, "member");
    member.subscribe("$share/group/t", AtMostOnce);
    let inline = broker.inline();
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    publisher.send_bytes(&numbered(20, 4));
    expect_numbered(&mut member, 20);
    readers.iter_mut().for_each(|reader| expect_numbered(reader, 20));
    member.unsubscribe("$share/group/t");
    let options = SubscriptionOptions::default();
    let mut messages = inline.subscribe("t".try_into().unwrap(), options).unwrap();
    publisher.send_bytes(&numbered(20, 4));
    for number in 0..20_u32 {
        let message = broker.wait(messages.next()).unwrap();
        assert_eq!(message.payload[..], number.to_be_bytes());
    }
    readers.iter_mut().for_each(|reader| expect_numbered(reader, 20));
}

#[test]
fn who_gets_them_is_selected() {
    let selects = asked!(select_subscribers, |_publisher: Option<&Arc<ClientInfo>>,
                                              _message: &Publication,
                                              recipients: &mut Vec<Recipient>|
     -> () {
        recipients.retain(|recipient| recipient.client_id() != "reader-0");
    });
    let broker =
        TestBroker::build(|builder| builder.access(Watching::default()).interceptor(selects));
    let mut readers = readers(&broker, "reader", MANY);
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    publisher.send_bytes(&numbered(20, 4));
    readers[1..].iter_mut().for_each(|reader| expect_numbered(reader, 20));
    readers[0].expect_nothing();
}

#[test]
fn each_of_them_is_told_of() {
    let diary = Diary::of(Interests { messages: true, ..Interests::NONE });
    let observer = diary.clone();
    let broker =
        TestBroker::build(|builder| builder.access(Watching::default()).observer(observer));
    let _readers = readers(&broker, "reader", MANY);
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    for payload in ["1", "2", "3"] {
        publisher.send(Packet::Publish(message(payload)));
    }
    let lines = diary.until(&broker, "publisher published t=3");
    let published: Vec<_> = lines.iter().filter(|line| line.contains(" published ")).collect();
    assert_eq!(
        published,
        ["publisher published t=1", "publisher published t=2", "publisher published t=3"]
    );
}
