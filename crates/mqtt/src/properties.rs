//! The properties of a packet, owned and borrowed.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use bytestring::ByteString;

use crate::property::{self, Place};
use crate::reader::{Reader, share, share_checked};
use crate::writer::{self, put_binary, put_str, put_u16, put_u32, put_varint};
use crate::{DecodeError, EncodeError, PacketType, PropertyId, PropertyValue, QoS};

/// The properties of a packet. Without any, it is one empty pointer; they are
/// read as if it were [`PropertyValues`].
#[derive(Clone, Default)]
pub struct Properties(Option<Box<PropertyValues>>);

/// Every property that there is (MQTT 5, 2.2.2.2), each where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the standard's names")]
pub struct PropertyValues {
    /// 0: bytes, 1: UTF-8.
    pub payload_format_indicator: Option<u8>,
    /// In seconds.
    pub message_expiry_interval: Option<u32>,
    pub content_type: Option<ByteString>,
    pub response_topic: Option<ByteString>,
    pub correlation_data: Option<Bytes>,
    /// 1 to 268,435,455; more than one in PUBLISH only.
    pub subscription_identifiers: Vec<u32>,
    /// In seconds; `u32::MAX` never ends.
    pub session_expiry_interval: Option<u32>,
    pub assigned_client_identifier: Option<ByteString>,
    /// In seconds.
    pub server_keep_alive: Option<u16>,
    pub authentication_method: Option<ByteString>,
    pub authentication_data: Option<Bytes>,
    pub request_problem_information: Option<bool>,
    /// In seconds.
    pub will_delay_interval: Option<u32>,
    pub request_response_information: Option<bool>,
    pub response_information: Option<ByteString>,
    pub server_reference: Option<ByteString>,
    pub reason_string: Option<ByteString>,
    /// Never 0.
    pub receive_maximum: Option<u16>,
    pub topic_alias_maximum: Option<u16>,
    /// Never 0.
    pub topic_alias: Option<u16>,
    /// 0 or 1; QoS 2 is said by leaving it out.
    pub maximum_qos: Option<QoS>,
    pub retain_available: Option<bool>,
    pub user_properties: Vec<(ByteString, ByteString)>,
    /// In bytes; never 0.
    pub maximum_packet_size: Option<u32>,
    pub wildcard_subscription_available: Option<bool>,
    pub subscription_identifier_available: Option<bool>,
    pub shared_subscription_available: Option<bool>,
}

static NONE: PropertyValues = PropertyValues::NONE;

impl PropertyValues {
    const NONE: Self = Self {
        payload_format_indicator: None,
        message_expiry_interval: None,
        content_type: None,
        response_topic: None,
        correlation_data: None,
        subscription_identifiers: Vec::new(),
        session_expiry_interval: None,
        assigned_client_identifier: None,
        server_keep_alive: None,
        authentication_method: None,
        authentication_data: None,
        request_problem_information: None,
        will_delay_interval: None,
        request_response_information: None,
        response_information: None,
        server_reference: None,
        reason_string: None,
        receive_maximum: None,
        topic_alias_maximum: None,
        topic_alias: None,
        maximum_qos: None,
        retain_available: None,
        user_properties: Vec::new(),
        maximum_packet_size: None,
        wildcard_subscription_available: None,
        subscription_identifier_available: None,
        shared_subscription_available: None,
    };

    fn size(&self) -> usize {
        let texts = self.texts().into_iter().flatten().map(|text| text.len());
        let binaries = self.binaries().into_iter().flatten().map(Bytes::len);
        let pairs = self.user_properties.iter().map(|(name, value)| name.len() + value.len());
        size_of::<Self>()
            + texts.chain(binaries).chain(pairs).sum::<usize>()
            + size_of_val(&*self.user_properties)
            + size_of_val(&*self.subscription_identifiers)
    }

    fn detached(&self) -> Self {
        let mut own = self.clone();
        for text in own.texts_mut().into_iter().flatten() {
            *text = ByteString::from(&**text);
        }
        for binary in own.binaries_mut().into_iter().flatten() {
            *binary = Bytes::copy_from_slice(binary);
        }
        for (name, value) in &mut own.user_properties {
            (*name, *value) = (ByteString::from(&**name), ByteString::from(&**value));
        }
        own
    }

