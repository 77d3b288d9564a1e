//! The values: messages as MQTT 5 packets, the rest as a few fixed fields
//! before them. Times are Unix milliseconds, 0 where there is none.

use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use latchlight_mqtt::{
    Packet, PacketId, Properties, ProtocolVersion, Publish, PublishParts, QoS, RetainHandling,
    SubscriptionOptions,
};

use crate::message::Message;
use crate::session::Kept;
use crate::subscriptions::Held;
use crate::time::Clock;
use crate::{ClientInfo, Time};

/// The version of all this; a store of a newer one is not touched. Since 2, a
/// message may have come by a shared subscription.
pub(super) const FORMAT: u8 = 2;

/// In the tag of a message: the shared subscription stands before it.
const SHARED: u8 = 0x80;

/// A session, but for what it is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionRecord {
    pub(crate) client_id: Arc<str>,
    pub(crate) identity: Arc<str>,
    /// How long it outlives its connection, in ms.
    pub(crate) expiry: Time,
    /// Since when it has no connection, in Unix ms.
    pub(crate) gone_since: Option<u64>,
}

/// How far a message that a session is owed has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageState {
    /// It waits; of QoS 1, it may have been sent.
    Waits,
    /// Of QoS 2, it was sent under this packet id.
    Sent(PacketId),
    /// Of QoS 2, the client has it, and is to be told that it may forget it.
    Released(PacketId),
}

/// A will that waits.
#[derive(Debug)]
pub(super) struct WillRecord {
    pub(super) message: Message,
    pub(super) delay: Time,
    pub(super) version: ProtocolVersion,
}

impl SessionRecord {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24 + self.client_id.len() + self.identity.len());
        out.put_u64(self.expiry);
        out.put_u64(self.gone_since.unwrap_or(0));
        out.put_u32(u32::try_from(self.client_id.len()).unwrap_or(u32::MAX));
        out.put_slice(self.client_id.as_bytes());
        out.put_slice(self.identity.as_bytes());
        out
    }

    pub(super) fn decode(mut value: &[u8]) -> Option<Self> {
        let expiry = value.try_get_u64().ok()?;
        let gone_since = Some(value.try_get_u64().ok()?).filter(|at| *at > 0);
        let length = value.try_get_u32().ok()? as usize;
        let (client_id, identity) = value.split_at_checked(length)?;
        let text = |bytes| std::str::from_utf8(bytes).ok().map(Arc::from);
        Some(Self { client_id: text(client_id)?, identity: text(identity)?, expiry, gone_since })
    }
}

pub(super) fn encode_subscription(held: &Held) -> Vec<u8> {
    let Held { options, identifier } = held;
    let mut out = Vec::with_capacity(8);
    out.put_u8(options.qos as u8);
    out.put_u8(u8::from(options.no_local));
    out.put_u8(u8::from(options.retain_as_published));
    out.put_u8(options.retain_handling as u8);
    out.put_u32(identifier.map_or(0, NonZeroU32::get));
    out
}

pub(super) fn decode_subscription(value: &[u8]) -> Option<Held> {
    let [qos, no_local, retain_as_published, retain_handling, identifier @ ..] = value else {
        return None;
    };
    let options = SubscriptionOptions {
        qos: QoS::try_from(*qos).ok()?,
        no_local: *no_local != 0,
        retain_as_published: *retain_as_published != 0,
        retain_handling: match retain_handling {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            _ => RetainHandling::DoNotSend,
        },
    };
    let identifier = NonZeroU32::new(u32::from_be_bytes(identifier.try_into().ok()?));
    Some(Held { options, identifier })
}

/// A message that a session is owed; released, it is its packet id alone.
pub(super) fn encode_owed(state: MessageState, kept: Option<&Kept>, clock: &Clock) -> Vec<u8> {
    let (tag, id) = match state {
        MessageState::Waits => (0, 0),
        MessageState::Sent(id) => (1, id.get()),
        MessageState::Released(id) => (2, id.get()),
    };
    let size = kept.map_or(0, |kept| kept.message.size());
    let share = kept.and_then(|kept| kept.share.as_deref());
    let share = share.and_then(|share| Some((u16::try_from(share.len()).ok()?, share)));
    let mut out = Vec::with_capacity(size + 48 + share.map_or(0, |(length, _)| length.into()));
    out.put_u8(tag | if share.is_some() { SHARED } else { 0 });
    out.put_u16(id);
    if let Some((length, share)) = share {
        out.put_u16(length);
        out.put_slice(share.as_bytes());
    }
    if let Some(Kept { message, qos, retain, identifiers, .. }) = kept {
        encode_message(message, *qos, *retain, identifiers, clock, &mut out);
    }
    out
}

