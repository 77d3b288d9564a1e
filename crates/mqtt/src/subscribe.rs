//! SUBSCRIBE: a client asks for messages (MQTT 5, 3.8).

use crate::packet::Body;
use crate::property::Place;
use crate::writer::{self, put_binary, put_u16};
use crate::{
    DecodeError, EncodeError, PacketId, PacketType, Properties, ProtocolVersion, QoS, TopicFilter,
};

/// A client asks for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// Which request.
    pub packet_id: PacketId,
    /// What it asks for; at least one.
    pub filters: Vec<SubscribeFilter>,
    /// MQTT 5 only.
    pub properties: Properties,
}

/// One filter of a SUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeFilter {
    /// Which topics.
    pub filter: TopicFilter,
    /// And how.
    pub options: SubscriptionOptions,
}

/// How messages are wanted (MQTT 5, 3.8.3.1). Before MQTT 5, the QoS only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubscriptionOptions {
    /// At the most this.
    pub qos: QoS,
    /// Not what this client itself publishes.
    pub no_local: bool,
    /// With RETAIN as the publisher set it.
    pub retain_as_published: bool,
    /// What of the kept messages.
    pub retain_handling: RetainHandling,
}

/// Which kept messages a subscription brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum RetainHandling {
    /// All that match.
    #[default]
    Send = 0,
    /// All that match, if the subscription is new.
    SendIfNew = 1,
    /// None.
    DoNotSend = 2,
}

impl Subscribe {
    pub(crate) fn decode(body: &mut Body<'_>) -> Result<Self, DecodeError> {
        let packet_id = body.reader.packet_id()?;
        let place = Place::Packet(PacketType::Subscribe);
        let properties = if body.version.is_v5() {
            Properties::decode(body.frame, &mut body.reader, place)?
        } else {
            Properties::new()
        };
        let mut filters = Vec::new();
        while !body.reader.is_empty() {
            let filter = body.string()?;
            let filter = TopicFilter::try_from(filter).map_err(|_| DecodeError::TopicFilter)?;
            let options = SubscriptionOptions::decode(body.reader.u8()?, body.version)?;
            // [MQTT-3.8.3-4]
            if options.no_local && filter.shared().is_some() {
                return Err(DecodeError::Protocol("No Local with a shared subscription"));
            }
            filters.push(SubscribeFilter { filter, options });
        }
        // [MQTT-3.8.3-2]
        if filters.is_empty() {
            return Err(DecodeError::Protocol("a SUBSCRIBE without a filter"));
        }
        Ok(Self { packet_id, filters, properties })
    }

    pub(crate) fn encode(
        &self,
        version: ProtocolVersion,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if self.filters.is_empty() {
            return Err(EncodeError::Empty);
        }
        writer::packet(out, 0x82, |out| {
            put_u16(out, self.packet_id.get());
            if version.is_v5() {
                self.properties.encode(Place::Packet(PacketType::Subscribe), out)?;
            }
            for SubscribeFilter { filter, options } in &self.filters {
                // [MQTT-3.8.3-4]
                if version.is_v5() && options.no_local && filter.shared().is_some() {
                    return Err(EncodeError::NoLocal);
                }
                put_binary(out, filter.as_str().as_bytes())?;
                out.push(options.encode(version));
            }
            Ok(())
        })
    }
}

impl SubscriptionOptions {
    /// This QoS, and everything else as before MQTT 5.
    pub fn qos(qos: QoS) -> Self {
        Self { qos, ..Self::default() }
    }

    fn decode(byte: u8, version: ProtocolVersion) -> Result<Self, DecodeError> {
        let qos = QoS::try_from(byte & 0x03)?;
        if !version.is_v5() {
            // 3.1.1: [MQTT-3.8.3-4]; 3.1 does not use those bits.
            if byte & 0xFC != 0 && version == ProtocolVersion::V311 {
                return Err(DecodeError::Malformed("reserved bits of a requested QoS"));
            }
            return Ok(Self::qos(qos));
        }
        // [MQTT-3.8.3-5]
        if byte & 0xC0 != 0 {
            return Err(DecodeError::Malformed("reserved bits of the subscription options"));
        }
        let retain_handling = match byte >> 4 & 0x03 {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return Err(DecodeError::Protocol("Retain Handling is 0, 1 or 2")),
        };
        Ok(Self {
            qos,
            no_local: byte & 0x04 != 0,
            retain_as_published: byte & 0x08 != 0,
            retain_handling,
        })
    }

    fn encode(self, version: ProtocolVersion) -> u8 {
        let qos = self.qos as u8;
        if !version.is_v5() {
            return qos;
        }
        qos | u8::from(self.no_local) << 2
            | u8::from(self.retain_as_published) << 3
            | (self.retain_handling as u8) << 4
    }
}
