//! SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK (MQTT 5, 3.8 to 3.11).

use super::{ALL, NamedPacket, OLD, V5, V31, V311, bad, frame, id, lenient, text, valid};
use crate::{
    Packet, QoS, ReasonCode, RetainHandling, SubAck, Subscribe, SubscribeFilter,
    SubscriptionOptions, TopicFilter, UnsubAck, Unsubscribe,
};

fn filter(filter: &str) -> TopicFilter {
    filter.try_into().expect("the table's filters are valid")
}

fn subscribe(filters: &[(&str, SubscriptionOptions)]) -> Subscribe {
    let filters = filters
        .iter()
        .map(|(name, options)| SubscribeFilter { filter: filter(name), options: *options });
    Subscribe { packet_id: id(1), filters: filters.collect(), properties: Default::default() }
}

pub(super) fn rows(rows: &mut Vec<NamedPacket>) {
    subscribes(rows);
    options(rows);
    filters(rows);
    subacks(rows);
    unsubscribes(rows);
    unsubacks(rows);
}

fn subscribes(rows: &mut Vec<NamedPacket>) {
    let (one, two) = (QoS::AtLeastOnce, QoS::ExactlyOnce);
    let filters = [("a/+", SubscriptionOptions::qos(one)), ("#", SubscriptionOptions::qos(two))];
    let fields = &b"\0\x03a/+\x01\0\x01#\x02"[..];
    let packet = Packet::Subscribe(subscribe(&filters));
    let bytes = frame(0x82, &[&[0, 1], fields]);
    valid(rows, "subscribe", OLD, bytes, packet.clone());
    valid(rows, "subscribe 5", &[V5], frame(0x82, &[&[0, 1, 0], fields]), packet.clone());
    let bytes = frame(0x8A, &[&[0, 1], fields]);
    lenient(rows, "subscribe 3.1 with DUP", &[V31], bytes.clone(), packet);
    bad(rows, "subscribe with DUP", &[V311, V5], bytes, ReasonCode::MalformedPacket);

    let mut named = subscribe(&filters);
    let values = named.properties.make_mut();
    values.subscription_identifiers = vec![128];
    values.user_properties = vec![("k".into(), "v".into())];
    let properties = &b"\x0A\x0B\x80\x01\x26\0\x01k\0\x01v"[..];
    let properties = &[&[properties.len() as u8 - 1], &properties[1..]].concat();
    let bytes = frame(0x82, &[&[0, 1], properties, fields]);
    valid(rows, "subscribe 5: everything", &[V5], bytes, Packet::Subscribe(named));
    let (malformed, protocol) = (ReasonCode::MalformedPacket, ReasonCode::ProtocolError);
    for (name, properties, reason) in [
        ("subscribe 5: subscription identifier 0", &[2, 0x0B, 0][..], protocol),
        ("subscribe 5: subscription identifier twice", &[4, 0x0B, 1, 0x0B, 1], protocol),
        ("subscribe 5: a reason string", b"\x04\x1F\0\x01r", protocol),
        ("subscribe 5: an endless property length", &[0xFF, 0xFF, 0xFF, 0xFF], malformed),
    ] {
        bad(rows, name, &[V5], frame(0x82, &[&[0, 1], properties, fields]), reason);
    }
}