    fn texts(&self) -> [Option<&ByteString>; 7] {
        [
            &self.content_type,
            &self.response_topic,
            &self.assigned_client_identifier,
            &self.authentication_method,
            &self.response_information,
            &self.server_reference,
            &self.reason_string,
        ]
        .map(Option::as_ref)
    }

    fn texts_mut(&mut self) -> [Option<&mut ByteString>; 7] {
        [
            &mut self.content_type,
            &mut self.response_topic,
            &mut self.assigned_client_identifier,
            &mut self.authentication_method,
            &mut self.response_information,
            &mut self.server_reference,
            &mut self.reason_string,
        ]
        .map(Option::as_mut)
    }

    fn binaries(&self) -> [Option<&Bytes>; 2] {
        [&self.correlation_data, &self.authentication_data].map(Option::as_ref)
    }

    fn binaries_mut(&mut self) -> [Option<&mut Bytes>; 2] {
        [&mut self.correlation_data, &mut self.authentication_data].map(Option::as_mut)
    }

    fn set(&mut self, frame: &Bytes, id: PropertyId, value: PropertyValue<'_>) {
        use PropertyId as Id;
        use PropertyValue as Value;
        match (id, value) {
            (Id::PayloadFormatIndicator, Value::Byte(v)) => self.payload_format_indicator = Some(v),
            (Id::RequestProblemInformation, Value::Byte(v)) => {
                self.request_problem_information = Some(v == 1);
            }
            (Id::RequestResponseInformation, Value::Byte(v)) => {
                self.request_response_information = Some(v == 1);
            }
            (Id::MaximumQoS, Value::Byte(v)) => {
                self.maximum_qos = Some(if v == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce });
            }
            (Id::RetainAvailable, Value::Byte(v)) => self.retain_available = Some(v == 1),
            (Id::WildcardSubscriptionAvailable, Value::Byte(v)) => {
                self.wildcard_subscription_available = Some(v == 1);
            }
            (Id::SubscriptionIdentifierAvailable, Value::Byte(v)) => {
                self.subscription_identifier_available = Some(v == 1);
            }
            (Id::SharedSubscriptionAvailable, Value::Byte(v)) => {
                self.shared_subscription_available = Some(v == 1);
            }
            (Id::ServerKeepAlive, Value::U16(v)) => self.server_keep_alive = Some(v),
            (Id::ReceiveMaximum, Value::U16(v)) => self.receive_maximum = Some(v),
            (Id::TopicAliasMaximum, Value::U16(v)) => self.topic_alias_maximum = Some(v),
            (Id::TopicAlias, Value::U16(v)) => self.topic_alias = Some(v),
            (Id::MessageExpiryInterval, Value::U32(v)) => self.message_expiry_interval = Some(v),
            (Id::SessionExpiryInterval, Value::U32(v)) => self.session_expiry_interval = Some(v),
            (Id::WillDelayInterval, Value::U32(v)) => self.will_delay_interval = Some(v),
            (Id::MaximumPacketSize, Value::U32(v)) => self.maximum_packet_size = Some(v),
            (Id::SubscriptionIdentifier, Value::VarInt(v)) => self.subscription_identifiers.push(v),
            (Id::CorrelationData, Value::Binary(v)) => {
                self.correlation_data = Some(share(frame, v))
            }
            (Id::AuthenticationData, Value::Binary(v)) => {
                self.authentication_data = Some(share(frame, v));
            }
            (Id::UserProperty, Value::Pair(name, value)) => {
                self.user_properties
                    .push((share_checked(frame, name), share_checked(frame, value)));
            }
            (id, Value::String(v)) => {
                if let Some(field) = self.string(id) {
                    *field = Some(share_checked(frame, v));
                }
            }
            _ => {}
        }
    }

    fn string(&mut self, id: PropertyId) -> Option<&mut Option<ByteString>> {
        Some(match id {
            PropertyId::ContentType => &mut self.content_type,
            PropertyId::ResponseTopic => &mut self.response_topic,
            PropertyId::AssignedClientIdentifier => &mut self.assigned_client_identifier,
            PropertyId::AuthenticationMethod => &mut self.authentication_method,
            PropertyId::ResponseInformation => &mut self.response_information,
            PropertyId::ServerReference => &mut self.server_reference,
            PropertyId::ReasonString => &mut self.reason_string,
            _ => return None,
        })
    }

    /// Calls `each` with every property, in the order of their identifiers.
    fn for_each<'a>(&'a self, mut each: impl FnMut(PropertyId, PropertyValue<'a>)) {
        use PropertyId as Id;
        use PropertyValue as Value;
        let byte = |v: Option<bool>| v.map(|v| Value::Byte(u8::from(v)));
        let text = |v: &'a Option<ByteString>| v.as_deref().map(Value::String);
        let bytes = |v: &'a Option<Bytes>| v.as_deref().map(Value::Binary);
        let mut one = |id, value: Option<Value<'a>>| {
            if let Some(value) = value {
                each(id, value);
            }
        };
        one(Id::PayloadFormatIndicator, self.payload_format_indicator.map(Value::Byte));
        one(Id::MessageExpiryInterval, self.message_expiry_interval.map(Value::U32));
        one(Id::ContentType, text(&self.content_type));
        one(Id::ResponseTopic, text(&self.response_topic));
        one(Id::CorrelationData, bytes(&self.correlation_data));
        for id in &self.subscription_identifiers {
            one(Id::SubscriptionIdentifier, Some(Value::VarInt(*id)));
        }
        one(Id::SessionExpiryInterval, self.session_expiry_interval.map(Value::U32));
        one(Id::AssignedClientIdentifier, text(&self.assigned_client_identifier));
        one(Id::ServerKeepAlive, self.server_keep_alive.map(Value::U16));
        one(Id::AuthenticationMethod, text(&self.authentication_method));
        one(Id::AuthenticationData, bytes(&self.authentication_data));
        one(Id::RequestProblemInformation, byte(self.request_problem_information));
        one(Id::WillDelayInterval, self.will_delay_interval.map(Value::U32));
        one(Id::RequestResponseInformation, byte(self.request_response_information));
        one(Id::ResponseInformation, text(&self.response_information));
        one(Id::ServerReference, text(&self.server_reference));
        one(Id::ReasonString, text(&self.reason_string));
        one(Id::ReceiveMaximum, self.receive_maximum.map(Value::U16));
        one(Id::TopicAliasMaximum, self.topic_alias_maximum.map(Value::U16));
        one(Id::TopicAlias, self.topic_alias.map(Value::U16));
        one(Id::MaximumQoS, self.maximum_qos.map(|qos| Value::Byte(qos as u8)));
        one(Id::RetainAvailable, byte(self.retain_available));
        for (name, value) in &self.user_properties {
            one(Id::UserProperty, Some(Value::Pair(name, value)));
        }
        one(Id::MaximumPacketSize, self.maximum_packet_size.map(Value::U32));
        one(Id::WildcardSubscriptionAvailable, byte(self.wildcard_subscription_available));
        one(Id::SubscriptionIdentifierAvailable, byte(self.subscription_identifier_available));
        one(Id::SharedSubscriptionAvailable, byte(self.shared_subscription_available));
    }
}

