//! What a packet passes on its way out where hooks want to see it.

use latchlight_mqtt::{Packet, ProtocolVersion};

use crate::hooks::{Tells, without_secrets};

/// Shows the packets of one connection to the hooks before they go out.
#[derive(Debug)]
pub(super) struct Stage {
    tells: Tells,
    version: ProtocolVersion,
}

impl Stage {
    /// Nothing: nobody wants to see them.
    pub(super) fn new(tells: &Tells, version: ProtocolVersion) -> Option<Self> {
        tells.of_packets().then(|| Self { tells: tells.clone(), version })
    }

    /// Gives the bytes of a packet as they go out.
    pub(super) fn pass(&self, frame: Vec<u8>) -> Vec<u8> {
        match Packet::decode(frame.clone().into(), self.version) {
            Ok(packet) => self.tells.packet_sent(without_secrets(packet)),
            Err(error) => tracing::error!(%error, "decode a packet that is sent"),
        }
        frame
    }
}
