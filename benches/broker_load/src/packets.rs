//! The packets that clients send, and those that they look into.
use anyhow::{Context, bail};
use bytes::Bytes;
use latchlight_mqtt::{
    AckView, Connect, FixedHeader, Packet, PacketId, PacketType, Properties, ProtocolVersion,
    PublishParts, PublishView, QoS, Subscribe, SubscribeFilter, SubscriptionOptions, TopicFilter,
};

/// The payload's first bytes: the publisher and the message's number, 4 bytes each, and when it
/// was to be sent in nanoseconds, 8 bytes.
pub const STAMP: usize = 16;

/// Who published a message, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The publisher's number, from 0 on.
    pub publisher: u32,
    /// The message's number among the publisher's, from 0 on.
    pub number: u32,
    /// When it was to be sent, in nanoseconds on the publisher's clock; 0 where nobody asks.
    pub nanos: u64,
}

impl Stamp {
    /// Reads it from a payload's beginning.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let (publisher, rest) = payload.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (nanos, _) = rest.split_first_chunk()?;
        Some(Self {
            publisher: u32::from_be_bytes(*publisher),
            number: u32::from_be_bytes(*number),
            nanos: u64::from_be_bytes(*nanos),
        })
    }

    fn write(self, payload: &mut [u8]) {
        payload[..4].copy_from_slice(&self.publisher.to_be_bytes());
        payload[4..8].copy_from_slice(&self.number.to_be_bytes());
        payload[8..STAMP].copy_from_slice(&self.nanos.to_be_bytes());
    }
}

/// A PUBLISH that is encoded once and sent often, with other numbers in it.
#[derive(Debug, Clone)]
pub struct Template {
    bytes: Vec<u8>,
    packet_id: Option<usize>,
    payload: usize,
    last_id: u16,
}

impl Template {
    /// For this topic, with a payload of so many bytes (at least those of a [`Stamp`]).
    ///
    /// # Errors
    /// The topic is none, or the packet too long.
    pub fn new(
        version: ProtocolVersion,
        topic: &str,
        qos: QoS,
        retain: bool,
        payload: usize,
    ) -> anyhow::Result<Self> {
        let payload = vec![b'x'; payload.max(STAMP)];
        let parts = PublishParts {
            dup: false,
            qos,
            retain,
            topic,
            packet_id: (qos != QoS::AtMostOnce).then(|| packet_id(1)),
            properties: &Properties::new(),
            payload: &payload,
        };
        let mut bytes = Vec::new();
        let packet_id = parts.encode_header(version, &mut bytes).context("encode a PUBLISH")?;
        let start = bytes.len();
        bytes.extend_from_slice(&payload);
        Ok(Self { bytes, packet_id, payload: start, last_id: 0 })
    }

    /// Appends the packet with the next packet id and this stamp.
    pub fn put(&mut self, stamp: Stamp, out: &mut Vec<u8>) {
        if let Some(at) = self.packet_id {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            self.bytes[at..at + 2].copy_from_slice(&self.last_id.to_be_bytes());
        }
        stamp.write(&mut self.bytes[self.payload..]);
        out.extend_from_slice(&self.bytes);
    }

    /// The packet's length in bytes.
    pub fn packet_len(&self) -> usize {
        self.bytes.len()
    }
}

/// What a client heard.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// Its CONNECT was taken; whether there was a session.
    Connected {
        /// The broker goes on with a session that it had.
        session_present: bool,
    },
    /// Its SUBSCRIBE was taken.
    Subscribed,
    /// A message.
    Publish(PublishView<'a>),
    /// Its message of QoS 1 was taken.
    Acknowledged,
    /// All that was to be sent is with the kernel, after some of it had to wait.
    Drained,
}

impl<'a> Incoming<'a> {
    /// Looks into a packet; none where it is of no interest.
    ///
    /// # Errors
    /// The packet refuses something, is malformed, or none that a broker sends here.
    pub fn decode(
        header: &FixedHeader,
        bytes: &'a [u8],
        version: ProtocolVersion,
    ) -> anyhow::Result<Option<Self>> {
        Ok(Some(match header.packet_type()? {
            PacketType::Publish => Self::Publish(PublishView::decode(bytes, version)?),
            PacketType::PubAck => {
                let ack = AckView::decode(bytes, version)?;
                if ack.reason.is_error() {
                    bail!("PUBACK says {:?}", ack.reason);
                }
                Self::Acknowledged
            }
            PacketType::PingResp => return Ok(None),
            _ => match Packet::decode(Bytes::copy_from_slice(bytes), version)? {
                Packet::ConnAck(connack) if connack.reason.is_error() => {
                    bail!("CONNACK says {:?}", connack.reason)
                }
                Packet::ConnAck(connack) => {
                    Self::Connected { session_present: connack.session_present }
                }
                Packet::SubAck(suback) if suback.reasons.iter().any(|one| one.is_error()) => {
                    bail!("SUBACK says {:?}", suback.reasons)
                }
                Packet::SubAck(_) => Self::Subscribed,
                Packet::Disconnect(disconnect) => bail!("DISCONNECT says {:?}", disconnect.reason),
                other => bail!("the broker sends {:?}", other.packet_type()),
            },
        }))
    }
}

/// A CONNECT without keep alive that matters: an hour and more, since not all take none.
pub fn connect(version: ProtocolVersion, client_id: &str, clean_start: bool) -> Packet {
    let mut connect = Connect { keep_alive: 65_535, ..Connect::new(version, client_id) };
    connect.clean_start = clean_start;
    if version.is_v5() && !clean_start {
        connect.properties.make_mut().session_expiry_interval = Some(3_600);
    }
    Packet::Connect(Box::new(connect))
}

/// A SUBSCRIBE to these filters.
///
/// # Errors
/// One of them is none.
pub fn subscribe<'a>(
    filters: impl IntoIterator<Item = &'a str>,
    qos: QoS,
) -> anyhow::Result<Packet> {
    let options = SubscriptionOptions::qos(qos);
    let filters = filters.into_iter().map(|filter| {
        let filter = TopicFilter::try_from(filter).context("make a filter")?;
        Ok(SubscribeFilter { filter, options })
    });
    Ok(Packet::Subscribe(Subscribe {
        packet_id: packet_id(1),
        filters: filters.collect::<anyhow::Result<_>>()?,
        properties: Properties::new(),
    }))
}

fn packet_id(id: u16) -> PacketId {
    PacketId::new(id).expect("it is at least 1")
}

#[cfg(test)]
mod tests {
    use latchlight_mqtt::{Framing, frame};

    use super::*;

    #[test]
    fn a_template_says_what_is_put_into_it() -> anyhow::Result<()> {
        for version in [ProtocolVersion::V311, ProtocolVersion::V5] {
            let mut template = Template::new(version, "a/b", QoS::AtLeastOnce, false, 64)?;
            let mut out = Vec::new();
            for number in 0..70_000 {
                out.clear();
                let stamp = Stamp { publisher: 7, number, nanos: 99 };
                template.put(stamp, &mut out);
                let Framing::Complete(header) = frame(&out, usize::MAX)? else { bail!("a part") };
                let Some(Incoming::Publish(publish)) = Incoming::decode(&header, &out, version)?
                else {
                    bail!("no PUBLISH")
                };
                assert_eq!(publish.topic, "a/b");
                assert_eq!(publish.payload.len(), 64);
                assert_eq!(Stamp::read(publish.payload), Some(stamp));
                let id = publish.packet_id.map(PacketId::get);
                assert_eq!(id, u16::try_from(number % 65_535 + 1).ok());
            }
        }
        Ok(())
    }
}
