//! What cannot be encoded, since nobody could decode it.
#![allow(clippy::unwrap_used)]

use latchlight_mqtt::{
    ConnAck, Connect, Disconnect, EncodeError, InvalidTopic, Packet, PacketId, PropertyId,
    PropertyValues, ProtocolVersion, PubAck, Publish, QoS, ReasonCode, SubAck, Subscribe,
    SubscribeFilter, SubscriptionOptions, UnsubAck, Unsubscribe,
};

const V31: ProtocolVersion = ProtocolVersion::V31;
const V311: ProtocolVersion = ProtocolVersion::V311;
const V5: ProtocolVersion = ProtocolVersion::V5;

#[track_caller]
fn refused(packet: impl Into<Packet>, version: ProtocolVersion, expected: EncodeError) {
    let packet = packet.into();
    let mut out = b"before".to_vec();
    assert_eq!(packet.encode(version, &mut out), Err(expected));
    assert_eq!(out, b"before", "nothing is appended on an error");
    assert_eq!(packet.encoded_len(version), Err(expected));
}

#[track_caller]
fn encodes(packet: impl Into<Packet>, version: ProtocolVersion) -> Vec<u8> {
    let mut out = Vec::new();
    packet.into().encode(version, &mut out).unwrap();
    out
}

fn publish(change: impl FnOnce(&mut Publish)) -> Packet {
    let mut publish = Publish::new("a", "x");
    change(&mut publish);
    Packet::Publish(publish)
}

fn connect(version: ProtocolVersion, change: impl FnOnce(&mut Connect)) -> Packet {
    let mut connect = Connect::new(version, "door");
    change(&mut connect);
    Packet::Connect(Box::new(connect))
}

#[test]
fn a_topic_is_a_topic_name() {
    for (topic, why) in [
        ("", InvalidTopic::Empty),
        ("a/#", InvalidTopic::Wildcard),
        ("+", InvalidTopic::Wildcard),
        ("a\0", InvalidTopic::Null),
        ("abcdefghi\0", InvalidTopic::Null),
        (&"x".repeat(65_536), InvalidTopic::TooLong),
    ] {
        let packet = publish(|publish| publish.topic = topic.into());
        refused(packet.clone(), V311, EncodeError::Topic(why));
        refused(packet, V5, EncodeError::Topic(why));
    }
    let aliased = publish(|publish| {
        publish.topic = "".into();
        publish.properties.make_mut().topic_alias = Some(1);
    });
    refused(aliased.clone(), V311, EncodeError::Topic(InvalidTopic::Empty));
    encodes(aliased, V5);
}

#[test]
fn dup_and_packet_ids_go_with_qos_1_and_2() {
    let dup = publish(|publish| publish.dup = true);
    refused(dup, V311, EncodeError::Dup);
    let id = PacketId::new(1);
    refused(publish(|publish| publish.packet_id = id), V5, EncodeError::PacketId);
    refused(publish(|publish| publish.qos = QoS::AtLeastOnce), V5, EncodeError::PacketId);
}

/// MQTT 5, 2.2.2.2
#[test]
fn a_property_stands_where_it_belongs() {
    let with = |set: fn(&mut PropertyValues)| publish(|publish| set(publish.properties.make_mut()));
    for (packet, property) in [
        (with(|p| p.reason_string = Some("r".into())), PropertyId::ReasonString),
        (with(|p| p.topic_alias = Some(0)), PropertyId::TopicAlias),
        (with(|p| p.payload_format_indicator = Some(2)), PropertyId::PayloadFormatIndicator),
        (with(|p| p.response_topic = Some("#".into())), PropertyId::ResponseTopic),
        (with(|p| p.subscription_identifiers = vec![0]), PropertyId::SubscriptionIdentifier),
        (
            with(|p| p.subscription_identifiers = vec![268_435_456]),
            PropertyId::SubscriptionIdentifier,
        ),
    ] {
        refused(packet.clone(), V5, EncodeError::Property(property));
        encodes(packet, V311);
    }
    let null = with(|p| p.content_type = Some("\0".into()));
    refused(null, V5, EncodeError::Null);
    let long = with(|p| p.content_type = Some("x".repeat(65_536).into()));
    refused(long, V5, EncodeError::FieldTooLong(65_536));

    let mut subscribe = subscribe("a", SubscriptionOptions::default());
    subscribe.properties.make_mut().subscription_identifiers = vec![1, 2];
    let twice = EncodeError::Property(PropertyId::SubscriptionIdentifier);
    refused(Packet::Subscribe(subscribe), V5, twice);

    let mut connack = ConnAck::new(false, ReasonCode::Success);
    connack.properties.make_mut().maximum_qos = Some(QoS::ExactlyOnce);
    let qos = EncodeError::Property(PropertyId::MaximumQoS);
    refused(Packet::ConnAck(Box::new(connack)), V5, qos);
    let data = connect(V5, |connect| {
        connect.properties.make_mut().authentication_data = Some("x".into());
    });
    refused(data, V5, EncodeError::Property(PropertyId::AuthenticationData));
}

#[test]
fn a_reason_stands_where_it_belongs() {
    let id = PacketId::MIN;
    let reason = ReasonCode::GrantedQoS1;
    let error = EncodeError::Reason(reason);
    for version in [V311, V5] {
        refused(Packet::PubAck(PubAck::new(id, reason)), version, error);
    }
    refused(Packet::Disconnect(Disconnect::new(reason)), V5, error);
    refused(Packet::ConnAck(Box::new(ConnAck::new(false, reason))), V5, error);
    let properties = Default::default();
    let unsuback = UnsubAck { packet_id: id, reasons: vec![reason], properties };
    refused(Packet::UnsubAck(unsuback), V5, error);
    let reason = ReasonCode::NoSubscriptionExisted;
    let suback = SubAck { packet_id: id, reasons: vec![reason], properties: Default::default() };
    refused(Packet::SubAck(suback), V311, EncodeError::Reason(reason));
}

