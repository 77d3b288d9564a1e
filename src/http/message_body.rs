//! A message as it stands in a request.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use latchlight_mqtt::QoS;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::ApiError;
use crate::messages::{NewMessage, To};

/// `{"topic", "payload", …}`, or `{"imei", "micro_op"}` as the older services
/// take it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
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
    #[serde(default = "at_least_once")]
    #[schema(minimum = 0, maximum = 2)]
    qos: u8,
    /// Whether the broker is to keep it.
    #[serde(default)]
    retain: bool,
    /// A media type.
    content_type: Option<String>,
    /// In seconds: after that it is of no use.
    #[schema(minimum = 1, maximum = 31_622_400)]
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
#[serde(untagged)]
enum Imei {
    Text(String),
    Number(u64),
}

fn at_least_once() -> u8 {
    1
}

impl MessageBody {
    /// The message that is meant.
    pub(super) fn into_message(self) -> Result<NewMessage, ApiError> {
        let invalid = |why: &str| ApiError::Invalid(why.to_owned());
        let to = match (self.topic, self.imei) {
            (Some(topic), None) => To::Topic(topic),
            (None, Some(Imei::Text(imei))) => To::Imei(imei),
            (None, Some(Imei::Number(imei))) => To::Imei(imei.to_string()),
            _ => return Err(invalid("a message has a topic, or an imei")),
        };
        let payload = match (self.payload.or(self.micro_op), self.payload_base64) {
            (Some(payload), None) => bytes_of(&payload)?,
            (None, Some(base64)) => {
                let bytes = STANDARD.decode(base64);
                bytes.map_err(|_| invalid("payload_base64: it is not base64"))?.into()
            }
            _ => return Err(invalid("a message has a payload, a payload_base64 or a micro_op")),
        };
        let qos = match self.qos {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            2 => QoS::ExactlyOnce,
            _ => return Err(invalid("qos: 0, 1 or 2")),
        };
        Ok(NewMessage {
            to,
            payload,
            qos,
            retain: self.retain,
            content_type: self.content_type,
            properties: self.properties.into_iter().collect(),
            expires_in: self.expires_in,
            queue: self.queue,
        })
    }
}

/// A text without its quotes; anything else as the JSON that it is.
fn bytes_of(value: &RawValue) -> Result<Bytes, ApiError> {
    let json = value.get();
    if !json.starts_with('"') {
        return Ok(Bytes::copy_from_slice(json.as_bytes()));
    }
    let text: String = serde_json::from_str(json)
        .map_err(|error| ApiError::Invalid(format!("payload: {error}")))?;
    Ok(text.into())
}
