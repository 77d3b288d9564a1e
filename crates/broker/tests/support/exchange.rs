//! What every kind of connection must carry, whatever lies between.

use std::io::{Read, Write};

use latchlight_mqtt::{Packet, Publish, QoS};

use super::Client;

/// Small messages of each QoS, a large one, and more than a connection holds
/// for a client that reads only afterwards; all whole and in order.
pub fn exchange<R: Read + Write, P: Read + Write>(reader: &mut Client<R>, from: &mut Client<P>) {
    reader.subscribe("exchange/#", QoS::ExactlyOnce);
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        from.publish("exchange/small", "locked", qos);
        let publish = reader.next_publish();
        assert_eq!((publish.qos, &publish.payload[..]), (qos, &b"locked"[..]));
        reader.acknowledge(&publish);
    }
    let large: Vec<u8> = (0..3_000_000_u32).map(|number| (number / 7) as u8).collect();
    let publish =
        Publish { qos: QoS::AtLeastOnce, ..Publish::new("exchange/large", large.clone()) };
    from.publish_packet(publish);
    let publish = reader.next_publish();
    assert!(publish.payload[..] == large, "{} bytes came", publish.payload.len());
    reader.acknowledge(&publish);
    many(reader, from);
    at_the_edges(reader, from);
}

fn many<R: Read + Write, P: Read + Write>(reader: &mut Client<R>, from: &mut Client<P>) {
    const MANY: usize = 4_000;
    let payload = |number: usize| format!("{number} {}", "x".repeat(number % 3_000));
    let ids: Vec<_> = (0..MANY).map(|_| from.next_id()).collect();
    for (number, id) in ids.iter().enumerate() {
        let publish = Publish::new("exchange/many", payload(number));
        let publish = Publish { qos: QoS::AtLeastOnce, packet_id: Some(*id), ..publish };
        from.send(Packet::Publish(publish));
    }
    for id in ids {
        from.next_puback(id);
    }
    for number in 0..MANY {
        let publish = reader.next_publish();
        assert!(publish.payload == payload(number), "message {number}");
        reader.acknowledge(&publish);
    }
    reader.expect_nothing();
}

/// Packets around the sizes from which on they are read in another way, or in
/// one more part: two large ones one behind the other, and a small one.
fn at_the_edges<R: Read + Write, P: Read + Write>(reader: &mut Client<R>, from: &mut Client<P>) {
    for edge in [4, 8, 32, 64, 128, 512].map(|kib| kib * 1024) {
        for size in [edge - 40, edge - 20, edge - 1, edge, edge + 1] {
            let payload = |size: usize| (0..size).map(|at| (at / 3 + size) as u8).collect();
            let all: [Vec<u8>; 3] = [size, size + 5, 6].map(payload);
            from.send_together(
                all.iter().map(|payload| {
                    Packet::Publish(Publish::new("exchange/edges", payload.clone()))
                }),
            );
            for payload in all {
                let publish = reader.next_publish();
                assert!(publish.payload == payload, "{size} bytes");
            }
        }
    }
    reader.expect_nothing();
}

/// Messages that no socket holds, for a client that reads only afterwards.
pub fn large_messages_wait<R: Read + Write, P: Read + Write>(
    reader: &mut Client<R>,
    from: &mut Client<P>,
) {
    let payload = |number: u8| char::from(b'a' + number).to_string().repeat(5_000_000);
    reader.subscribe("large", QoS::AtLeastOnce);
    for number in 0..3 {
        from.publish("large", &payload(number), QoS::AtLeastOnce);
    }
    for number in 0..3 {
        let publish = reader.next_publish();
        assert!(publish.payload == payload(number), "message {number}");
        reader.acknowledge(&publish);
    }
    reader.expect_nothing();
}
