//! A message on its way through the broker: as it came, and as it is kept.

use std::cell::OnceCell;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use latchlight_mqtt::{
    PacketId, Properties, PropertiesView, PropertyId, PropertyValue, ProtocolVersion, PublishParts,
    PublishView, QoS,
};

use crate::Time;
use crate::read_buffer::Received;
use crate::session::TopicAs;

/// Payloads from this size on are shared by their receivers, not copied.
const SHARED_FROM: usize = 8 * 1024;

/// A message that is kept: retained, queued, or in flight to a session that
/// may come back. Its bytes are its own, no part of a buffer that holds much
/// else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: ByteString,
    pub(crate) payload: Bytes,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// Without topic alias and subscription identifiers.
    pub(crate) properties: Properties,
    pub(crate) expires_at: Option<Time>,
}

impl Message {
    /// What it takes of a bound, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.size()
    }

    pub(crate) fn is_expired(&self, now: Time) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// The properties as they are sent now: the expiry is what is left of it
    /// [MQTT-3.3.2-6].
    pub(crate) fn properties_at(&self, now: Time) -> Properties {
        let mut properties = self.properties.clone();
        if let Some(end) = self.expires_at {
            let left = end.saturating_sub(now).div_ceil(1000);
            properties.make_mut().message_expiry_interval =
                Some(u32::try_from(left).unwrap_or(u32::MAX));
        }
        properties
    }
}

/// A message that is being routed, encoded once for each way in which its
/// receivers want it.
pub(crate) struct Forward<'a> {
    topic: &'a ByteString,
    payload: &'a [u8],
    /// The packet that it came in, where that can be shared.
    whole: Option<&'a Bytes>,
    properties: Source<'a>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// It is this process's, which is not to run into its clients' bounds.
    pub(crate) is_own: bool,
    now: Time,
    /// The frame as it came, which receivers of the same shape get as it is.
    frame: Option<Encoded<'a>>,
    frame_shape: Shape,
    encoded: [OnceCell<OwnedFrame>; 4],
    kept: OnceCell<Arc<Message>>,
    shared: OnceCell<Bytes>,
}

enum Source<'a> {
    View(PropertiesView<'a>),
    Owned(Properties),
}

/// What distinguishes the encodings of one message: all else is in the first
/// byte and the packet id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) v5: bool,
    pub(crate) with_id: bool,
}

/// A whole PUBLISH as bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoded<'a> {
    pub(crate) bytes: &'a [u8],
    /// Where the packet id stands.
    pub(crate) id_at: usize,
}

#[derive(Debug)]
struct OwnedFrame {
    bytes: Vec<u8>,
    id_at: usize,
}

impl Shape {
    fn index(self) -> usize {
        usize::from(self.v5) * 2 + usize::from(self.with_id)
    }
}

impl<'a> Forward<'a> {
    /// A message as a client sent it; `topic` is its name, also where an alias
    /// stood for it.
    pub(crate) fn of_view(
        packet: Received<'a>,
        view: &PublishView<'a>,
        version: ProtocolVersion,
        topic: &'a ByteString,
        now: Time,
    ) -> Self {
        let plain = view.properties.is_empty()
            || view.properties.iter().all(|(id, _)| id != PropertyId::TopicAlias);
        let encoded = Encoded { bytes: packet.bytes, id_at: view.packet_id_offset.unwrap_or(0) };
        Self {
            topic,
            payload: view.payload,
            whole: packet.whole,
            properties: Source::View(view.properties),
            qos: view.qos,
            retain: view.retain,
            is_own: false,
            now,
            frame: (plain && !view.topic.is_empty()).then_some(encoded),
            frame_shape: Shape { v5: version.is_v5(), with_id: view.packet_id.is_some() },
            encoded: Default::default(),
            kept: OnceCell::new(),
            shared: OnceCell::new(),
        }
    }

