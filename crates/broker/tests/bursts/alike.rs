//! The same for many as for few, packet by packet.

use latchlight_broker::{Options, ReasonCode};
use latchlight_mqtt::ProtocolVersion::{V5, V31, V311};
use latchlight_mqtt::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use latchlight_mqtt::{
    Connect, Packet, PacketId, Properties, PubRel, Publish, QoS, Subscribe, SubscribeFilter,
    SubscriptionOptions, Unsubscribe,
};

use crate::support::{Client, TestBroker, values};
use crate::{MANY, message};

/// The last message of the readers.
const END: &str = "end";

/// What a publisher may say, with messages of this QoS for many before and
/// behind each.
fn script(qos: QoS) -> Vec<Packet> {
    let with = |properties: Properties, payload: &str| Publish { properties, ..message(payload) };
    let id = |number| PacketId::new(number).unwrap();
    let subscribe = |filter: &str, options, number| {
        let filters = vec![SubscribeFilter { filter: filter.try_into().unwrap(), options }];
        let properties = values(|values| values.subscription_identifiers = vec![9]);
        Packet::Subscribe(Subscribe { packet_id: id(number), filters, properties })
    };
    let unsubscribe = |filter: &str, number| {
        let (filters, properties) = (vec![filter.try_into().unwrap()], Properties::new());
        Packet::Unsubscribe(Unsubscribe { packet_id: id(number), filters, properties })
    };
    let others = [
        Packet::Publish(Publish::new("u", "another topic")),
        Packet::Publish(Publish::new("nobody/listens", "x")),
        Packet::Publish(Publish {
            qos: AtLeastOnce,
            packet_id: Some(id(1)),
            ..message("at least once")
        }),
        Packet::Publish(Publish {
            qos: ExactlyOnce,
            packet_id: Some(id(20)),
            ..message("exactly once")
        }),
        Packet::Publish(Publish { retain: true, ..message("kept") }),
        // Refused, and answered all the same.
        Packet::Publish(Publish {
            qos: AtLeastOnce,
            packet_id: Some(id(2)),
            ..Publish::new("$SYS/x", "x")
        }),
        // Taken before: its answer is the same.
        Packet::Publish(Publish {
            qos: ExactlyOnce,
            packet_id: Some(id(20)),
            dup: true,
            ..message("exactly once")
        }),
        Packet::PubRel(PubRel::new(id(20), ReasonCode::Success)),
        Packet::Publish(with(
            values(|values| {
                values.content_type = Some("text/plain".into());
                values.message_expiry_interval = Some(1000);
                values.user_properties = vec![
                    ("b".into(), "1".into()),
                    ("a".into(), "2".into()),
                    ("b".into(), "3".into()),
                ];
            }),
            "with properties",
        )),
        Packet::Publish(with(
            values(|values| values.message_expiry_interval = Some(0)),
            "nobody gets this",
        )),
        Packet::Publish(with(values(|values| values.topic_alias = Some(1)), "an alias")),
        Packet::Publish(Publish {
            topic: "".into(),
            ..with(values(|values| values.topic_alias = Some(1)), "by its alias")
        }),
        Packet::Publish(message("")),
        Packet::Publish(Publish {
            qos,
            packet_id: (qos != AtMostOnce).then(|| id(30)),
            ..message(vec![b'x'; 200])
        }),
        Packet::PingReq,
        Packet::Publish(message(vec![b'x'; 8 * 1024 - 1])),
        Packet::Publish(message(vec![b'x'; 8 * 1024])),
        Packet::PingReq,
        subscribe("t", SubscriptionOptions::qos(AtMostOnce), 2),
        subscribe("t", SubscriptionOptions { no_local: true, ..Default::default() }, 3),
        subscribe("+", SubscriptionOptions::qos(AtMostOnce), 4),
        unsubscribe("t", 5),
        unsubscribe("+", 6),
    ];
    let mut ids = 100..;
    let mut for_many = |payload: String| {
        let packet_id = (qos != AtMostOnce).then(|| id(ids.next().unwrap()));
        Packet::Publish(Publish { qos, packet_id, ..message(payload) })
    };
    let mut script = Vec::new();
    for (number, other) in others.into_iter().enumerate() {
        script.push(for_many(format!("{number} before")));
        script.push(other);
        script.push(for_many(format!("{number} behind")));
        script.push(for_many(format!("{number} once more")));
    }
    script.push(for_many(END.to_owned()));
    script
}

