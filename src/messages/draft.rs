//! A message that somebody wants to send: checked once, here.

use std::sync::Arc;

use bytes::Bytes;
use latchlight_mqtt::{InvalidTopic, QoS, TopicFilter, TopicName};

use super::InvalidDraft;
use crate::config::MessageSettings;
use crate::device_interface::link::GATEWAY_ID;
use crate::device_interface::topics::{Destination, Refused, Topics};

/// The longest topic, in bytes.
const LONGEST_TOPIC: usize = 1024;

/// The longest content type, and name or value of a property, in bytes.
const LONGEST_TEXT: usize = 1024;

/// How many properties a message may have.
const MOST_PROPERTIES: usize = 32;

/// What is said of other texts than those.
const PLAIN: &str = "no control characters, and none that Unicode calls noncharacters";

/// The longest life of a message, in seconds: a year.
pub const LONGEST_LIFE: u32 = 366 * 24 * 60 * 60;

/// Where a message is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// A topic.
    Topic(String),
    /// The topic of whoever has this IMEI.
    Imei(String),
}

/// A message as it was asked for.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Where.
    pub to: To,
    /// What.
    pub payload: Bytes,
    /// How often it comes.
    pub qos: QoS,
    /// Whether the broker is to keep it.
    pub retain: bool,
    /// A media type.
    pub content_type: Option<String>,
    /// Names and values.
    pub properties: Vec<(String, String)>,
    /// In seconds.
    pub expires_in: Option<u32>,
    /// Whether it waits where the broker is away.
    pub queue: bool,
}

/// A message that can be sent.
#[derive(Debug, Clone)]
pub struct Draft {
    pub(super) topic: Arc<str>,
    pub(super) device: Option<String>,
    pub(super) new: NewMessage,
}

/// What is a message, and where it may go.
pub(super) struct Rules {
    allowed: Vec<TopicFilter>,
    imei_prefix: String,
    max_bytes: usize,
    topics: Arc<Topics>,
    /// Whether messages may have properties.
    has_properties: bool,
}

impl Draft {
    /// Where it is to go.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// What is to be sent.
    pub fn payload(&self) -> &Bytes {
        &self.new.payload
    }
}

impl Rules {
    pub(super) fn new(
        settings: &MessageSettings,
        topics: Arc<Topics>,
        has_properties: bool,
    ) -> Self {
        let filters = settings.topics.iter();
        Self {
            allowed: filters.filter_map(|f| TopicFilter::try_from(f.as_str()).ok()).collect(),
            imei_prefix: settings.imei_prefix.clone(),
            max_bytes: settings.max_bytes,
            topics,
            has_properties,
        }
    }

    /// A message that can be sent.
    pub(super) fn check(&self, new: NewMessage) -> Result<Draft, InvalidDraft> {
        let topic = self.topic(&new.to)?;
        self.destination(&topic)?;
        if new.payload.len() > self.max_bytes {
            return Err(unfit(format!("a payload has at most {} bytes", self.max_bytes)));
        }
        self.check_properties(&new)?;
        let device = self.device_of(&topic);
        Ok(Draft { topic: topic.into(), device, new })
    }

    /// Where messages on this topic go, as it is now: the settings of an earlier
    /// run, and who listened there, may have been others.
    pub(super) fn destination(&self, topic: &str) -> Result<Destination, InvalidDraft> {
        if !self.allowed.iter().any(|filter| filter.matches(topic)) {
            return Err(InvalidDraft::NotAllowed(shown(topic)));
        }
        self.topics.reply(topic).map_err(|refused| match refused {
            Refused::NotATopic(why) => unfit(format!("`{why}` is no topic")),
            refused => InvalidDraft::Reserved(refused),
        })
    }

    /// Whose topic this is, where it is one of an IMEI.
    pub(super) fn device_of(&self, topic: &str) -> Option<String> {
        let rest = topic.strip_prefix(&self.imei_prefix)?;
        (!rest.is_empty() && !rest.contains('/')).then(|| rest.to_owned())
    }

    fn topic(&self, to: &To) -> Result<String, InvalidDraft> {
        let topic = match to {
            To::Topic(topic) => topic.clone(),
            To::Imei(imei) if imei.is_empty() || imei.contains('/') => {
                return Err(unfit("an imei is one level of a topic".to_owned()));
            }
            To::Imei(imei) => format!("{}{imei}", self.imei_prefix),
        };
        if topic.len() > LONGEST_TOPIC {
            return Err(unfit(format!("a topic has at most {LONGEST_TOPIC} bytes")));
        }
        if topic.starts_with('$') {
            return Err(unfit("what begins with `$` is the broker's own".to_owned()));
        }
        let checked = TopicName::try_from(topic.as_str());
        checked.map_err(|error: InvalidTopic| unfit(error.to_string()))?;
        if !is_plain(&topic) {
            return Err(unfit(format!("a topic has {PLAIN}")));
        }
        Ok(topic)
    }

    fn check_properties(&self, new: &NewMessage) -> Result<(), InvalidDraft> {
        let NewMessage { content_type, properties, .. } = new;
        if !self.has_properties && (content_type.is_some() || !properties.is_empty()) {
            return Err(unfit(
                "the broker is spoken to in MQTT 3.1.1, which knows no content_type and no \
                 properties"
                    .to_owned(),
            ));
        }
        if properties.len() > MOST_PROPERTIES {
            return Err(unfit(format!("a message has at most {MOST_PROPERTIES} properties")));
        }
        if properties.iter().any(|(name, _)| name == GATEWAY_ID) {
            return Err(unfit(format!("the property `{GATEWAY_ID}` is the server's to set")));
        }
        let of_type = content_type.iter().map(|text| ("content_type", text));
        let names = properties.iter().map(|(name, _)| ("the name of a property", name));
        let values = properties.iter().map(|(_, value)| ("the value of a property", value));
        for (what, text) in of_type.chain(names).chain(values) {
            if text.len() > LONGEST_TEXT {
                return Err(unfit(format!("{what} has at most {LONGEST_TEXT} bytes")));
            }
            if !is_plain(text) {
                return Err(unfit(format!("{what} has {PLAIN}")));
            }
        }
        Ok(())
    }
}

/// Whether every broker takes this text. Some close the connection on which it
/// comes ([MQTT-1.5.4-2] has them do so for U+0000 alone), and it is the one that
/// the devices are reached by.
fn is_plain(text: &str) -> bool {
    let is_none = |c: char| {
        c.is_control() || ('\u{FDD0}'..='\u{FDEF}').contains(&c) || u32::from(c) & 0xFFFE == 0xFFFE
    };
    !text.contains(is_none)
}

fn unfit(why: String) -> InvalidDraft {
    InvalidDraft::Unfit(why)
}

fn shown(topic: &str) -> String {
    topic.chars().take(120).flat_map(char::escape_default).collect()
}