fn options(rows: &mut Vec<NamedPacket>) {
    let (malformed, protocol) = (ReasonCode::MalformedPacket, ReasonCode::ProtocolError);
    let with = |options: u8| frame(0x82, &[&[0, 1, 0], b"\0\x01a", &[options]]);
    let all = SubscriptionOptions {
        qos: QoS::ExactlyOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
    };
    let packet = Packet::Subscribe(subscribe(&[("a", all)]));
    valid(rows, "subscribe 5: all options", &[V5], with(0x2E), packet);
    let fresh =
        SubscriptionOptions { retain_handling: RetainHandling::SendIfNew, ..Default::default() };
    let packet = Packet::Subscribe(subscribe(&[("a", fresh)]));
    valid(rows, "subscribe 5: retained if new", &[V5], with(0x10), packet);
    bad(rows, "subscribe 5: QoS 3", &[V5], with(0x03), malformed);
    // [MQTT-3.8.3-5]
    bad(rows, "subscribe 5: reserved options", &[V5], with(0x40), malformed);
    bad(rows, "subscribe 5: retain handling 3", &[V5], with(0x30), protocol);
    // [MQTT-3.8.3-4]
    let bytes = frame(0x82, &[&[0, 1, 0], &text("$share/g/a"), &[0x04]]);
    bad(rows, "subscribe 5: no local and shared", &[V5], bytes, protocol);
    let shared = SubscriptionOptions::qos(QoS::AtLeastOnce);
    let bytes = frame(0x82, &[&[0, 1, 0], &text("$share/g/a/#"), &[0x01]]);
    let packet = Packet::Subscribe(subscribe(&[("$share/g/a/#", shared)]));
    valid(rows, "subscribe 5: shared", &[V5], bytes, packet);
    let old = |options: u8| frame(0x82, &[&[0, 1], b"\0\x01a", &[options]]);
    // 3.1.1: [MQTT-3.8.3-4]
    bad(rows, "subscribe 3.1.1: reserved bits", &[V311], old(0x04), malformed);
    bad(rows, "subscribe before MQTT 5: QoS 3", OLD, old(0x03), malformed);
    let packet = Packet::Subscribe(subscribe(&[("a", SubscriptionOptions::qos(QoS::AtLeastOnce))]));
    lenient(rows, "subscribe 3.1: unused bits", &[V31], old(0x05), packet);
}

fn filters(rows: &mut Vec<NamedPacket>) {
    let (malformed, protocol) = (ReasonCode::MalformedPacket, ReasonCode::ProtocolError);
    // [MQTT-3.8.3-2], 3.1.1: [MQTT-3.8.3-3]
    bad(rows, "subscribe to nothing", OLD, vec![0x82, 2, 0, 1], protocol);
    bad(rows, "subscribe 5 to nothing", &[V5], vec![0x82, 3, 0, 1, 0], protocol);
    bad(rows, "subscribe: packet id 0", OLD, frame(0x82, &[b"\0\0\0\x01a\0"]), protocol);
    bad(rows, "subscribe 5: packet id 0", &[V5], frame(0x82, &[b"\0\0\0\0\x01a\0"]), protocol);
    bad(rows, "subscribe without options", OLD, frame(0x82, &[b"\0\x01\0\x01a"]), malformed);
    for (name, filter) in [
        // [MQTT-4.7.3-1]
        ("subscribe: an empty filter", &b""[..]),
        // [MQTT-4.7.1-1]
        ("subscribe: `#` before the end", b"a/#/b"),
        ("subscribe: `#` beside characters", b"a#"),
        // [MQTT-4.7.1-2]
        ("subscribe: `+` beside characters", b"a/b+"),
        // [MQTT-4.8.2-1], [MQTT-4.8.2-2]
        ("subscribe: a share without a filter", b"$share/g"),
        ("subscribe: a share of an empty filter", b"$share/g/"),
        ("subscribe: a share without a name", b"$share//a"),
        ("subscribe: a wildcard as share name", b"$share/+/a"),
    ] {
        let bytes = frame(0x82, &[&[0, 1], &text(filter), &[0]]);
        bad(rows, name, OLD, bytes, ReasonCode::TopicFilterInvalid);
    }
    let bytes = frame(0x82, &[&[0, 1], &text("a\0b"), &[0]]);
    bad(rows, "subscribe: U+0000 in the filter", OLD, bytes, malformed);
    let bytes = frame(0x82, &[&[0, 1], &text([0xFF]), &[0]]);
    bad(rows, "subscribe: a filter that is not UTF-8", OLD, bytes, malformed);
}