/// What readers of all kinds, who asked for this QoS, and the publisher itself
/// get of the script while so many others read; and what the publisher is
/// answered.
fn received(sent: QoS, asked: QoS, others: usize, in_pieces_of: usize) -> Vec<Vec<Packet>> {
    let broker = TestBroker::with_options(Options { threads: 1, ..Options::default() });
    let connect = |id: &str, version, change: &dyn Fn(&mut Connect)| {
        let mut connect = Connect::new(version, id);
        change(&mut connect);
        Client::connect_with(broker.address(), connect).0
    };
    let plain = |id: &str, version| connect(id, version, &|_| {});
    // 200 bytes of payload, with 7 before them, or 9 with a packet id.
    let just = if sent.min(asked) == AtMostOnce { 207 } else { 209 };
    let mut publisher = plain("publisher", V5);
    let mut readers = [
        plain("old", V311),
        plain("new", V5),
        plain("identified", V5),
        plain("everything", V5),
        connect("aliases", V5, &|connect| {
            connect.properties.make_mut().topic_alias_maximum = Some(5);
        }),
        connect("small", V5, &|connect| {
            connect.properties.make_mut().maximum_packet_size = Some(100);
        }),
        connect("just", V5, &|connect| {
            connect.properties.make_mut().maximum_packet_size = Some(just);
        }),
        connect("just not", V5, &|connect| {
            connect.properties.make_mut().maximum_packet_size = Some(just - 1);
        }),
        plain("oldest", V31),
        plain("acknowledging", V5),
    ];
    for (number, reader) in readers.iter_mut().enumerate() {
        let (filter, options) = match number {
            3 => {
                let asked = SubscriptionOptions::qos(asked);
                ("#", SubscriptionOptions { retain_as_published: true, ..asked })
            }
            9 => ("t", SubscriptionOptions::qos(ExactlyOnce)),
            _ => ("t", SubscriptionOptions::qos(asked)),
        };
        let properties = match number {
            2 => values(|values| values.subscription_identifiers = vec![7]),
            _ => Properties::new(),
        };
        reader.subscribe_with(filter, options, properties);
    }
    let mut others = crate::subscribers(&broker, "other", others, "t", asked);
    let mut bytes = Vec::new();
    for packet in script(sent) {
        packet.encode(V5, &mut bytes).unwrap();
    }
    for piece in bytes.chunks(in_pieces_of) {
        publisher.send_bytes(piece);
    }
    let until_end = |reader: &mut Client| {
        let mut packets = Vec::new();
        loop {
            let packet = reader.next();
            let is_end = matches!(&packet, Packet::Publish(publish) if publish.payload == END);
            packets.push(packet);
            if is_end {
                return packets;
            }
        }
    };
    let mut all: Vec<_> = readers.iter_mut().map(until_end).collect();
    for other in &mut others {
        assert_eq!(until_end(other), all[0]);
    }
    // The publisher's answers stand behind what it gets itself, or before it.
    publisher.send(Packet::Publish(Publish {
        qos: AtLeastOnce,
        packet_id: PacketId::new(99),
        ..message("")
    }));
    let (mut own, mut answers) = (Vec::new(), Vec::new());
    loop {
        match publisher.next() {
            Packet::PubAck(ack) if ack.packet_id.get() == 99 => break,
            Packet::Publish(publish) => own.push(Packet::Publish(publish)),
            answer => answers.push(answer),
        }
    }
    all.extend([own, answers]);
    all
}

#[test]
fn what_reaches_many_is_what_reaches_few() {
    // 10 of the others are of the topic, and not expired; 2 more of another one.
    // 3 are larger than a hundred bytes. Of its own, the publisher gets 9 while
    // it is subscribed, and what is kept with each subscription. 12 others are
    // answered.
    let counts = [80, 80, 80, 82, 80, 77, 78, 77, 80, 80, 12];
    for (sent, asked, answers) in [
        (AtMostOnce, AtMostOnce, 12),
        (AtMostOnce, AtLeastOnce, 12),
        (AtLeastOnce, AtMostOnce, 83),
        (AtLeastOnce, AtLeastOnce, 83),
        (AtLeastOnce, ExactlyOnce, 83),
    ] {
        let few = received(sent, asked, 0, usize::MAX);
        assert_eq!(
            few.iter().map(Vec::len).collect::<Vec<_>>(),
            [&counts[..], &[answers]].concat()
        );
        for in_pieces_of in [usize::MAX, 1_000, 50] {
            let many = received(sent, asked, MANY, in_pieces_of);
            for (few, many) in few.iter().zip(&many) {
                assert_eq!(many, few, "{sent:?} to {asked:?}, in pieces of {in_pieces_of}");
            }
        }
    }
}