#[test]
fn old_versions_say_less() {
    let id = PacketId::MIN;
    let pubrec = Packet::PubAck(PubAck::new(id, ReasonCode::QuotaExceeded));
    assert_eq!(encodes(pubrec, V311), [0x40, 2, 0, 1]);
    let connack = ConnAck::new(true, ReasonCode::Banned);
    assert_eq!(encodes(Packet::ConnAck(Box::new(connack.clone())), V311), [0x20, 2, 0, 5]);
    // [MQTT-3.2.2-6]
    assert_eq!(encodes(Packet::ConnAck(Box::new(connack)), V5), [0x20, 3, 0, 0x8A, 0]);
    let reasons = vec![ReasonCode::GrantedQoS2, ReasonCode::QuotaExceeded];
    let suback = SubAck { packet_id: id, reasons, properties: Default::default() };
    assert_eq!(encodes(Packet::SubAck(suback), V311), [0x90, 4, 0, 1, 2, 0x80]);
    let auth =
        latchlight_mqtt::Auth { reason: ReasonCode::Success, properties: Default::default() };
    refused(Packet::Auth(auth), V311, EncodeError::NotInVersion("AUTH"));
}

#[test]
fn a_connect_is_one_that_its_version_has() {
    let alone = |version| connect(version, |connect| connect.password = Some("x".into()));
    refused(alone(V311), V311, EncodeError::Password);
    encodes(alone(V5), V5);
    let unnamed = |version, clean| {
        connect(version, |connect| {
            connect.client_id = "".into();
            connect.clean_start = clean;
        })
    };
    for packet in [unnamed(V31, true), unnamed(V311, false)] {
        let mut out = Vec::new();
        assert!(matches!(packet.encode(V5, &mut out), Err(EncodeError::ClientId(_))));
    }
    encodes(unnamed(V311, true), V311);
    encodes(unnamed(V5, false), V5);
    let null = connect(V311, |connect| connect.username = Some("a\0".into()));
    refused(null, V311, EncodeError::Null);
    let long = connect(V311, |connect| {
        connect.username = Some("a".into());
        connect.password = Some(vec![0; 65_536].into());
    });
    refused(long, V311, EncodeError::FieldTooLong(65_536));
}

fn subscribe(filter: &str, options: SubscriptionOptions) -> Subscribe {
    let filters = vec![SubscribeFilter { filter: filter.try_into().unwrap(), options }];
    Subscribe { packet_id: PacketId::MIN, filters, properties: Default::default() }
}

#[test]
fn a_request_asks_for_something() {
    let empty = Subscribe { filters: vec![], ..subscribe("a", Default::default()) };
    refused(Packet::Subscribe(empty), V5, EncodeError::Empty);
    let (packet_id, properties) = (PacketId::MIN, latchlight_mqtt::Properties::new());
    let none = Unsubscribe { packet_id, filters: vec![], properties: properties.clone() };
    refused(Packet::Unsubscribe(none), V311, EncodeError::Empty);
    let none = SubAck { packet_id, reasons: vec![], properties: properties.clone() };
    refused(Packet::SubAck(none), V311, EncodeError::Empty);
    let none = Packet::UnsubAck(UnsubAck { packet_id, reasons: vec![], properties });
    refused(none.clone(), V5, EncodeError::Empty);
    encodes(none, V311);
    // [MQTT-3.8.3-4]
    let options = SubscriptionOptions { no_local: true, ..Default::default() };
    let packet = Packet::Subscribe(subscribe("$share/g/a", options));
    refused(packet.clone(), V5, EncodeError::NoLocal);
    encodes(packet, V311);
}

/// The largest remaining length, and one more: only the header is encoded.
#[test]
fn a_packet_has_at_most_268_435_455_bytes() {
    let payload = vec![0; 268_435_455 - 3];
    let mut packet = Publish::new("a", "");
    let mut parts = packet.parts();
    parts.payload = &payload;
    let mut out = Vec::new();
    parts.encode_header(V311, &mut out).unwrap();
    assert_eq!(out, [0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, b'a']);
    packet.topic = "ab".into();
    let mut parts = packet.parts();
    parts.payload = &payload;
    out.clear();
    let too_long = EncodeError::PacketTooLong(268_435_456);
    assert_eq!(parts.encode_header(V311, &mut out), Err(too_long));
    assert!(out.is_empty());
}

/// Where the length takes one byte more, what follows moves by one.
#[test]
fn lengths_around_their_steps_are_right() {
    for (len, header) in
        [(127, 2), (128, 3), (16_383, 3), (16_384, 4), (2_097_151, 4), (2_097_152, 5)]
    {
        let bytes = encodes(publish(|publish| publish.payload = vec![7; len - 4].into()), V5);
        assert_eq!(bytes.len(), header + len);
        assert_eq!(bytes[header..][..4], [0, 1, b'a', 0]);
    }
    for len in [120, 127, 128, 300] {
        let mut connect = Connect::new(V5, "c".repeat(len));
        connect.properties.make_mut().user_properties = vec![("k".into(), "v".repeat(len).into())];
        let packet = Packet::Connect(Box::new(connect));
        let bytes = encodes(packet.clone(), V5);
        assert_eq!(Packet::decode(bytes.into(), V5), Ok(packet));
    }
}
