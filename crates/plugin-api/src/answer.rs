//! What an action gives back.

use serde::{Deserialize, Serialize};

use crate::Reply;

/// What an action has to say. It may be nothing: then the caller is told
/// `ok <word>`, and nothing else is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// For the caller, after `ok <word>`.
    pub text: Option<String>,
    /// To topics that config.json grants the plugin.
    pub replies: Vec<Reply>,
}

impl Answer {
    /// It was done, and there is no more to say.
    pub fn done() -> Self {
        Self::default()
    }

    /// It was done, and this is what the caller is told of it.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }
}

/// It was done, and these messages are sent.
impl From<Vec<Reply>> for Answer {
    fn from(replies: Vec<Reply>) -> Self {
        Self { replies, ..Self::default() }
    }
}
