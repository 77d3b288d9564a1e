//! What packets cost: PUBLISH of three sizes in place and owned, CONNECT with
//! properties, SUBSCRIBE, and an acknowledgement.
//!
//! `cargo bench -p latchlight-mqtt --bench codec`
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use latchlight_mqtt::{
    AckView, Connect, Framing, Packet, PacketId, PacketType, PropertyValues, ProtocolVersion,
    Publish, PublishView, QoS, ReasonCode, Subscribe, SubscribeFilter, SubscriptionOptions,
    TopicFilter, Will, encode_ack, frame,
};

const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::V311, ProtocolVersion::V5];
const PAYLOADS: [usize; 3] = [16, 256, 4096];
const LARGEST: usize = 1024 * 1024;

fn publish(payload: usize) -> Publish {
    let mut publish = Publish::new("home/doors/front-door/state", vec![b'x'; payload]);
    publish.qos = QoS::AtLeastOnce;
    publish.packet_id = PacketId::new(4711);
    publish
}

fn with_properties(payload: usize) -> Publish {
    let mut publish = publish(payload);
    let properties = publish.properties.make_mut();
    properties.message_expiry_interval = Some(30);
    properties.content_type = Some("application/json".into());
    properties.user_properties.push(("trace".into(), "0123456789".into()));
    publish
}

fn connect() -> Packet {
    let mut connect = Connect::new(ProtocolVersion::V5, "front-door");
    connect.username = Some("front-door".into());
    connect.password = Some("0123456789abcdef".into());
    let properties = connect.properties.make_mut();
    properties.session_expiry_interval = Some(3600);
    properties.receive_maximum = Some(16);
    properties.maximum_packet_size = Some(65_536);
    properties.user_properties.push(("model".into(), "dl-2".into()));
    connect.will = Some(Will {
        topic: "home/doors/front-door/status".try_into().unwrap(),
        payload: "offline".into(),
        qos: QoS::AtLeastOnce,
        retain: true,
        properties: PropertyValues { will_delay_interval: Some(5), ..Default::default() }.into(),
    });
    Packet::Connect(Box::new(connect))
}

fn subscribe() -> Packet {
    let filters = ["home/doors/front-door/down", "home/+/front-door/#", "home/alerts"];
    let filters = filters.map(|filter| SubscribeFilter {
        filter: TopicFilter::try_from(filter).unwrap(),
        options: SubscriptionOptions::qos(QoS::AtLeastOnce),
    });
    Packet::Subscribe(Subscribe {
        packet_id: PacketId::MIN,
        filters: filters.into(),
        properties: Default::default(),
    })
}

fn encoded(packet: &Packet, version: ProtocolVersion) -> Bytes {
    let mut bytes = Vec::new();
    packet.encode(version, &mut bytes).unwrap();
    bytes.into()
}

/// What a broker does with a read buffer: find the packet, then look into it.
fn view(bytes: &[u8], version: ProtocolVersion) -> PublishView<'_> {
    let Framing::Complete(header) = frame(bytes, LARGEST).unwrap() else { panic!("not whole") };
    PublishView::decode(&bytes[..header.total_len()], version).unwrap()
}

fn publishes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publish");
    for version in VERSIONS {
        for payload in PAYLOADS {
            let packet = Packet::Publish(publish(payload));
            let bytes = encoded(&packet, version);
            let name = |what: &str| BenchmarkId::new(format!("{what} {version}"), payload);
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_function(name("frame and view"), |bench| {
                bench.iter(|| black_box(view(black_box(&bytes), version)).payload.len());
            });
            group.bench_function(name("decode"), |bench| {
                bench.iter(|| Packet::decode(black_box(bytes.clone()), version).unwrap());
            });
            let mut out = Vec::with_capacity(8192);
            group.bench_function(name("encode"), |bench| {
                bench.iter(|| {
                    out.clear();
                    black_box(&packet).encode(version, &mut out).unwrap();
                    out.len()
                });
            });
        }
    }
    group.finish();
}

fn publishes_with_properties(criterion: &mut Criterion) {
    let packet = Packet::Publish(with_properties(64));
    let version = ProtocolVersion::V5;
    let bytes = encoded(&packet, version);
    let mut group = criterion.benchmark_group("publish with properties");
    group.bench_function("frame and view", |bench| {
        bench.iter(|| black_box(view(black_box(&bytes), version)).payload.len());
    });
    group.bench_function("decode", |bench| {
        bench.iter(|| Packet::decode(black_box(bytes.clone()), version).unwrap());
    });
    let mut out = Vec::with_capacity(8192);
    group.bench_function("encode", |bench| {
        bench.iter(|| {
            out.clear();
            black_box(&packet).encode(version, &mut out).unwrap();
            out.len()
        });
    });
    group.finish();
}

fn others(criterion: &mut Criterion) {
    let version = ProtocolVersion::V5;
    for (name, packet) in [("connect", connect()), ("subscribe", subscribe())] {
        let bytes = encoded(&packet, version);
        let mut group = criterion.benchmark_group(name);
        group.bench_function("decode", |bench| {
            bench.iter(|| Packet::decode(black_box(bytes.clone()), version).unwrap());
        });
        let mut out = Vec::with_capacity(8192);
        group.bench_function("encode", |bench| {
            bench.iter(|| {
                out.clear();
                black_box(&packet).encode(version, &mut out).unwrap();
                out.len()
            });
        });
        group.finish();
    }
}

fn acks(criterion: &mut Criterion) {
    let version = ProtocolVersion::V5;
    let (id, reason) = (PacketId::MIN, ReasonCode::Success);
    let mut out = Vec::with_capacity(64);
    encode_ack(PacketType::PubAck, id, reason, version, &mut out);
    let bytes = out.clone();
    let mut group = criterion.benchmark_group("puback");
    group.bench_function("view", |bench| {
        bench.iter(|| AckView::decode(black_box(&bytes), version).unwrap());
    });
    group.bench_function("encode", |bench| {
        bench.iter(|| {
            out.clear();
            encode_ack(PacketType::PubAck, black_box(id), reason, version, &mut out);
            out.len()
        });
    });
    group.finish();
}

criterion_group!(benches, publishes, publishes_with_properties, others, acks);
criterion_main!(benches);
