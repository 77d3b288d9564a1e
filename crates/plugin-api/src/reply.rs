//! What an action has the server say.

use serde::{Deserialize, Serialize};

/// A message to a topic of the action's own choice. The server lets none
/// through to a device's command topic, or to a topic of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
}

impl Reply {
    /// A message.
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self { topic: topic.into(), payload: payload.into() }
    }

    /// Reads the text form: the first word is the topic, the rest the payload.
    /// Nothing in it is nothing to send.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_start();
        let (topic, payload) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        if topic.is_empty() { None } else { Some(Self::new(topic, payload)) }
    }
}

#[cfg(test)]
mod tests {
    use super::Reply;

    #[test]
    fn the_first_word_is_the_topic_and_the_rest_the_payload() {
        assert_eq!(Reply::parse("a/b on  now"), Some(Reply::new("a/b", "on  now")));
        assert_eq!(Reply::parse("a/b"), Some(Reply::new("a/b", "")));
        assert_eq!(Reply::parse("  "), None);
    }
}
