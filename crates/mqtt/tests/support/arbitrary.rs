//! Arbitrary packets that a version has, for property tests.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use latchlight_mqtt::{
    Auth, ConnAck, Connect, Disconnect, Packet, PacketId, PacketType, Properties, PropertyValues,
    ProtocolVersion, PubAck, PubComp, PubRec, PubRel, Publish, QoS, ReasonCode, RetainHandling,
    SubAck, Subscribe, SubscribeFilter, SubscriptionOptions, TopicFilter, TopicName, UnsubAck,
    Unsubscribe, Will,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

/// Any packet that this version has.
pub(crate) fn packet(version: ProtocolVersion) -> BoxedStrategy<Packet> {
    let mut packets = vec![
        connect(version),
        connack(version),
        publish(version),
        acks(version),
        subscribe(version),
        suback(version),
        unsubscribe(version),
        unsuback(version),
        prop_oneof![Just(Packet::PingReq), Just(Packet::PingResp)].boxed(),
        disconnect(version),
    ];
    if version.is_v5() {
        packets.push(auth());
    }
    proptest::strategy::Union::new(packets).boxed()
}

fn text() -> BoxedStrategy<ByteString> {
    let text = prop_oneof![4 => "[ -~]{0,12}", 1 => "[^\u{0}]{0,40}", 1 => "[a-z]{120,140}"];
    text.prop_map(ByteString::from).boxed()
}

fn binary() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn level() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-z0-9]{0,8}", 1 => "[^\u{0}+#/]{0,8}"]
}

fn name() -> BoxedStrategy<TopicName> {
    vec(level(), 1..5)
        .prop_map(|levels| levels.join("/"))
        .prop_filter_map("a topic name is not empty", |name| TopicName::try_from(name).ok())
        .boxed()
}

fn filter() -> BoxedStrategy<TopicFilter> {
    let levels = vec(prop_oneof![4 => level(), 1 => Just("+".to_owned())], 1..5);
    (of("[a-z]{1,4}"), levels, any::<bool>())
        .prop_map(|(share, mut levels, all)| {
            if all {
                levels.push("#".to_owned());
            }
            let filter = levels.join("/");
            share.map_or(filter.clone(), |share| format!("$share/{share}/{filter}"))
        })
        .prop_filter_map("a topic filter is not empty", |filter| TopicFilter::try_from(filter).ok())
        .boxed()
}

fn qos() -> impl Strategy<Value = QoS> {
    select(vec![QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|id| PacketId::new(id).unwrap())
}

fn reason(packet: PacketType, version: ProtocolVersion) -> BoxedStrategy<ReasonCode> {
    let fits = ReasonCode::ALL.into_iter().filter(move |reason| reason.fits(packet));
    let old = |reason: &ReasonCode| match packet {
        PacketType::ConnAck => {
            let code = reason.connect_return_code();
            code.and_then(ReasonCode::from_connect_return_code) == Some(*reason)
        }
        PacketType::SubAck => *reason <= ReasonCode::UnspecifiedError,
        _ => *reason == ReasonCode::Success,
    };
    select(fits.filter(|reason| version.is_v5() || old(reason)).collect::<Vec<_>>()).boxed()
}

/// How a property gets its value.
#[derive(Clone)]
struct Change(Arc<dyn Fn(&mut PropertyValues)>);

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Change")
    }
}

/// A property that is left out, or stands with a value of the strategy.
fn put<T: Clone + fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
    set: fn(&mut PropertyValues, T),
) -> BoxedStrategy<Option<Change>> {
    let change = value.prop_map(move |value| {
        Change(Arc::new(move |values: &mut PropertyValues| set(values, value.clone())))
    });
    of(change).boxed()
}

fn users() -> BoxedStrategy<Option<Change>> {
    put(vec((text(), text()), 1..4), |p, v| p.user_properties = v)
}

fn reason_string() -> BoxedStrategy<Option<Change>> {
    put(text(), |p, v| p.reason_string = Some(v))
}

/// Some of these properties in MQTT 5, and none before.
fn some(
    version: ProtocolVersion,
    changes: Vec<BoxedStrategy<Option<Change>>>,
) -> BoxedStrategy<Properties> {
    if !version.is_v5() {
        return Just(Properties::new()).boxed();
    }
    let nothing = Just(PropertyValues::default()).boxed();
    let values = changes.into_iter().fold(nothing, |values, change| {
        let change = (values, change).prop_map(|(mut values, change)| {
            if let Some(change) = change {
                (change.0)(&mut values);
            }
            values
        });
        change.boxed()
    });
    prop_oneof![1 => Just(Properties::new()), 3 => values.prop_map(Properties::from)].boxed()
}

