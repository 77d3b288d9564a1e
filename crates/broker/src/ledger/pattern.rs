//! A pattern for client ids and user names: `*` stands for any characters,
//! `%c` and `%u` for the client's own id and user name.

use std::fmt;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::Who;
use super::template::Template;

/// Such a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: String,
    /// What stands between the asterisks.
    pieces: Vec<Template>,
}

/// A pattern that nothing is meant by.
#[derive(Debug, thiserror::Error)]
#[error("a pattern has at least one character")]
pub struct EmptyPattern;

impl TryFrom<String> for Pattern {
    type Error = EmptyPattern;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() {
            return Err(EmptyPattern);
        }
        let pieces = text.split('*').map(Template::parse).collect();
        Ok(Self { text, pieces })
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.text
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Pattern {
    /// Whether a name of this client's is meant.
    pub(super) fn matches(&self, name: &str, who: &Who<'_>) -> bool {
        let pieces: Option<SmallVec<[_; 4]>> =
            self.pieces.iter().map(|piece| piece.resolve(who)).collect();
        let Some(pieces) = pieces else { return false };
        let Some((last, pieces)) = pieces.split_last() else { return false };
        let Some((first, middle)) = pieces.split_first() else { return *last == name };
        let Some(mut rest) = name.strip_prefix(&**first) else { return false };
        for piece in middle {
            // The first place leaves the most for what follows.
            let Some(at) = rest.find(&**piece) else { return false };
            rest = &rest[at + piece.len()..];
        }
        rest.ends_with(&**last)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_asterisk_stands_for_any_characters_and_placeholders_for_the_clients_own() {
        let who = Who {
            client_id: "door.*",
            username: Some("door"),
            address: None,
            certificate: None,
            was_let_in: false,
        };
        for (pattern, matching, other) in [
            ("door", "door", "doors"),
            ("*", "", "\u{0}"),
            ("door*", "door-1", "adoor"),
            ("*door", "front-door", "door-1"),
            ("d*o*r", "door", "do"),
            ("a*a", "aa", "a"),
            ("*ab*ab", "abab", "ab"),
            ("%u", "door", "%u"),
            ("%u.*", "door.1", "door"),
            // What stands for a placeholder is no pattern itself.
            ("%c", "door.*", "door.1"),
        ] {
            let pattern = Pattern::try_from(pattern.to_owned()).unwrap();
            assert!(pattern.matches(matching, &who), "{pattern} {matching}");
            assert!(pattern.text == "*" || !pattern.matches(other, &who), "{pattern} {other}");
        }
        let nobody = Who { username: None, ..who };
        assert!(!Pattern::try_from("%u".to_owned()).unwrap().matches("", &nobody));
        assert!(Pattern::try_from(String::new()).is_err());
    }
}
