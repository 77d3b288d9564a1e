//! A message as the API shows it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Caller;
use super::{ApiError, Services};
use crate::identity::Scope;
use crate::messages::{Direction, Message, MessageId, MessageState};

/// A message, its payload as text or else in base64.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message)]
pub(super) struct MessageView<'a> {
    /// Its id, which it has with it as the user property `message-id`.
    pub(super) id: MessageId,
    /// Which way it went: `sent` or `received`.
    #[schema(example = "sent")]
    pub(super) direction: &'static str,
    /// What became of it.
    #[schema(example = "sent")]
    pub(super) state: MessageState,
    /// Where it was published, or is to be.
    #[schema(example = "messages/garden")]
    pub(super) topic: &'a str,
    /// The device that it is about.
    #[schema(example = "garden")]
    pub(super) device: Option<&'a str>,
    /// What was sent, where it is a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "water the roses")]
    pub(super) payload: Option<&'a str>,
    /// What was sent, where it is none, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "AP8=")]
    pub(super) payload_base64: Option<String>,
    /// How often it comes.
    #[schema(minimum = 0, maximum = 2, example = 1)]
    pub(super) qos: u8,
    /// Whether the broker is to keep it.
    pub(super) retain: bool,
    /// A media type.
    #[schema(example = "text/plain")]
    pub(super) content_type: Option<&'a str>,
    /// User properties.
    #[schema(value_type = BTreeMap<String, String>, example = json!({}))]
    pub(super) properties: BTreeMap<&'a str, &'a str>,
    /// Who sent it.
    #[schema(example = "app:ann")]
    pub(super) sender: Option<&'a str>,
    /// When it came.
    #[serde(serialize_with = "crate::timestamp::milliseconds")]
    #[schema(value_type = String, format = DateTime)]
    pub(super) at: Timestamp,
    /// From when on it is of no use.
    #[serde(serialize_with = "crate::timestamp::milliseconds_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) expires_at: Option<Timestamp>,
    /// When the broker took it, or it was given up.
    #[serde(serialize_with = "crate::timestamp::milliseconds_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) ended_at: Option<Timestamp>,
    /// Why it was given up.
    #[schema(example = "the broker cannot be reached")]
    pub(super) detail: Option<&'a str>,
}

impl<'a> MessageView<'a> {
    pub(super) fn of(message: &'a Message) -> Self {
        let payload = message.text();
        let properties = message.properties.iter();
        Self {
            id: message.id,
            direction: Direction::from(message.state).as_str(),
            state: message.state,
            topic: &message.topic,
            device: message.device.as_deref(),
            payload,
            payload_base64: payload.is_none().then(|| STANDARD.encode(&message.payload)),
            qos: message.qos as u8,
            retain: message.retain,
            content_type: message.content_type.as_deref(),
            properties: properties.map(|(name, value)| (&**name, &**value)).collect(),
            sender: message.sender.as_deref(),
            at: message.id.at(),
            expires_at: message.expires_at,
            ended_at: message.ended_at,
            detail: message.detail.as_deref(),
        }
    }
}

/// The one account whose messages somebody may see; nothing: they may see all.
pub(super) fn only_of(services: &Services, Caller(principal): &Caller) -> Option<String> {
    let sees_all = services.permissions.may(principal, Scope::MessagesRead).is_ok();
    (!sees_all).then(|| principal.key())
}

/// A message that somebody may see.
pub(super) async fn find(
    services: &Services,
    caller: &Caller,
    id: &str,
) -> Result<Message, ApiError> {
    let missing = || ApiError::NotFound("there is no such message".to_owned());
    let id = id.parse().map_err(|_| missing())?;
    let message = services.messages.get(id).await?.ok_or_else(missing)?;
    match only_of(services, caller) {
        Some(own) if message.account.as_ref() != Some(&own) => Err(missing()),
        _ => Ok(message),
    }
}
