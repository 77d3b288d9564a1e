//! What goes one way, counted: as one thread gathers it, and as all add it up.

use latchlight_mqtt::QoS;

use crate::counters::Counter;

/// What went one way, to or from one client or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "http", derive(serde::Serialize))]
pub struct Traffic {
    /// Bytes on the wire.
    pub bytes: u64,
    /// Control packets of every type.
    pub packets: u64,
    /// Messages (PUBLISH), by QoS.
    pub messages: [u64; 3],
    /// Bytes of their payloads, by QoS.
    pub payload_bytes: [u64; 3],
}

impl Traffic {
    /// Messages of every QoS.
    pub fn all_messages(&self) -> u64 {
        self.messages.iter().sum()
    }

    /// Payload bytes of every QoS.
    pub fn all_payload_bytes(&self) -> u64 {
        self.payload_bytes.iter().sum()
    }

    /// One more message; that it is a packet is counted apart.
    pub(crate) fn message(&mut self, qos: QoS, payload: usize) {
        self.messages[qos as usize] += 1;
        self.payload_bytes[qos as usize] += payload as u64;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.packets += other.packets;
        for qos in 0..3 {
            self.messages[qos] += other.messages[qos];
            self.payload_bytes[qos] += other.payload_bytes[qos];
        }
    }
}

/// The same, added up by several threads: once a batch, not once a message.
#[derive(Debug, Default)]
pub(crate) struct LiveTraffic {
    pub(crate) bytes: Counter,
    pub(crate) packets: Counter,
    messages: [Counter; 3],
    payload_bytes: [Counter; 3],
}

impl LiveTraffic {
    pub(crate) fn add(&self, traffic: &Traffic) {
        self.bytes.add_some(traffic.bytes);
        self.packets.add_some(traffic.packets);
        for qos in 0..3 {
            self.messages[qos].add_some(traffic.messages[qos]);
            self.payload_bytes[qos].add_some(traffic.payload_bytes[qos]);
        }
    }

    pub(crate) fn get(&self) -> Traffic {
        Traffic {
            bytes: self.bytes.get(),
            packets: self.packets.get(),
            messages: [0, 1, 2].map(|qos| self.messages[qos].get()),
            payload_bytes: [0, 1, 2].map(|qos| self.payload_bytes[qos].get()),
        }
    }
}
