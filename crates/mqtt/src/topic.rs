//! Topic names and topic filters.

use std::fmt;

use bytestring::ByteString;

/// What was offered as a topic name or filter and is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopic {
    /// [MQTT-4.7.3-1]
    #[error("a topic has at least one character")]
    Empty,
    /// [MQTT-4.7.3-3]
    #[error("a topic has at most 65,535 bytes")]
    TooLong,
    /// [MQTT-4.7.3-2]
    #[error("a topic has no U+0000")]
    Null,
    /// [MQTT-3.3.2-2]
    #[error("a topic name has no wildcards")]
    Wildcard,
    /// [MQTT-4.7.1-1]
    #[error("`#` stands alone, as the last level")]
    MultiLevel,
    /// [MQTT-4.7.1-2]
    #[error("`+` fills a whole level")]
    SingleLevel,
    /// [MQTT-4.8.2-1], [MQTT-4.8.2-2]
    #[error("a shared subscription is `$share/<name>/<filter>`, the name without wildcards")]
    Share,
}

/// The name of a topic: what a message is published to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName(ByteString);

/// A topic filter: what a client subscribes to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicFilter(ByteString);

/// Checks a topic name without making one.
pub(crate) fn check_name(name: &str) -> Result<(), InvalidTopic> {
    match name.len() {
        1..=65_535 if !has_forbidden(name.as_bytes()) => Ok(()),
        _ => check_text(name).and(Err(InvalidTopic::Wildcard)),
    }
}

/// Whether a byte is `+`, `#` or 0, none of which a topic name has. It runs
/// for each PUBLISH, so eight bytes are looked at together.
#[inline]
pub(crate) fn has_forbidden(bytes: &[u8]) -> bool {
    let forbidden = |byte: &u8| matches!(byte, 0 | b'+' | b'#');
    let (words, rest) = bytes.as_chunks::<8>();
    let mut found = 0;
    for word in words {
        let word = u64::from_ne_bytes(*word);
        found |= zero_bytes(word) | zero_bytes(word ^ PLUSES) | zero_bytes(word ^ HASHES);
    }
    found != 0 || rest.iter().any(forbidden)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const PLUSES: u64 = ONES * b'+' as u64;
const HASHES: u64 = ONES * b'#' as u64;

/// Not 0 if, and only if, a byte of the word is 0.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

fn check_text(text: &str) -> Result<(), InvalidTopic> {
    match text.len() {
        0 => Err(InvalidTopic::Empty),
        1..=65_535 if text.as_bytes().contains(&0) => Err(InvalidTopic::Null),
        1..=65_535 => Ok(()),
        _ => Err(InvalidTopic::TooLong),
    }
}

fn check_filter(filter: &str) -> Result<(), InvalidTopic> {
    check_text(filter)?;
    if let Some(shared) = filter.strip_prefix("$share/") {
        let (name, rest) = shared.split_once('/').ok_or(InvalidTopic::Share)?;
        if name.is_empty() || name.contains(['+', '#']) || rest.is_empty() {
            return Err(InvalidTopic::Share);
        }
        return check_levels(rest);
    }
    check_levels(filter)
}

fn check_levels(filter: &str) -> Result<(), InvalidTopic> {
    // Without wildcards, every level will do.
    if !has_forbidden(filter.as_bytes()) {
        return Ok(());
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Err(InvalidTopic::MultiLevel);
        }
        if level.contains('+') && level != "+" {
            return Err(InvalidTopic::SingleLevel);
        }
    }
    Ok(())
}

impl TopicName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as shared bytes.
    pub fn as_byte_string(&self) -> &ByteString {
        &self.0
    }

    /// The levels between the slashes; some may be empty.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl TopicFilter {
    /// The whole filter, with `$share/<name>/` where it is shared.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The share name and the filter behind it, where it is a shared
    /// subscription (MQTT 5, 4.8.2).
    pub fn shared(&self) -> Option<(&str, &str)> {
        self.0.strip_prefix("$share/")?.split_once('/')
    }

    /// What topics are matched against: without `$share/<name>/`.
    pub fn filter(&self) -> &str {
        self.shared().map_or(&self.0, |(_, filter)| filter)
    }

    /// Whether any level is a wildcard.
    pub fn has_wildcards(&self) -> bool {
        self.filter().contains(['+', '#'])
    }

    /// Whether a topic of this name is meant (MQTT 5, 4.7).
    pub fn matches(&self, name: &str) -> bool {
        matches(self.filter(), name)
    }
}

fn matches(filter: &str, name: &str) -> bool {
    // [MQTT-4.7.2-1]: a leading wildcard does not match `$SYS` and alike.
    if name.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let (mut filter, mut name) = (filter.split('/'), name.split('/'));
    loop {
        match (filter.next(), name.next()) {
            // `#` matches the level above it as well.
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
}

macro_rules! text {
    ($type:ident, $check:ident) => {
        impl TryFrom<ByteString> for $type {
            type Error = InvalidTopic;

            fn try_from(text: ByteString) -> Result<Self, Self::Error> {
                $check(&text)?;
                Ok(Self(text))
            }
        }

        impl TryFrom<&str> for $type {
            type Error = InvalidTopic;

            fn try_from(text: &str) -> Result<Self, Self::Error> {
                $check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidTopic;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::try_from(ByteString::from(text))
            }
        }

        impl From<$type> for ByteString {
            fn from(topic: $type) -> Self {
                topic.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(TopicName, check_name);
text!(TopicFilter, check_filter);
