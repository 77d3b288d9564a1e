//! What a packet passes on its way out where hooks want to see or change it.

use latchlight_mqtt::Packet;

use crate::hooks::Tells;
use crate::words::Words;

/// Shows the packets of one connection to the hooks before they go out.
#[derive(Debug)]
pub(super) struct Stage {
    tells: Tells,
    words: Words,
}

/// What became of a packet.
pub(super) enum Passed {
    /// It goes out as these bytes.
    As(Vec<u8>),
    /// It has become larger than the client takes.
    TooLarge,
    /// A hook panicked: nothing goes out any more.
    Failed,
}

impl Stage {
    /// Nothing: nobody wants to see them.
    pub(super) fn new(tells: &Tells, words: Words) -> Option<Self> {
        tells.of_packets().then(|| Self { tells: tells.clone(), words })
    }

    /// Gives the bytes of a packet as they go out.
    pub(super) fn pass(&self, frame: Vec<u8>) -> Passed {
        let came = match Packet::decode(frame.clone().into(), self.words.version) {
            Ok(packet) => packet,
            Err(error) => {
                tracing::error!(%error, "decode a packet that is sent");
                return Passed::As(frame);
            }
        };
        let mut packet = came.clone();
        if self.tells.encode(&mut packet).is_err() {
            return Passed::Failed;
        }
        self.words.fit(&mut packet);
        let frame = if packet == came { frame } else { self.encode(&packet, frame) };
        // [MQTT-3.1.2-24]
        if frame.len() > self.words.max_packet_size as usize {
            return Passed::TooLarge;
        }
        self.tells.packet_sent(packet);
        Passed::As(frame)
    }

    /// The bytes of a packet that was changed; as it was, where a hook made it
    /// one that cannot be.
    fn encode(&self, packet: &Packet, before: Vec<u8>) -> Vec<u8> {
        let mut bytes = Vec::new();
        match packet.encode(self.words.version, &mut bytes) {
            Ok(()) => bytes,
            Err(error) => {
                tracing::error!(%error, "a hook made a packet that cannot be");
                before
            }
        }
    }
}