/// What a message and a will have in common.
fn message() -> Vec<BoxedStrategy<Option<Change>>> {
    vec![
        put(0..=1_u8, |p, v| p.payload_format_indicator = Some(v)),
        put(any::<u32>(), |p, v| p.message_expiry_interval = Some(v)),
        put(text(), |p, v| p.content_type = Some(v)),
        put(name(), |p, v| p.response_topic = Some(v.into())),
        put(binary(), |p, v| p.correlation_data = Some(v)),
        users(),
    ]
}

/// What CONNECT and CONNACK have in common.
fn session() -> Vec<BoxedStrategy<Option<Change>>> {
    let authentication = (text(), of(binary()));
    vec![
        put(any::<u32>(), |p, v| p.session_expiry_interval = Some(v)),
        put(authentication, |p, (method, data)| {
            p.authentication_method = Some(method);
            p.authentication_data = data;
        }),
        put(1..=u16::MAX, |p, v| p.receive_maximum = Some(v)),
        put(any::<u16>(), |p, v| p.topic_alias_maximum = Some(v)),
        put(1..=u32::MAX, |p, v| p.maximum_packet_size = Some(v)),
        users(),
    ]
}

fn will(version: ProtocolVersion) -> BoxedStrategy<Will> {
    let mut properties = message();
    properties.push(put(any::<u32>(), |p, v| p.will_delay_interval = Some(v)));
    (name(), binary(), qos(), any::<bool>(), some(version, properties))
        .prop_map(|(topic, payload, qos, retain, properties)| Will {
            topic,
            payload,
            qos,
            retain,
            properties,
        })
        .boxed()
}

fn connect(version: ProtocolVersion) -> BoxedStrategy<Packet> {
    let mut properties = session();
    properties.push(put(any::<bool>(), |p, v| p.request_problem_information = Some(v)));
    properties.push(put(any::<bool>(), |p, v| p.request_response_information = Some(v)));
    let properties = some(version, properties);
    let credentials = (of(text()), of(binary()));
    (any::<bool>(), any::<u16>(), text(), of(will(version)), credentials, properties)
        .prop_map(move |(clean_start, keep_alive, client_id, will, credentials, properties)| {
            let (username, mut password) = credentials;
            if !version.is_v5() && username.is_none() {
                password = None;
            }
            let client_id =
                if client_id.is_empty() && !version.is_v5() { "client".into() } else { client_id };
            Packet::Connect(Box::new(Connect {
                version,
                clean_start,
                keep_alive,
                client_id,
                will,
                username,
                password,
                properties,
            }))
        })
        .boxed()
}

fn connack(version: ProtocolVersion) -> BoxedStrategy<Packet> {
    let mut properties = session();
    properties.extend([
        put(text(), |p, v| p.assigned_client_identifier = Some(v)),
        put(any::<u16>(), |p, v| p.server_keep_alive = Some(v)),
        put(text(), |p, v| p.response_information = Some(v)),
        put(text(), |p, v| p.server_reference = Some(v)),
        reason_string(),
        put(select(vec![QoS::AtMostOnce, QoS::AtLeastOnce]), |p, v| p.maximum_qos = Some(v)),
        put(any::<bool>(), |p, v| p.retain_available = Some(v)),
        put(any::<bool>(), |p, v| p.wildcard_subscription_available = Some(v)),
        put(any::<bool>(), |p, v| p.subscription_identifier_available = Some(v)),
        put(any::<bool>(), |p, v| p.shared_subscription_available = Some(v)),
    ]);
    (any::<bool>(), reason(PacketType::ConnAck, version), some(version, properties))
        .prop_map(move |(present, reason, properties)| {
            let says = version != ProtocolVersion::V31 && !reason.is_error();
            Packet::ConnAck(Box::new(ConnAck {
                session_present: present && says,
                reason,
                properties,
            }))
        })
        .boxed()
}

