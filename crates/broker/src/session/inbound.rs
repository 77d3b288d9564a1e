//! What a client has said, counted, and what it is in the middle of saying: QoS
//! 2 messages that it has not released. They outlive a connection, so that
//! nothing is taken twice.

use latchlight_mqtt::{PacketId, ReasonCode};
use rustc_hash::FxHashSet;

use crate::seldom::Seldom;
use crate::traffic::OwnTraffic;

/// What came from a client, and its unreleased QoS 2 messages.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    unreleased: Seldom<FxHashSet<PacketId>>,
    /// By all its connections.
    pub(crate) received: OwnTraffic,
}

impl Inbound {
    /// Whether a QoS 2 message was taken before [MQTT-4.3.3-10].
    pub(crate) fn was_taken(&self, id: PacketId) -> bool {
        self.unreleased.contains(&id)
    }

    /// Whether the client has more open than it may [MQTT-3.3.4-9].
    pub(crate) fn is_full(&self, receive_maximum: u16) -> bool {
        self.unreleased.len() >= usize::from(receive_maximum)
    }

    /// A QoS 2 message was taken.
    pub(crate) fn take(&mut self, id: PacketId) {
        self.unreleased.insert(id);
    }

    /// What it takes for those that are not open any more goes.
    pub(crate) fn rest(&mut self) {
        self.unreleased.rest();
    }

    /// All that were taken and not released.
    pub(crate) fn iter(&self) -> impl Iterator<Item = PacketId> {
        self.unreleased.iter().copied()
    }

    /// PUBREL: the reason for PUBCOMP.
    pub(crate) fn release(&mut self, id: PacketId) -> ReasonCode {
        if self.was_taken(id) {
            self.unreleased.remove(&id);
            ReasonCode::Success
        } else {
            ReasonCode::PacketIdentifierNotFound
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_until_it_is_released() {
        let id = PacketId::new(7).expect("not 0");
        let mut inbound = Inbound::default();
        assert!(!inbound.was_taken(id));
        inbound.take(id);
        assert!(inbound.was_taken(id));
        assert!(inbound.is_full(1) && !inbound.is_full(2));
        assert_eq!(inbound.release(id), ReasonCode::Success);
        assert_eq!(inbound.release(id), ReasonCode::PacketIdentifierNotFound);
        assert!(!inbound.was_taken(id));
    }
}
