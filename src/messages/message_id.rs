//! The id of a message.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// How many bits of an id count within its millisecond.
const COUNT: u32 = 20;

/// When a message came, in milliseconds, and a count: ids sort by time. As text
/// it has 16 hexadecimal digits, which sort alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, pattern = "^[0-7][0-9a-f]{15}$", example = "19ab3f0c6d2a41c7")]
pub struct MessageId(i64);

/// What was offered as the id of a message and is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the id of a message has 16 hexadecimal digits, such as 19ab3f0c6d2a41c7")]
pub struct InvalidMessageId;

impl MessageId {
    /// The first that a message of this moment, or a later one, can have.
    pub fn first_of(moment: Timestamp) -> Self {
        Self(moment.as_millisecond().clamp(0, i64::MAX >> COUNT) << COUNT)
    }

    /// The one after `last`. It has this time, unless the clock was set back:
    /// the time of messages never goes back.
    pub(super) fn after(last: Self, now: Timestamp) -> Self {
        let now = Self::first_of(now);
        if now <= last {
            return Self(last.0 + 1);
        }
        // Not the first one, so that two servers which begin in the same
        // millisecond do not give the same.
        let begin = Uuid::new_v4().as_u128() & ((1 << (COUNT - 1)) - 1);
        let id = now.0 | i64::try_from(begin).expect("it has 19 bits");
        if id <= last.0 { Self(last.0 + 1) } else { Self(id) }
    }

    /// When the message came.
    pub fn at(self) -> Timestamp {
        Timestamp::from_millisecond(self.0 >> COUNT).unwrap_or(Timestamp::MAX)
    }

    /// As it is in the database.
    pub(super) fn as_i64(self) -> i64 {
        self.0
    }

    /// As it was in the database.
    pub(super) fn of_i64(id: i64) -> Self {
        Self(id)
    }
}

impl FromStr for MessageId {
    type Err = InvalidMessageId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 16 || !text.bytes().all(digits) {
            return Err(InvalidMessageId);
        }
        i64::from_str_radix(text, 16).map(Self).map_err(|_| InvalidMessageId)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for MessageId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_up_whatever_the_clock_does() {
        let now = Timestamp::now();
        let mut last = MessageId(0);
        for moment in [now, now, Timestamp::UNIX_EPOCH, now, Timestamp::MIN] {
            let next = MessageId::after(last, moment);
            assert!(next > last);
            assert!(next.at() >= Timestamp::from_millisecond(now.as_millisecond()).unwrap());
            assert_eq!(next.to_string().parse(), Ok(next));
            last = next;
        }
        assert!(last.at() <= now);
    }

    #[test]
    fn nothing_else_is_an_id() {
        for text in
            ["", "1", "ffffffffffffffff", "19AB3F0C6D2A41C7", "+9ab3f0c6d2a41c7", "é9ab3f0c6d2a41"]
        {
            assert_eq!(text.parse::<MessageId>(), Err(InvalidMessageId), "{text}");
        }
    }
}
