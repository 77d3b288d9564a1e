//! The keys: the session's number (0: of no session), the kind, the rest.

use latchlight_mqtt::{PacketId, TopicFilter};

/// What a key is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Format = 0,
    Session = 1,
    Subscription = 2,
    Message = 3,
    Unreleased = 4,
    Will = 5,
    Retained = 6,
}

/// Of no session.
const NO_SESSION: u64 = 0;

/// Beyond all numbers that are given, of sessions and of messages: what is
/// counted on from a store that is torn does not run over.
const BEYOND: u64 = 1 << 63;

pub(super) type Key = Box<[u8]>;

pub(super) fn format() -> Key {
    key(NO_SESSION, Kind::Format, &[])
}

pub(super) fn session(number: u64) -> Key {
    key(number, Kind::Session, &[])
}

pub(super) fn subscription(number: u64, filter: &TopicFilter) -> Key {
    key(number, Kind::Subscription, filter.as_str().as_bytes())
}

pub(super) fn message(number: u64, sequence: u64) -> Key {
    key(number, Kind::Message, &sequence.to_be_bytes())
}

pub(super) fn unreleased(number: u64, id: PacketId) -> Key {
    key(number, Kind::Unreleased, &id.get().to_be_bytes())
}

pub(super) fn will(number: u64) -> Key {
    key(number, Kind::Will, &[])
}

pub(super) fn retained(topic: &str) -> Key {
    key(NO_SESSION, Kind::Retained, topic.as_bytes())
}

fn key(number: u64, kind: Kind, rest: &[u8]) -> Key {
    [&number.to_be_bytes()[..], &[kind as u8], rest].concat().into()
}

/// A key taken apart; nothing: it is none of ours.
pub(super) fn split(key: &[u8]) -> Option<(u64, Kind, &[u8])> {
    let (number, rest) = key.split_first_chunk::<8>()?;
    let (kind, rest) = rest.split_first()?;
    let kind = match kind {
        0 => Kind::Format,
        1 => Kind::Session,
        2 => Kind::Subscription,
        3 => Kind::Message,
        4 => Kind::Unreleased,
        5 => Kind::Will,
        6 => Kind::Retained,
        _ => return None,
    };
    Some((number_of(*number)?, kind, rest))
}

/// A number that may have been given.
pub(super) fn number_of(bytes: [u8; 8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes)).filter(|number| *number < BEYOND)
}