/// A message of any QoS.
pub(crate) fn publish(version: ProtocolVersion) -> BoxedStrategy<Packet> {
    let mut properties = message();
    properties.extend([
        put(vec(1..=268_435_455_u32, 1..4), |p, v| p.subscription_identifiers = v),
        put(1..=u16::MAX, |p, v| p.topic_alias = Some(v)),
    ]);
    let payload = vec(any::<u8>(), 0..300).prop_map(Bytes::from);
    let flags = (any::<bool>(), qos(), any::<bool>(), any::<bool>());
    (flags, name(), packet_id(), some(version, properties), payload)
        .prop_map(|((dup, qos, retain, aliased), topic, id, properties, payload)| {
            let acknowledged = qos != QoS::AtMostOnce;
            let left_out = aliased && properties.topic_alias.is_some();
            Packet::Publish(Publish {
                dup: dup && acknowledged,
                qos,
                retain,
                topic: if left_out { ByteString::new() } else { topic.into() },
                packet_id: acknowledged.then_some(id),
                properties,
                payload,
            })
        })
        .boxed()
}

fn acks(version: ProtocolVersion) -> BoxedStrategy<Packet> {
    macro_rules! ack {
        ($name:ident) => {
            (
                packet_id(),
                reason(PacketType::$name, version),
                some(version, vec![reason_string(), users()]),
            )
                .prop_map(|(packet_id, reason, properties)| {
                    Packet::$name($name { packet_id, reason, properties })
                })
        };
    }
    prop_oneof![ack!(PubAck), ack!(PubRec), ack!(PubRel), ack!(PubComp)].boxed()
}

fn options(version: ProtocolVersion) -> BoxedStrategy<SubscriptionOptions> {
    let handling =
        select(vec![RetainHandling::Send, RetainHandling::SendIfNew, RetainHandling::DoNotSend]);
    (qos(), any::<bool>(), any::<bool>(), handling)
        .prop_map(move |(qos, no_local, retain_as_published, retain_handling)| {
            if version.is_v5() {
                SubscriptionOptions { qos, no_local, retain_as_published, retain_handling }
            } else {
                SubscriptionOptions::qos(qos)
            }
        })
        .boxed()
}

fn subscribe(version: ProtocolVersion) -> BoxedStrategy<Packet> {
    let one = (filter(), options(version)).prop_map(|(filter, mut options)| {
        options.no_local &= filter.shared().is_none();
        SubscribeFilter { filter, options }
    });
    let identifier = put(1..=268_435_455_u32, |p, v| p.subscription_identifiers = vec![v]);
    (packet_id(), vec(one, 1..5), some(version, vec![identifier, users()]))
        .prop_map(|(packet_id, filters, properties)| {
            Packet::Subscribe(Subscribe { packet_id, filters, properties })
        })
        .boxed()
}

fn suback(version: ProtocolVersion) -> BoxedStrategy<Packet> {
    let reasons = vec(reason(PacketType::SubAck, version), 1..5);
    (packet_id(), reasons, some(version, vec![reason_string(), users()]))
        .prop_map(|(packet_id, reasons, properties)| {
            Packet::SubAck(SubAck { packet_id, reasons, properties })
        })
        .boxed()
}

fn unsubscribe(version: ProtocolVersion) -> BoxedStrategy<Packet> {
    (packet_id(), vec(filter(), 1..5), some(version, vec![users()]))
        .prop_map(|(packet_id, filters, properties)| {
            Packet::Unsubscribe(Unsubscribe { packet_id, filters, properties })
        })
        .boxed()
}

fn unsuback(version: ProtocolVersion) -> BoxedStrategy<Packet> {
    let reasons = vec(reason(PacketType::UnsubAck, version), 1..5);
    (packet_id(), reasons, some(version, vec![reason_string(), users()]))
        .prop_map(move |(packet_id, reasons, properties)| {
            let reasons = if version.is_v5() { reasons } else { Vec::new() };
            Packet::UnsubAck(UnsubAck { packet_id, reasons, properties })
        })
        .boxed()
}

fn disconnect(version: ProtocolVersion) -> BoxedStrategy<Packet> {
    let properties = vec![
        put(any::<u32>(), |p, v| p.session_expiry_interval = Some(v)),
        put(text(), |p, v| p.server_reference = Some(v)),
        reason_string(),
        users(),
    ];
    (reason(PacketType::Disconnect, version), some(version, properties))
        .prop_map(|(reason, properties)| Packet::Disconnect(Disconnect { reason, properties }))
        .boxed()
}

fn auth() -> BoxedStrategy<Packet> {
    let version = ProtocolVersion::V5;
    let properties = vec![
        put(text(), |p, v| p.authentication_method = Some(v)),
        put(binary(), |p, v| p.authentication_data = Some(v)),
        reason_string(),
        users(),
    ];
    (reason(PacketType::Auth, version), some(version, properties))
        .prop_map(|(reason, properties)| Packet::Auth(Auth { reason, properties }))
        .boxed()
}
