//! A message as it stands in a request.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use latchlight_mqtt::QoS;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::ApiError;
use crate::messages::{LONGEST_LIFE, NewMessage, To};

/// `{"topic", "payload", …}`, or `{"imei", "micro_op"}` as the older services
/// take it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a message, which is a JSON object")]
#[schema(as = NewMessage, example = json!({ "topic": "messages/garden", "payload": "water the roses" }))]
pub(super) struct MessageBody {
    /// Where to; a topic, or an `imei`.
    #[schema(min_length = 1, max_length = 1024)]
    topic: Option<String>,
    /// In place of a topic: the level that follows `messages.imei_prefix`.
    #[schema(value_type = Option<String>)]
    imei: Option<Imei>,
    /// A text, which is sent without its quotes, or any other JSON.
    #[schema(value_type = Option<Value>)]
    payload: Option<Box<RawValue>>,
    /// In its place: bytes, in base64.
    payload_base64: Option<String>,
    /// In its place, as the older services have it.
    #[schema(value_type = Option<Value>)]
    micro_op: Option<Box<RawValue>>,
    /// How often it comes.
    #[serde(default = "at_least_once", deserialize_with = "qos")]
    #[schema(value_type = u8, minimum = 0, maximum = 2)]
    qos: QoS,
    /// Whether the broker is to keep it.
    #[serde(default)]
    retain: bool,
    /// A media type.
    content_type: Option<String>,
    /// In seconds: after that it is of no use.
    #[serde(default, deserialize_with = "seconds")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 31_622_400)]
    expires_in: Option<u32>,
    /// User properties.
    #[serde(default)]
    properties: BTreeMap<String, String>,
    /// Whether it waits while the broker is away.
    #[serde(default)]
    queue: bool,
}

/// Some write it as a number.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "it is a text, or a whole number that is not negative")]
enum Imei {
    Text(String),
    Number(u64),
}

fn at_least_once() -> QoS {
    QoS::AtLeastOnce
}

fn qos<'de, D: Deserializer<'de>>(deserializer: D) -> Result<QoS, D::Error> {
    let value = Value::deserialize(deserializer)?;
    match value.as_u64() {
        Some(0) => Ok(QoS::AtMostOnce),
        Some(1) => Ok(QoS::AtLeastOnce),
        Some(2) => Ok(QoS::ExactlyOnce),
        _ => Err(D::Error::custom("it is 0, 1 or 2")),
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    if value.is_null() {
        return Ok(None);
    }
    let seconds = value.as_u64().filter(|seconds| (1..=LONGEST_LIFE.into()).contains(seconds));
    let seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok());
    let wrong = || D::Error::custom(format!("it is 1 to {LONGEST_LIFE} seconds, which is a year"));
    seconds.map(Some).ok_or_else(wrong)
}

impl MessageBody {
    /// The message that is meant.
    pub(super) fn into_message(self) -> Result<NewMessage, ApiError> {
        let invalid = |why: &str| ApiError::Invalid(why.to_owned());
        let to = match (self.topic, self.imei) {
            (Some(topic), None) => To::Topic(topic),
            (None, Some(Imei::Text(imei))) => To::Imei(imei),
            (None, Some(Imei::Number(imei))) => To::Imei(imei.to_string()),
            (None, None) => {
                return Err(invalid("there is no topic and no imei: one of them is needed"));
            }
            (Some(_), Some(_)) => {
                return Err(invalid("there is a topic and an imei: only one of them is taken"));
            }
        };
        let payload = match (self.payload, self.micro_op, self.payload_base64) {
            (Some(payload), None, None) => bytes_of("payload", &payload)?,
            (None, Some(micro_op), None) => bytes_of("micro_op", &micro_op)?,
            (None, None, Some(base64)) => {
                let why = "payload_base64: it is not base64, as in RFC 4648 with `+`, `/` and `=`";
                STANDARD.decode(base64).map_err(|_| invalid(why))?.into()
            }
            (None, None, None) => {
                let none = "there is no payload, payload_base64 or micro_op: one of them is needed";
                return Err(invalid(none));
            }
            _ => {
                let more = "there is more than one of payload, payload_base64 and micro_op: only one of \
                            them is taken";
                return Err(invalid(more));
            }
        };
        Ok(NewMessage {
            to,
            payload,
            qos: self.qos,
            retain: self.retain,
            content_type: self.content_type,
            properties: self.properties.into_iter().collect(),
            expires_in: self.expires_in,
            queue: self.queue,
        })
    }
}

/// A text without its quotes; anything else as the JSON that it is.
fn bytes_of(name: &str, value: &RawValue) -> Result<Bytes, ApiError> {
    let json = value.get();
    if !json.starts_with('"') {
        return Ok(Bytes::copy_from_slice(json.as_bytes()));
    }
    let text: String = serde_json::from_str(json)
        .map_err(|error| ApiError::Invalid(format!("{name}: {error}")))?;
    Ok(text.into())
}
