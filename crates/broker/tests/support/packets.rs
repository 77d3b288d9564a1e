//! One packet of each kind and shape, for tests that break them.

use latchlight_mqtt::{
    Auth, ConnAck, Connect, Disconnect, Packet, PacketId, Properties, PropertyValues,
    ProtocolVersion, PubAck, PubComp, PubRec, PubRel, Publish, QoS, ReasonCode, RetainHandling,
    SubAck, Subscribe, SubscribeFilter, SubscriptionOptions, UnsubAck, Unsubscribe, Will,
};

/// Every packet type, with everything in it that the version has.
pub fn packets(version: ProtocolVersion) -> Vec<(&'static str, Vec<u8>)> {
    let id = PacketId::new(4660).unwrap();
    let reason = ReasonCode::Success;
    let properties = if version.is_v5() { said() } else { Properties::new() };
    let mut packets = vec![
        ("CONNECT", Packet::Connect(Box::new(connect(version)))),
        ("CONNACK", Packet::ConnAck(Box::new(ConnAck::new(false, reason)))),
        ("PUBLISH QoS 0", Packet::Publish(publish(version, QoS::AtMostOnce))),
        ("PUBLISH QoS 1", Packet::Publish(publish(version, QoS::AtLeastOnce))),
        ("PUBLISH QoS 2", Packet::Publish(publish(version, QoS::ExactlyOnce))),
        (
            "PUBACK",
            Packet::PubAck(PubAck { packet_id: id, reason, properties: properties.clone() }),
        ),
        (
            "PUBREC",
            Packet::PubRec(PubRec { packet_id: id, reason, properties: properties.clone() }),
        ),
        (
            "PUBREL",
            Packet::PubRel(PubRel { packet_id: id, reason, properties: properties.clone() }),
        ),
        (
            "PUBCOMP",
            Packet::PubComp(PubComp { packet_id: id, reason, properties: properties.clone() }),
        ),
        ("SUBSCRIBE", Packet::Subscribe(subscribe(version, id))),
        ("SUBACK", Packet::SubAck(SubAck { packet_id: id, reasons: vec![reason], properties })),
        (
            "UNSUBSCRIBE",
            Packet::Unsubscribe(Unsubscribe {
                packet_id: id,
                filters: vec!["a/+/c".try_into().unwrap(), "#".try_into().unwrap()],
                properties: Properties::new(),
            }),
        ),
        ("PINGREQ", Packet::PingReq),
        ("PINGRESP", Packet::PingResp),
        ("DISCONNECT", Packet::Disconnect(Disconnect::new(reason))),
    ];
    let reasons = if version.is_v5() { vec![reason] } else { Vec::new() };
    let unsuback = UnsubAck { packet_id: id, reasons, properties: Properties::new() };
    packets.push(("UNSUBACK", Packet::UnsubAck(unsuback)));
    if version.is_v5() {
        packets.push(("AUTH", Packet::Auth(auth())));
        let disconnect = Disconnect { reason: ReasonCode::DisconnectWithWill, properties: said() };
        packets.push(("DISCONNECT with properties", Packet::Disconnect(disconnect)));
    }
    packets
        .into_iter()
        .map(|(name, packet)| {
            let mut bytes = Vec::new();
            packet.encode(version, &mut bytes).unwrap();
            (name, bytes)
        })
        .collect()
}

fn said() -> Properties {
    PropertyValues {
        reason_string: Some("because".into()),
        user_properties: vec![("name".into(), "value".into())],
        ..Default::default()
    }
    .into()
}

fn connect(version: ProtocolVersion) -> Connect {
    let mut connect = Connect {
        clean_start: true,
        keep_alive: 300,
        will: Some(Will {
            topic: "hostile/will".try_into().unwrap(),
            payload: "gone".into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Properties::new(),
        }),
        username: Some("user".into()),
        password: Some("secret".into()),
        ..Connect::new(version, "hostile")
    };
    if version.is_v5() {
        let values = connect.properties.make_mut();
        values.session_expiry_interval = Some(1);
        values.receive_maximum = Some(3);
        values.maximum_packet_size = Some(4096);
        values.topic_alias_maximum = Some(2);
        values.request_problem_information = Some(true);
        values.user_properties = vec![("name".into(), "value".into())];
        let will = connect.will.as_mut().unwrap().properties.make_mut();
        will.content_type = Some("text/plain".into());
        will.message_expiry_interval = Some(10);
    }
    connect
}

fn publish(version: ProtocolVersion, qos: QoS) -> Publish {
    let mut publish = Publish {
        qos,
        packet_id: PacketId::new(4661).filter(|_| qos != QoS::AtMostOnce),
        ..Publish::new("hostile/topic", "payload")
    };
    if version.is_v5() {
        let values = publish.properties.make_mut();
        values.payload_format_indicator = Some(1);
        values.message_expiry_interval = Some(10);
        values.topic_alias = Some(1);
        values.response_topic = Some("hostile/answer".into());
        values.correlation_data = Some("41".into());
        values.content_type = Some("text/plain".into());
        values.user_properties = vec![("name".into(), "value".into())];
    }
    publish
}

fn subscribe(version: ProtocolVersion, packet_id: PacketId) -> Subscribe {
    let options = SubscriptionOptions {
        qos: QoS::ExactlyOnce,
        no_local: false,
        retain_as_published: version.is_v5(),
        retain_handling: if version.is_v5() {
            RetainHandling::SendIfNew
        } else {
            RetainHandling::Send
        },
    };
    let filters = ["hostile/+", "$share/group/hostile/#"]
        .map(|filter| SubscribeFilter { filter: filter.try_into().unwrap(), options })
        .into();
    let mut properties = Properties::new();
    if version.is_v5() {
        properties.make_mut().subscription_identifiers = vec![300];
    }
    Subscribe { packet_id, filters, properties }
}

fn auth() -> Auth {
    let properties = PropertyValues {
        authentication_method: Some("method".into()),
        authentication_data: Some("data".into()),
        ..Default::default()
    };
    Auth { reason: ReasonCode::ContinueAuthentication, properties: properties.into() }
}
