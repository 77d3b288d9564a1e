//! What one client costs, the others do not pay (C16). No test asserts a time:
//! they count what the broker does for the one before it serves the other. All
//! share one thread.
#![allow(clippy::unwrap_used)]

mod support;

use latchlight_broker::Options;
use latchlight_mqtt::{
    Packet, PacketId, ProtocolVersion, Publish, QoS, Subscribe, SubscribeFilter,
    SubscriptionOptions, Unsubscribe,
};
use support::{Client, TestBroker};

use ProtocolVersion::V5;
use QoS::AtMostOnce;

fn one_thread() -> TestBroker {
    TestBroker::with_options(Options { threads: 1, ..Options::default() })
}

fn bytes(packet: Packet) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.encode(V5, &mut bytes).unwrap();
    bytes
}

/// Fewer packets of the attack than this the broker handles before it answers
/// another client, from the first one on. A busy machine may keep that client
/// from saying or hearing anything until the attack is over, which tells
/// nothing: then there is another one.
fn assert_answers_before(most: u64, broker: &TestBroker, attacker: &mut Client, attack: &[u8]) {
    const ATTACKS: usize = 20;
    let mut bystander = Client::connect(broker.address(), V5, "bystander");
    let mut handled = Vec::new();
    for _ in 0..ATTACKS {
        let mut sending = attacker.second_handle();
        let before = broker.counters().received.packets;
        handled.push(std::thread::scope(|scope| {
            scope.spawn(move || sending.try_send_bytes(attack));
            broker.until("it has begun", |broker| broker.counters().received.packets > before);
            bystander.expect_nothing();
            broker.counters().received.packets - before
        }));
        if handled.last().is_some_and(|handled| *handled < most) {
            return;
        }
        attacker.drain();
    }
    panic!("so many packets went before another's ping: {handled:?}");
}

/// Topics whose way through the index is long: each level goes both ways.
#[test]
fn deep_topics_let_others_come_in_between() {
    const MESSAGES: usize = 64;
    let broker = one_thread();
    let mut attacker = Client::connect(broker.address(), V5, "attacker");
    for number in 0..1024_u32 {
        let level = |bit: u32| if number >> bit & 1 == 1 { "+" } else { "a" };
        let both_ways: Vec<_> = (0..10).map(level).collect();
        let filter = format!("{}/{}", both_ways.join("/"), ["+"; 100].join("/"));
        attacker.subscribe(&filter, AtMostOnce);
    }
    let deep = ["a"; 109].join("/");
    let attack: Vec<u8> = (0..MESSAGES)
        .flat_map(|number| bytes(Packet::Publish(Publish::new(format!("{deep}/{number}"), "x"))))
        .collect();
    assert_answers_before(MESSAGES as u64 / 2, &broker, &mut attacker, &attack);
}

/// Neither do many filters in one packet, nor such packets one after another.
#[test]
fn packets_of_many_filters_let_others_come_in_between() {
    const PACKETS: usize = 40;
    let broker = one_thread();
    let mut attacker = Client::connect(broker.address(), V5, "attacker");
    let filter = |number: usize| SubscribeFilter {
        filter: format!("{number}/+/#").as_str().try_into().unwrap(),
        options: SubscriptionOptions::qos(AtMostOnce),
    };
    let filters: Vec<_> = (0..10_000).map(filter).collect();
    let names = filters.iter().map(|filter| filter.filter.clone()).collect();
    let (packet_id, properties) = (PacketId::MIN, Default::default());
    let mut pair = bytes(Packet::Subscribe(Subscribe { packet_id, filters, properties }));
    let properties = Default::default();
    pair.extend(bytes(Packet::Unsubscribe(Unsubscribe { packet_id, filters: names, properties })));
    let attack = pair.repeat(PACKETS / 2);
    assert_answers_before(PACKETS as u64 / 2, &broker, &mut attacker, &attack);
}

/// As fast as it can: everything else of the thread goes on.
#[test]
fn a_flood_starves_nobody() {
    let broker = one_thread();
    let mut attackers = ["one", "two", "three"].map(|id| {
        let mut client = Client::connect(broker.address(), V5, id);
        client.subscribe("flood/#", AtMostOnce);
        client
    });
    let mut bystander = Client::connect(broker.address(), V5, "bystander");
    let attack = bytes(Packet::Publish(Publish::new("flood", "x".repeat(100)))).repeat(1000);
    std::thread::scope(|scope| {
        for attacker in &attackers {
            let mut sending = attacker.second_handle();
            let attack = &attack;
            // It ends with its connection.
            scope.spawn(move || while sending.is_open_for(attack) {});
        }
        let before = broker.counters().received.packets;
        for _ in 0..50 {
            bystander.expect_nothing();
            // Somebody new is let in, too.
            Client::connect(broker.address(), V5, "new").disconnect();
        }
        assert!(broker.counters().received.packets > before + 1000, "there was no flood");
        for attacker in &mut attackers {
            attacker.finish_sending_if_open();
        }
    });
}