/// A message that a session is owed, and how far it has come.
pub(super) struct Owed {
    pub(super) state: MessageState,
    pub(super) kept: Option<Kept>,
}

pub(super) fn decode_owed(mut value: &[u8], sequence: u64, clock: &Clock) -> Option<Owed> {
    let tag = value.try_get_u8().ok()?;
    let id = value.try_get_u16().ok()?;
    let state = match tag & !SHARED {
        0 => MessageState::Waits,
        1 => MessageState::Sent(PacketId::new(id)?),
        2 => return Some(Owed { state: MessageState::Released(PacketId::new(id)?), kept: None }),
        _ => return None,
    };
    let mut share = None;
    if tag & SHARED != 0 {
        let length = value.try_get_u16().ok()?;
        let (filter, rest) = value.split_at_checked(length.into())?;
        share = Some(std::str::from_utf8(filter).ok()?.into());
        value = rest;
    }
    let (message, identifiers) = decode_message(value, clock)?;
    let kept = Kept {
        share,
        qos: message.qos,
        retain: message.retain,
        identifiers: identifiers.into(),
        message: Arc::new(message),
        stored: Some(sequence),
        dup: true,
    };
    Some(Owed { state, kept: Some(kept) })
}

pub(super) fn encode_retained(message: &Message, clock: &Clock) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.size() + 48);
    encode_message(message, message.qos, true, &[], clock, &mut out);
    out
}

pub(super) fn decode_retained(value: &[u8], clock: &Clock) -> Option<Message> {
    decode_message(value, clock).map(|(message, _)| message)
}

pub(super) fn encode_will(
    message: &Message,
    delay: Time,
    client: &ClientInfo,
    clock: &Clock,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.size() + 64);
    out.put_u64(delay);
    out.put_u8(client.version.level());
    encode_message(message, message.qos, message.retain, &[], clock, &mut out);
    out
}

pub(super) fn decode_will(mut value: &[u8], clock: &Clock) -> Option<WillRecord> {
    let delay = value.try_get_u64().ok()?;
    let version = match value.try_get_u8().ok()? {
        3 => ProtocolVersion::V31,
        4 => ProtocolVersion::V311,
        5 => ProtocolVersion::V5,
        _ => return None,
    };
    let (message, _) = decode_message(value, clock)?;
    Some(WillRecord { message, delay, version })
}

fn encode_message(
    message: &Message,
    qos: QoS,
    retain: bool,
    identifiers: &[u32],
    clock: &Clock,
    out: &mut Vec<u8>,
) {
    out.put_u64(message.expires_at.map_or(0, |at| clock.unix_of(at)));
    let mut properties = message.properties.clone();
    if !identifiers.is_empty() {
        properties.make_mut().subscription_identifiers = identifiers.to_vec();
    }
    let parts = PublishParts {
        dup: false,
        qos,
        retain,
        topic: &message.topic,
        packet_id: (qos != QoS::AtMostOnce).then_some(PacketId::MIN),
        properties: &properties,
        payload: &message.payload,
    };
    if parts.encode(ProtocolVersion::V5, out).is_err() {
        // Properties that an inline client made up: it goes without them, as
        // it does to its receivers.
        let bare = PublishParts { properties: &Properties::new(), ..parts };
        let encoded = bare.encode(ProtocolVersion::V5, out);
        debug_assert!(encoded.is_ok(), "a topic name and a payload within the bound");
    }
}

/// The message, with the identifiers of the subscriptions that brought it.
fn decode_message(mut value: &[u8], clock: &Clock) -> Option<(Message, Vec<u32>)> {
    let expires_at = value.try_get_u64().ok()?;
    let packet = Packet::decode(Bytes::copy_from_slice(value), ProtocolVersion::V5).ok()?;
    let Packet::Publish(publish) = packet else { return None };
    let Publish { qos, retain, topic, mut properties, payload, .. } = publish;
    let identifiers = match properties.subscription_identifiers.is_empty() {
        true => Vec::new(),
        false => std::mem::take(&mut properties.make_mut().subscription_identifiers),
    };
    let expires_at = (expires_at > 0).then(|| clock.time_of(expires_at));
    Some((Message { topic, payload, qos, retain, properties, expires_at }, identifiers))
}