impl Properties {
    /// None.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.as_deref().is_none_or(|values| *values == NONE)
    }

    /// The memory that they take, in bytes; 0 where there are none.
    pub fn size(&self) -> usize {
        self.0.as_deref().map_or(0, PropertyValues::size)
    }

    /// The same in memory of their own: what was decoded shares that of its
    /// whole packet, and keeps it.
    pub fn detached(&self) -> Self {
        Self(self.0.as_ref().map(|values| Box::new(values.detached())))
    }

    /// The values, to be changed.
    pub fn make_mut(&mut self) -> &mut PropertyValues {
        self.0.get_or_insert_default()
    }

    /// Reads the length and the properties behind it.
    pub(crate) fn decode(
        frame: &Bytes,
        reader: &mut Reader<'_>,
        place: Place,
    ) -> Result<Self, DecodeError> {
        let raw = raw(reader)?;
        let mut properties = Self::new();
        if !raw.is_empty() {
            let values = properties.make_mut();
            let reader = Reader::limited(raw, reader.max_user_properties());
            property::read_all(reader, place, |id, value| values.set(frame, id, value))?;
        }
        Ok(properties)
    }

    /// Writes the length and the properties, checked against the table.
    pub(crate) fn encode(&self, place: Place, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.is_empty() {
            out.push(0);
            return Ok(());
        }
        if self.subscription_identifiers.len() > 1 && place != Place::Packet(PacketType::Publish) {
            return Err(EncodeError::Property(PropertyId::SubscriptionIdentifier));
        }
        writer::properties(out, |out| {
            let mut result = Ok(());
            self.for_each(|id, value| {
                if result.is_ok() {
                    result = put(out, id, value, place);
                }
            });
            result
        })
    }
}