fn subacks(rows: &mut Vec<NamedPacket>) {
    use ReasonCode::{GrantedQoS1, GrantedQoS2, Success, UnspecifiedError};
    let packet = |reasons: &[ReasonCode]| SubAck {
        packet_id: id(1),
        reasons: reasons.to_vec(),
        properties: Default::default(),
    };
    let (malformed, protocol) = (ReasonCode::MalformedPacket, ReasonCode::ProtocolError);
    let granted = packet(&[Success, GrantedQoS1, GrantedQoS2, UnspecifiedError]);
    let bytes = vec![0x90, 6, 0, 1, 0, 1, 2, 0x80];
    valid(rows, "suback", OLD, bytes, Packet::SubAck(granted.clone()));
    let bytes = vec![0x90, 7, 0, 1, 0, 0, 1, 2, 0x80];
    valid(rows, "suback 5", &[V5], bytes, Packet::SubAck(granted));
    let mut full = packet(&[ReasonCode::QuotaExceeded]);
    full.properties.make_mut().reason_string = Some("r".into());
    let bytes = frame(0x90, &[&[0, 1, 4], b"\x1F\0\x01r", &[0x97]]);
    valid(rows, "suback 5: quota exceeded", &[V5], bytes, Packet::SubAck(full));
    // 3.1.1: [MQTT-3.9.3-2]
    bad(rows, "suback: return code 3", OLD, vec![0x90, 3, 0, 1, 3], malformed);
    bad(rows, "suback: a reason of MQTT 5", OLD, vec![0x90, 3, 0, 1, 0x83], malformed);
    bad(rows, "suback: another reason of MQTT 5", OLD, vec![0x90, 3, 0, 1, 0x97], malformed);
    bad(rows, "suback: packet id 0", OLD, vec![0x90, 3, 0, 0, 0], protocol);
    bad(rows, "suback without an answer", OLD, vec![0x90, 2, 0, 1], protocol);
    bad(rows, "suback 5: a reason of UNSUBACK", &[V5], vec![0x90, 4, 0, 1, 0, 0x11], malformed);
    bad(rows, "suback 5 without an answer", &[V5], vec![0x90, 3, 0, 1, 0], protocol);
}

fn unsubscribes(rows: &mut Vec<NamedPacket>) {
    let mut packet = Unsubscribe {
        packet_id: id(1),
        filters: vec![filter("a/+"), filter("#")],
        properties: Default::default(),
    };
    let fields = &b"\0\x03a/+\0\x01#"[..];
    let plain = Packet::Unsubscribe(packet.clone());
    valid(rows, "unsubscribe", OLD, frame(0xA2, &[&[0, 1], fields]), plain.clone());
    valid(rows, "unsubscribe 5", &[V5], frame(0xA2, &[&[0, 1, 0], fields]), plain);
    packet.properties.make_mut().user_properties = vec![("k".into(), "v".into())];
    let bytes = frame(0xA2, &[&[0, 1, 7], b"\x26\0\x01k\0\x01v", fields]);
    valid(rows, "unsubscribe 5: a user property", &[V5], bytes, Packet::Unsubscribe(packet));
    let (protocol, filter) = (ReasonCode::ProtocolError, ReasonCode::TopicFilterInvalid);
    // [MQTT-3.10.3-2]
    bad(rows, "unsubscribe from nothing", OLD, vec![0xA2, 2, 0, 1], protocol);
    bad(rows, "unsubscribe 5 from nothing", &[V5], vec![0xA2, 3, 0, 1, 0], protocol);
    bad(rows, "unsubscribe: packet id 0", ALL, frame(0xA2, &[&[0, 0, 0], fields]), protocol);
    let bytes = frame(0xA2, &[&[0, 1], &text("a/#/b")]);
    bad(rows, "unsubscribe: `#` before the end", OLD, bytes, filter);
    let bytes = frame(0xA2, &[&[0, 1, 3, 0x0B, 0x80, 1], fields]);
    bad(rows, "unsubscribe 5: a subscription identifier", &[V5], bytes, protocol);
}

fn unsubacks(rows: &mut Vec<NamedPacket>) {
    let (malformed, protocol) = (ReasonCode::MalformedPacket, ReasonCode::ProtocolError);
    let packet = |reasons: &[ReasonCode]| {
        let reasons = reasons.to_vec();
        Packet::UnsubAck(UnsubAck { packet_id: id(1), reasons, properties: Default::default() })
    };
    valid(rows, "unsuback", OLD, vec![0xB0, 2, 0, 1], packet(&[]));
    let reasons = packet(&[ReasonCode::Success, ReasonCode::NoSubscriptionExisted]);
    valid(rows, "unsuback 5", &[V5], vec![0xB0, 5, 0, 1, 0, 0, 0x11], reasons);
    bad(rows, "unsuback: a reason before MQTT 5", OLD, vec![0xB0, 3, 0, 1, 0], malformed);
    bad(rows, "unsuback: packet id 0", OLD, vec![0xB0, 2, 0, 0], protocol);
    bad(rows, "unsuback 5: a granted QoS", &[V5], vec![0xB0, 4, 0, 1, 0, 1], malformed);
    bad(rows, "unsuback 5 without an answer", &[V5], vec![0xB0, 3, 0, 1, 0], protocol);
}
