//! The packet identifier.

use std::fmt;
use std::num::NonZeroU16;

/// A packet identifier; never 0 ([MQTT-2.2.1-3], 3.1.1: [MQTT-2.3.1-1]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(NonZeroU16);

impl PacketId {
    /// The smallest one.
    pub const MIN: Self = Self(NonZeroU16::MIN);

    /// An identifier, unless it is 0.
    pub fn new(id: u16) -> Option<Self> {
        NonZeroU16::new(id).map(Self)
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0.get()
    }

    /// The one that follows, from 65,535 on to 1.
    #[must_use]
    pub fn next(self) -> Self {
        self.0.checked_add(1).map_or(Self::MIN, Self)
    }
}

impl fmt::Display for PacketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
