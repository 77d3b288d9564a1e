//! The way of a message through the broker: read, routed, written.

use latchlight_broker::{Packet, ProtocolVersion, QoS};
use latchlight_mqtt::{PacketId, PacketType, ReasonCode, encode_ack};

use crate::bed::{Bed, Peer, encoded, publish};
use crate::probe::Probe;

const V311: ProtocolVersion = ProtocolVersion::V311;
const V5: ProtocolVersion = ProtocolVersion::V5;
const TOPIC: &str = "home/doors/front-door/state";

/// How many messages come together, where they do.
const BATCH: usize = 100;
const ROUNDS: usize = 10;
const READERS: usize = 1000;

pub fn run(probe: &mut Probe) {
    nothing(probe);
    for payload in [16, 256, 4096] {
        let name = format!("QoS 0, 1 → 1, {payload} B");
        at_most_once(probe, &name, payload, [V311, V311], BATCH.min(40_000 / payload));
    }
    at_most_once(probe, "QoS 0, 1 → 1, 16 B, one at a time", 16, [V311, V311], 1);
    at_most_once(probe, "QoS 0, 1 → 1, 16 B, MQTT 5", 16, [V5, V5], BATCH);
    at_most_once(probe, "QoS 0, 1 → 1, 16 B, from MQTT 3.1.1 to 5", 16, [V311, V5], BATCH);
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        exchange(probe, &format!("QoS {}, 1 → 1, 16 B", qos as u8), qos, BATCH);
    }
    let name = "QoS 1, 1 → 1, 16 B, one at a time";
    exchange(probe, name, QoS::AtLeastOnce, 1);
    fan_out(probe);
    shared(probe);
}

/// What the runtime takes by itself, each time that the broker is let do
/// something: part of all the others, once a batch.
fn nothing(probe: &mut Probe) {
    let name = "nothing at all, a turn of the runtime";
    if !probe.wants(&[name]) {
        return;
    }
    let bed = Bed::new();
    bed.settle();
    (0..ROUNDS).for_each(|_| bed.settle_counted());
    probe.end(name, ROUNDS);
}

fn at_most_once(
    probe: &mut Probe,
    name: &str,
    payload: usize,
    [from, to]: [ProtocolVersion; 2],
    batch: usize,
) {
    if !probe.wants(&[name]) {
        return;
    }
    let bed = Bed::new();
    let mut reader = bed.reader(to, "reader", TOPIC, QoS::AtMostOnce);
    let mut writer = bed.client(from, "writer");
    let message = Packet::Publish(publish(TOPIC, payload, QoS::AtMostOnce, 0));
    let sent = encoded(&message, from).repeat(batch);
    let comes = encoded(&message, to).len() * batch;
    for round in 0..=ROUNDS {
        writer.write(&sent);
        bed.settle_in_round(round);
        reader.expect(comes);
    }
    probe.end(name, batch * ROUNDS);
}

/// A whole exchange: the publisher's acknowledgements, and the reader's.
fn exchange(probe: &mut Probe, name: &str, qos: QoS, batch: usize) {
    if !probe.wants(&[name]) {
        return;
    }
    let bed = Bed::new();
    let mut reader = bed.reader(V311, "reader", TOPIC, qos);
    let mut writer = bed.client(V311, "writer");
    let ids: Vec<u16> = (1..).take(batch).collect();
    let publishes = ids.iter().map(|id| Packet::Publish(publish(TOPIC, 16, qos, *id)));
    let publishes: Vec<u8> = publishes.flat_map(|packet| encoded(&packet, V311)).collect();
    let mut next = 1;
    for round in 0..=ROUNDS {
        writer.write(&publishes);
        bed.settle_in_round(round);
        reader.expect(publishes.len());
        // The ids that the broker gives come in turn.
        let given: Vec<u16> = (next..).take(batch).collect();
        next += batch as u16;
        if qos == QoS::ExactlyOnce {
            answered(&mut writer, batch);
            writer.write(&acks(PacketType::PubRel, &ids));
            reader.write(&acks(PacketType::PubRec, &given));
            bed.settle_in_round(round);
            answered(&mut reader, batch);
            reader.write(&acks(PacketType::PubComp, &given));
        } else {
            reader.write(&acks(PacketType::PubAck, &given));
        }
        bed.settle_in_round(round);
        answered(&mut writer, batch);
    }
    probe.end(name, batch * ROUNDS);
}

fn acks(packet: PacketType, ids: &[u16]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for id in ids {
        let id = PacketId::new(*id).expect("a packet id");
        encode_ack(packet, id, ReasonCode::Success, V311, &mut bytes);
    }
    bytes
}

/// Each of so many packets has its answer, of four bytes.
fn answered(client: &mut Peer, packets: usize) {
    client.expect(packets * 4);
}

fn fan_out(probe: &mut Probe) {
    let kinds = [QoS::AtMostOnce, QoS::AtLeastOnce].map(|qos| [(qos, 1), (qos, 10)]);
    for (qos, batch) in kinds.into_iter().flatten() {
        let together = if batch > 1 { ", 10 together" } else { "" };
        let name = format!("QoS {}, 1 → {READERS}, 16 B, a delivery{together}", qos as u8);
        if !probe.wants(&[&name]) {
            continue;
        }
        let bed = Bed::new();
        let reader = |n: usize| bed.reader(V311, &format!("reader-{n}"), TOPIC, qos);
        let mut readers: Vec<Peer> = (0..READERS).map(reader).collect();
        let mut writer = bed.client(V311, "writer");
        let message = encoded(&Packet::Publish(publish(TOPIC, 16, qos, 1)), V311).repeat(batch);
        for round in 0..3 {
            writer.write(&message);
            bed.settle_in_round(round);
            readers.iter_mut().for_each(|reader| reader.expect(message.len()));
        }
        probe.end(&name, READERS * batch * 2);
    }
}

fn shared(probe: &mut Probe) {
    let name = "QoS 0, 1 → shared by 5, 16 B";
    if !probe.wants(&[name]) {
        return;
    }
    let bed = Bed::new();
    let filter = format!("$share/group/{TOPIC}");
    let reader = |n: usize| bed.reader(V311, &format!("reader-{n}"), &filter, QoS::AtMostOnce);
    let mut readers: Vec<Peer> = (0..5).map(reader).collect();
    let mut writer = bed.client(V311, "writer");
    let message = Packet::Publish(publish(TOPIC, 16, QoS::AtMostOnce, 0));
    let sent = encoded(&message, V311).repeat(BATCH);
    for round in 0..=ROUNDS {
        writer.write(&sent);
        bed.settle_in_round(round);
        readers.iter_mut().for_each(|reader| reader.expect(sent.len() / 5));
    }
    probe.end(name, BATCH * ROUNDS);
}
