//! The name of a person or an app.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Who an app is: 1 to 64 of letters, digits, `.`, `_`, `@` and `-`, so that
/// it can stand in a topic and in a log line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(Arc<str>);

/// What was offered as an identity and is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 64 of letters, digits, `.`, `_`, `@` and `-`")]
pub struct InvalidIdentity;

impl Identity {
    /// Whether it is free for an account: it stands for nobody else in records,
    /// and looks like nobody's id.
    pub fn is_free_for_accounts(&self) -> bool {
        let taken = ["operator", "local", "server", "nobody", "me", ".", ".."];
        !taken.iter().any(|taken| self.0.eq_ignore_ascii_case(taken))
            && uuid::Uuid::try_parse(&self.0).is_err()
    }

    /// The name as it stands in topics and records.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Identity {
    type Err = InvalidIdentity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidIdentity)
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
