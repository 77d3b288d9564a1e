//! A message of the model: what was published, and who has to get it.

use latchlight_mqtt::QoS;

/// Counts the steps of a script.
pub(crate) type Tick = u64;

#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) no: u32,
    pub(crate) topic: usize,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// Who publishes it, in which of its lives.
    pub(crate) sender: (usize, u32),
    /// How often it was sent.
    pub(crate) sends: u32,
    pub(crate) first: Tick,
    pub(crate) taken: Taken,
    /// From here on it may be gone.
    pub(crate) expires: Option<u64>,
    pub(crate) size: usize,
    pub(crate) is_will: bool,
    /// It was sent again, perhaps to a session that did not know it.
    pub(crate) may_come_again: bool,
    /// A will with a delay: it does not come before, in ms.
    pub(crate) not_before: Option<u64>,
    /// Its payload is empty, so that it takes the retained one away.
    pub(crate) clears: bool,
    /// Sessions that have to get it, once it is taken.
    pub(crate) owed: Vec<Owed>,
}

/// What its publisher was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Unknown,
    Yes,
    Refused,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Owed {
    pub(crate) slot: usize,
    pub(crate) life: u32,
}

impl Message {
    /// Its payload: a mark, the number, and what fills it up.
    pub(crate) fn payload(&self) -> Vec<u8> {
        if self.clears {
            return Vec::new();
        }
        let mut payload = vec![b'M'];
        payload.extend_from_slice(&self.no.to_be_bytes());
        payload.resize(self.size.max(5), b'.');
        payload
    }

    pub(crate) fn no_of(payload: &[u8]) -> Option<usize> {
        let [b'M', a, b, c, d, ..] = payload else { return None };
        Some(u32::from_be_bytes([*a, *b, *c, *d]) as usize)
    }
}
