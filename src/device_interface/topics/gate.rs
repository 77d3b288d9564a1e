//! The one outbound gate.
//!
//! A [`Destination`] can only be made here. The one of a command takes a
//! [`Dispatch`], which only `commands/` can make; every other one is refused
//! where it would reach a device as a command, or come back to the server.

use super::Topics;
use crate::commands::Dispatch;
use crate::device_interface::topic_rules::shown;
use crate::identity::Identity;
use crate::state::{Device, DeviceId};

/// A topic that the server may publish to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination(String);

/// A command on its way: where to, what, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandMessage {
    /// The device's `down`.
    pub topic: Destination,
    /// `lock <command> <expires>`.
    pub payload: String,
}

/// What the server says to a device beside commands: it can never be read as
/// one, for the first word is one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerWord {
    /// It was done.
    Ok,
    /// It was not done.
    Error,
    /// There is no such action.
    Unknown,
    /// Say your state.
    Report,
    /// An alert, for a device that asked for them.
    Alert,
}

/// Why the gate stays shut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Only commands go there.
    #[error("`{0}` is a device's command topic: only commands go there")]
    CommandTopic(String),
    /// The server alone speaks there.
    #[error("`{0}` is the server's own")]
    Reserved(String),
    /// What is published there would come back.
    #[error("the server listens on `{0}`, so it does not publish there")]
    Listening(String),
    /// It is no topic name.
    #[error("`{0}` is not a topic name")]
    NotATopic(String),
}

impl Destination {
    /// The topic's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AnswerWord {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Unknown => "unknown",
            Self::Report => "report",
            Self::Alert => "alert",
        }
    }
}

impl Topics {
    /// For a command: `commands/` alone can make a [`Dispatch`].
    pub fn command(&self, device: &Device, dispatch: &Dispatch) -> CommandMessage {
        CommandMessage { topic: Destination(self.down(device)), payload: dispatch.to_string() }
    }

    /// For an answer to a device or a request to report.
    pub fn answer(&self, device: &Device, word: AnswerWord, rest: &str) -> (Destination, String) {
        (Destination(self.down(device)), join(word, rest))
    }

    /// For an answer to somebody who spoke on a device's `up`, and is not
    /// in the roster or just joins.
    pub fn answer_stranger(
        &self,
        id: &DeviceId,
        word: AnswerWord,
        rest: &str,
    ) -> (Destination, String) {
        let down = match self.settled.get(id.as_str()) {
            Some(pair) => pair.down.clone(),
            None => format!("{}/devices/{id}/down", self.prefix),
        };
        (Destination(down), join(word, rest))
    }

    /// For an answer to an app.
    pub fn answer_app(
        &self,
        app: &Identity,
        word: AnswerWord,
        rest: &str,
    ) -> (Destination, String) {
        (Destination(format!("{}/apps/{app}/down", self.prefix)), join(word, rest))
    }

    /// For an answer to somebody who has shown a join code.
    pub fn answer_joining(
        &self,
        id: &DeviceId,
        word: AnswerWord,
        rest: &str,
    ) -> (Destination, String) {
        (Destination(format!("{}/join/{id}/down", self.prefix)), join(word, rest))
    }

    /// For the retained state of a device.
    pub fn device_state(&self, id: &DeviceId) -> Destination {
        Destination(format!("{}/devices/{id}/state", self.prefix))
    }

    /// For an alert.
    ///
    /// # Errors
    /// `what` is not one level of a topic.
    pub fn alert(&self, what: &str) -> Result<Destination, Refused> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
        if (1..=64).contains(&what.len()) && what.bytes().all(fits) {
            Ok(Destination(format!("{}/alerts/{what}", self.prefix)))
        } else {
            Err(Refused::NotATopic(shown(what)))
        }
    }

    /// For the server's own presence.
    pub fn server_online(&self) -> Destination {
        Destination(format!("{}/server/online", self.prefix))
    }

    /// For everything that somebody else chose the topic of: action
    /// replies, plugins, the message gateway.
    ///
    /// # Errors
    /// The topic is a device's command topic, the server's own, one on which
    /// the server listens, or none at all.
    pub fn reply(&self, topic: &str) -> Result<Destination, Refused> {
        if latchlight_mqtt::TopicName::try_from(topic).is_err() || topic.starts_with('$') {
            return Err(Refused::NotATopic(shown(topic)));
        }
        self.refuse_reserved(topic)?;
        if self.source(topic).is_some() {
            return Err(Refused::Listening(shown(topic)));
        }
        Ok(Destination(topic.to_owned()))
    }
}

fn join(word: AnswerWord, rest: &str) -> String {
    let word = word.as_str();
    if rest.is_empty() { word.to_owned() } else { format!("{word} {rest}") }
}
