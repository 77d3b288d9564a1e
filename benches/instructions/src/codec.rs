//! The codec by itself: PUBLISH in place and encoded, and its acknowledgement.

use std::hint::black_box;

use latchlight_broker::{Packet, ProtocolVersion, QoS, ReasonCode};
use latchlight_mqtt::{
    AckView, Framing, PacketId, PacketType, Publish, PublishView, encode_ack, frame,
};

use crate::bed::{encoded, publish};
use crate::probe::{Probe, counted};

const ROUNDS: usize = 1000;
const LARGEST: usize = 1024 * 1024;
const TOPIC: &str = "home/doors/front-door/state";

pub fn run(probe: &mut Probe) {
    for version in [ProtocolVersion::V311, ProtocolVersion::V5] {
        for payload in [16, 256, 4096] {
            let publish = publish(TOPIC, payload, QoS::AtLeastOnce, 4711);
            publishes(probe, &format!("{payload} B, MQTT {version}"), publish, version);
        }
    }
    let mut publish = publish(TOPIC, 64, QoS::AtLeastOnce, 4711);
    let properties = publish.properties.make_mut();
    properties.message_expiry_interval = Some(30);
    properties.content_type = Some("application/json".into());
    properties.user_properties.push(("trace".into(), "0123456789".into()));
    publishes(probe, "64 B with 3 properties, MQTT 5", publish, ProtocolVersion::V5);
    acks(probe);
}

fn publishes(probe: &mut Probe, what: &str, publish: Publish, version: ProtocolVersion) {
    let names = [format!("decode PUBLISH, {what}"), format!("encode PUBLISH, {what}")];
    let packet = Packet::Publish(publish);
    let bytes = encoded(&packet, version);
    if probe.wants(&[&names[0]]) {
        counted(&mut || {
            for _ in 0..ROUNDS {
                black_box(view(black_box(&bytes), version));
            }
        });
        probe.end(&names[0], ROUNDS);
    }
    if probe.wants(&[&names[1]]) {
        let mut out = Vec::with_capacity(8192);
        counted(&mut || {
            for _ in 0..ROUNDS {
                out.clear();
                black_box(&packet).encode(version, &mut out).expect("the packet is encodable");
                black_box(&out);
            }
        });
        probe.end(&names[1], ROUNDS);
    }
}

/// What a broker does with a read buffer: finds the packet, and looks into it.
fn view(bytes: &[u8], version: ProtocolVersion) -> PublishView<'_> {
    let framing = frame(bytes, LARGEST).expect("a packet");
    let Framing::Complete(header) = framing else { panic!("the packet is whole") };
    PublishView::decode(&bytes[..header.total_len()], version).expect("a PUBLISH")
}

fn acks(probe: &mut Probe) {
    let version = ProtocolVersion::V5;
    let mut out = Vec::with_capacity(64);
    encode_ack(PacketType::PubAck, PacketId::MIN, ReasonCode::Success, version, &mut out);
    let bytes = out.clone();
    if probe.wants(&["decode PUBACK"]) {
        counted(&mut || {
            for _ in 0..ROUNDS {
                black_box(AckView::decode(black_box(&bytes), version).expect("a PUBACK"));
            }
        });
        probe.end("decode PUBACK", ROUNDS);
    }
    if probe.wants(&["encode PUBACK"]) {
        counted(&mut || {
            for _ in 0..ROUNDS {
                out.clear();
                let (id, reason) = (black_box(PacketId::MIN), ReasonCode::Success);
                encode_ack(PacketType::PubAck, id, reason, version, &mut out);
                black_box(&out);
            }
        });
        probe.end("encode PUBACK", ROUNDS);
    }
}