    /// A message that is kept: a will, a retained or an inline one, or one that
    /// waits for others.
    pub(crate) fn of_message(message: &'a Arc<Message>, now: Time) -> Self {
        let kept = OnceCell::new();
        let _ = kept.set(message.clone());
        Self {
            topic: &message.topic,
            payload: &message.payload,
            whole: None,
            properties: Source::Owned(message.properties_at(now)),
            qos: message.qos,
            retain: message.retain,
            is_own: false,
            now,
            frame: None,
            frame_shape: Shape { v5: false, with_id: false },
            encoded: Default::default(),
            kept,
            shared: OnceCell::new(),
        }
    }

    /// When it came.
    pub(crate) fn now(&self) -> Time {
        self.now
    }

    pub(crate) fn topic(&self) -> &ByteString {
        self.topic
    }

    pub(crate) fn payload(&self) -> &[u8] {
        self.payload
    }

    /// What it takes of a bound, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.topic.len() + self.payload.len()
    }

    /// Whether receivers share the payload's bytes.
    pub(crate) fn is_large(&self) -> bool {
        self.payload.len() >= SHARED_FROM
    }

    /// The payload as shared bytes, made once: of a packet that is little else,
    /// the same bytes; else copied.
    pub(crate) fn shared_payload(&self) -> Bytes {
        if let Some(kept) = self.kept.get() {
            return kept.payload.clone();
        }
        let share = || match self.whole {
            Some(whole) if is_little_else(whole, self.payload) => whole.slice_ref(self.payload),
            _ => Bytes::copy_from_slice(self.payload),
        };
        self.shared.get_or_init(share).clone()
    }

    /// The message as it is kept, made once.
    pub(crate) fn keep(&self) -> Arc<Message> {
        let make = || {
            let mut properties = self.owned_properties();
            let interval = properties.message_expiry_interval;
            if !properties.is_empty() {
                let values = properties.make_mut();
                values.topic_alias = None;
                values.subscription_identifiers.clear();
            }
            Arc::new(Message {
                topic: self.topic.clone(),
                payload: self.shared_payload(),
                qos: self.qos,
                retain: self.retain,
                properties,
                expires_at: interval.map(|seconds| self.now + u64::from(seconds) * 1000),
            })
        };
        self.kept.get_or_init(make).clone()
    }

    fn owned_properties(&self) -> Properties {
        match &self.properties {
            Source::View(view) => view.to_owned(),
            Source::Owned(properties) => properties.clone(),
        }
    }

    /// The content type and the like, for inline receivers.
    pub(crate) fn properties(&self) -> Properties {
        let mut properties = self.owned_properties();
        if properties.topic_alias.is_some() {
            properties.make_mut().topic_alias = None;
        }
        properties
    }

    /// Whether it had no time left when it came.
    pub(crate) fn is_expired(&self) -> bool {
        let interval = match &self.properties {
            Source::View(view) => match view.get(PropertyId::MessageExpiryInterval) {
                Some(PropertyValue::U32(seconds)) => Some(seconds),
                _ => None,
            },
            Source::Owned(properties) => properties.message_expiry_interval,
        };
        interval == Some(0)
    }

    /// Calls `append` with the message in this shape; the first byte and the
    /// packet id are the receiver's to set.
    pub(crate) fn with_shape<T>(&self, shape: Shape, append: impl FnOnce(Encoded<'_>) -> T) -> T {
        if let Some(frame) = self.frame.filter(|_| shape == self.frame_shape) {
            return append(frame);
        }
        let encode = || self.encode(shape, &[], TopicAs::Name);
        let frame = self.encoded[shape.index()].get_or_init(encode);
        append(Encoded { bytes: &frame.bytes, id_at: frame.id_at })
    }

    /// The same with what each receiver has its own: the identifiers of its
    /// subscriptions, and a topic alias. Both are of MQTT 5.
    pub(crate) fn with_extras<T>(
        &self,
        shape: Shape,
        identifiers: &[u32],
        topic: TopicAs,
        append: impl FnOnce(Encoded<'_>) -> T,
    ) -> T {
        if !shape.v5 || (identifiers.is_empty() && topic == TopicAs::Name) {
            return self.with_shape(shape, append);
        }
        let frame = self.encode(shape, identifiers, topic);
        append(Encoded { bytes: &frame.bytes, id_at: frame.id_at })
    }

    fn encode(&self, shape: Shape, identifiers: &[u32], topic: TopicAs) -> OwnedFrame {
        let mut properties = Properties::new();
        if shape.v5 {
            properties = self.properties();
            if !identifiers.is_empty() {
                properties.make_mut().subscription_identifiers = identifiers.to_vec();
            }
            if let TopicAs::NameAnd(alias) | TopicAs::Alias(alias) = topic {
                properties.make_mut().topic_alias = Some(alias);
            }
        }
        let name = if matches!(topic, TopicAs::Alias(_)) { "" } else { self.topic };
        encode(name, self.payload, &properties, shape)
    }
}

/// Whether a payload is nearly all of its packet, which lasts as long as it does
/// where they share bytes.
fn is_little_else(whole: &Bytes, payload: &[u8]) -> bool {
    whole.len() - payload.len() <= whole.len() / 8
}

fn encode(topic: &str, payload: &[u8], properties: &Properties, shape: Shape) -> OwnedFrame {
    let parts = PublishParts {
        dup: false,
        qos: if shape.with_id { QoS::AtLeastOnce } else { QoS::AtMostOnce },
        retain: false,
        topic,
        packet_id: shape.with_id.then_some(PacketId::MIN),
        properties,
        payload,
    };
    let version = if shape.v5 { ProtocolVersion::V5 } else { ProtocolVersion::V311 };
    let mut bytes = Vec::with_capacity(topic.len() + payload.len() + 16);
    let id_at = match parts.encode_header(version, &mut bytes) {
        Ok(id_at) => id_at,
        Err(error) => {
            // Properties that an inline client made up: the message goes
            // without them. Its topic is a name, and its size was checked.
            tracing::error!(topic, %error, "encode the properties of a message");
            let bare = PublishParts { properties: &Properties::new(), ..parts };
            let encoded = bare.encode_header(version, &mut bytes);
            encoded.expect("a topic name and a payload within the bound fit into a packet")
        }
    };
    bytes.extend_from_slice(payload);
    OwnedFrame { bytes, id_at: id_at.unwrap_or(0) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use latchlight_mqtt::{Packet, Publish};

    use super::*;

    /// Whether receivers share the bytes of a packet with this payload and so
    /// many bytes of properties.
    fn shares(payload: usize, properties: usize, by_itself: bool) -> bool {
        let mut publish = Publish::new("a", vec![7; payload]);
        publish.properties.make_mut().correlation_data = Some(vec![8; properties].into());
        let mut bytes = Vec::new();
        Packet::Publish(publish).encode(ProtocolVersion::V5, &mut bytes).unwrap();
        let whole = Bytes::from(bytes);
        let view = PublishView::decode_limited(&whole, ProtocolVersion::V5, 0).unwrap();
        let packet = Received { bytes: &whole, whole: by_itself.then_some(&whole) };
        let topic = ByteString::from("a");
        let forward = Forward::of_view(packet, &view, ProtocolVersion::V5, &topic, 0);
        let shared = forward.shared_payload();
        assert_eq!(shared, view.payload);
        assert_eq!(forward.keep().payload.as_ptr(), shared.as_ptr(), "it is made once");
        shared.as_ptr() == view.payload.as_ptr()
    }

    #[test]
    fn receivers_share_a_packet_that_is_little_else_than_its_payload() {
        assert!(shares(100_000, 10, true));
        assert!(!shares(100_000, 10, false), "others are in that buffer");
        // Fixed header 4, topic 3, length of the properties 2, the property's
        // own 3: 12 bytes beside what it has. An eighth of 80,000 is 10,000.
        assert!(shares(70_000, 9_988, true));
        assert!(!shares(70_000, 9_989, true));
    }
}