/// Writes one property.
fn put(
    out: &mut Vec<u8>,
    id: PropertyId,
    value: PropertyValue<'_>,
    place: Place,
) -> Result<(), EncodeError> {
    property::check(id, value, place)?;
    out.push(id as u8);
    match value {
        PropertyValue::Byte(v) => out.push(v),
        PropertyValue::U16(v) => put_u16(out, v),
        PropertyValue::U32(v) => put_u32(out, v),
        PropertyValue::VarInt(v) => put_varint(out, v),
        PropertyValue::String(v) => put_str(out, v)?,
        PropertyValue::Binary(v) => put_binary(out, v)?,
        PropertyValue::Pair(name, value) => {
            put_str(out, name)?;
            put_str(out, value)?;
        }
    }
    Ok(())
}

fn raw<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let len = reader.varint()?;
    reader.take(usize::try_from(len).unwrap_or(usize::MAX))
}

impl Deref for Properties {
    type Target = PropertyValues;

    fn deref(&self) -> &PropertyValues {
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl PartialEq for Properties {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Properties {}

impl From<PropertyValues> for Properties {
    fn from(values: PropertyValues) -> Self {
        Self(Some(Box::new(values)))
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        self.for_each(|id, value| {
            map.entry(&id, &value);
        });
        map.finish()
    }
}

/// The properties of a PUBLISH in a read buffer, checked, not copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PropertiesView<'a> {
    raw: &'a [u8],
}

impl<'a> PropertiesView<'a> {
    pub(crate) fn decode(reader: &mut Reader<'a>, place: Place) -> Result<Self, DecodeError> {
        let raw = raw(reader)?;
        if !raw.is_empty() {
            let reader = Reader::limited(raw, reader.max_user_properties());
            property::read_all(reader, place, |_, _| {})?;
        }
        Ok(Self { raw })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// The encoded properties, without the length before them.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.raw
    }

    /// The properties in their order.
    pub fn iter(&self) -> impl Iterator<Item = (PropertyId, PropertyValue<'a>)> + use<'a> {
        let mut reader = Reader::new(self.raw);
        std::iter::from_fn(
            move || {
                if reader.is_empty() { None } else { property::read(&mut reader).ok() }
            },
        )
    }

    /// The value of the first one of this kind.
    #[inline]
    pub fn get(&self, wanted: PropertyId) -> Option<PropertyValue<'a>> {
        // Mostly there are none.
        if self.raw.is_empty() { None } else { self.find(wanted) }
    }

    fn find(&self, wanted: PropertyId) -> Option<PropertyValue<'a>> {
        self.iter().find(|(id, _)| *id == wanted).map(|(_, value)| value)
    }

    /// An owned copy.
    pub fn to_owned(&self) -> Properties {
        let mut properties = Properties::new();
        if !self.raw.is_empty() {
            let frame = Bytes::copy_from_slice(self.raw);
            let mut reader = Reader::new(&frame);
            let values = properties.make_mut();
            while let Ok((id, value)) = property::read(&mut reader) {
                values.set(&frame, id, value);
            }
        }
        properties
    }
}
