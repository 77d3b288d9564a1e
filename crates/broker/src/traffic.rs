//! What goes one way, counted: as one thread gathers it, and as all add it up.

use latchlight_mqtt::QoS;

use crate::counters::Counter;
use crate::seldom::Collection;

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

impl Collection for Traffic {
    const NONE: &'static Self =
        &Self { bytes: 0, packets: 0, messages: [0; 3], payload_bytes: [0; 3] };

    fn is_empty(&self) -> bool {
        self.bytes == 0 && self.packets == 0
    }
}

/// The same of one client: of messages, only from the first one on.
#[derive(Debug, Default)]
pub(crate) struct OwnTraffic {
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
    by_qos: Option<Box<ByQoS>>,
}

#[derive(Debug, Default)]
struct ByQoS {
    messages: [u64; 3],
    payload_bytes: [u64; 3],
}

impl OwnTraffic {
    pub(crate) fn add(&mut self, traffic: &Traffic) {
        self.bytes += traffic.bytes;
        self.packets += traffic.packets;
        if self.by_qos.is_none() && traffic.messages == [0; 3] {
            return;
        }
        let by_qos = self.by_qos.get_or_insert_default();
        for qos in 0..3 {
            by_qos.messages[qos] += traffic.messages[qos];
            by_qos.payload_bytes[qos] += traffic.payload_bytes[qos];
        }
    }

    pub(crate) fn get(&self) -> Traffic {
        let Self { bytes, packets, ref by_qos } = *self;
        let (messages, payload_bytes) =
            by_qos.as_ref().map_or_else(Default::default, |by| (by.messages, by.payload_bytes));
        Traffic { bytes, packets, messages, payload_bytes }
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
