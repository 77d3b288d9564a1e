//! What is not a message on its way: clients that come and go, subscriptions,
//! retained messages.

use latchlight_broker::{Connect, Packet, PacketId, ProtocolVersion, QoS, ReasonCode};
use latchlight_mqtt::{Disconnect, Unsubscribe};

use crate::bed::{Bed, Peer, encoded, publish, subscribe};
use crate::probe::Probe;

const V311: ProtocolVersion = ProtocolVersion::V311;
const MANY: usize = 200;

pub fn run(probe: &mut Probe) {
    connect(probe);
    subscribe_and_unsubscribe(probe);
    retain(probe);
    retained_for_new_subscriptions(probe);
}

fn connect(probe: &mut Probe) {
    let names = ["connect", "disconnect"];
    if !probe.wants(&names) {
        return;
    }
    let bed = Bed::new();
    let hello = |n: usize| {
        let mut client = bed.dial(V311);
        let connect = Connect::new(V311, format!("client-{n}"));
        client.send(&Packet::Connect(Box::new(connect)));
        client
    };
    // The first one is not like the others.
    let _first = hello(MANY);
    bed.settle();
    let mut clients: Vec<Peer> = (0..MANY).map(hello).collect();
    bed.settle_counted();
    clients.iter_mut().for_each(|client| client.expect(4));
    probe.end(names[0], MANY);
    let bye = encoded(&Packet::Disconnect(Disconnect::new(ReasonCode::Success)), V311);
    clients.iter_mut().for_each(|client| client.write(&bye));
    bed.settle_counted();
    probe.end(names[1], MANY);
}

fn topics() -> Vec<String> {
    (0..MANY).map(|n| format!("home/devices/device-{n}/state")).collect()
}

fn subscribe_and_unsubscribe(probe: &mut Probe) {
    let names = ["subscribe, 1 filter", "subscribe again, 1 filter", "unsubscribe, 1 filter"];
    if !probe.wants(&names) {
        return;
    }
    let bed = Bed::new();
    let mut client = bed.client(V311, "client");
    let packets = |packet: &dyn Fn(&str) -> Packet| -> Vec<u8> {
        topics().iter().flat_map(|topic| encoded(&packet(topic), V311)).collect()
    };
    let subscribes = packets(&|topic| subscribe(&[topic], QoS::AtLeastOnce));
    for name in &names[..2] {
        client.write(&subscribes);
        bed.settle_counted();
        client.expect(MANY * 5);
        probe.end(name, MANY);
    }
    let unsubscribes = packets(&|topic| {
        let filters = vec![topic.try_into().expect("a filter")];
        let properties = Default::default();
        Packet::Unsubscribe(Unsubscribe { packet_id: PacketId::MIN, filters, properties })
    });
    client.write(&unsubscribes);
    bed.settle_counted();
    client.expect(MANY * 4);
    probe.end(names[2], MANY);
}

fn retained_messages() -> Vec<u8> {
    let message = |topic: &String| {
        let mut message = publish(topic, 16, QoS::AtMostOnce, 0);
        message.retain = true;
        encoded(&Packet::Publish(message), V311)
    };
    topics().iter().flat_map(message).collect()
}

fn retain(probe: &mut Probe) {
    let names = ["retain, 16 B, a new topic", "retain, 16 B, in another's place"];
    if !probe.wants(&names) {
        return;
    }
    let bed = Bed::new();
    let mut client = bed.client(V311, "client");
    let messages = retained_messages();
    for name in names {
        client.write(&messages);
        bed.settle_counted();
        probe.end(name, MANY);
    }
}

fn retained_for_new_subscriptions(probe: &mut Probe) {
    let name = "a retained message for a new subscription";
    if !probe.wants(&[name]) {
        return;
    }
    let bed = Bed::new();
    let mut client = bed.client(V311, "client");
    let messages = retained_messages();
    client.write(&messages);
    bed.settle();
    let mut reader = bed.client(V311, "reader");
    reader.send(&subscribe(&["home/devices/+/state"], QoS::AtMostOnce));
    bed.settle_counted();
    reader.expect(5 + messages.len());
    probe.end(name, MANY);
}
