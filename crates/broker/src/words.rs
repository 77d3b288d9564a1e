//! What a packet says besides its reason code: Reason String and User
//! Properties. The broker itself says little; hooks may say more.

use latchlight_mqtt::{Packet, Properties, ProtocolVersion};

/// How much of it a client wants and takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words {
    pub(crate) version: ProtocolVersion,
    /// The largest packet that it takes; no packet of MQTT is as large as the
    /// largest number.
    pub(crate) max_packet_size: u32,
    /// Whether it wants to be told more than a reason code.
    pub(crate) wants_problem_information: bool,
}

impl Words {
    /// Leaves out what the client does not want [MQTT-3.1.2-29], and what makes
    /// a packet larger than it takes [MQTT-3.2.2-19], [MQTT-3.2.2-20],
    /// [MQTT-3.4.2-2], [MQTT-3.4.2-3], [MQTT-3.5.2-2], [MQTT-3.5.2-3],
    /// [MQTT-3.6.2-2], [MQTT-3.6.2-3], [MQTT-3.7.2-2], [MQTT-3.7.2-3],
    /// [MQTT-3.9.2-1], [MQTT-3.9.2-2], [MQTT-3.11.2-1], [MQTT-3.11.2-2],
    /// [MQTT-3.14.2-3], [MQTT-3.14.2-4], [MQTT-3.15.2-2], [MQTT-3.15.2-3].
    pub(crate) fn fit(&self, packet: &mut Packet) {
        let is_last = matches!(packet, Packet::ConnAck(_) | Packet::Disconnect(_));
        let Some(properties) = beside_a_reason(packet).filter(|words| says_any(words)) else {
            return;
        };
        if !self.wants_problem_information && !is_last {
            properties.make_mut().user_properties.clear();
            properties.make_mut().reason_string = None;
        }
        if self.is_too_large(packet)
            && let Some(properties) = beside_a_reason(packet)
        {
            properties.make_mut().user_properties.clear();
        }
        if self.is_too_large(packet)
            && let Some(properties) = beside_a_reason(packet)
        {
            properties.make_mut().reason_string = None;
        }
    }

    fn is_too_large(&self, packet: &Packet) -> bool {
        let length = packet.encoded_len(self.version);
        length.is_ok_and(|length| length > self.max_packet_size as usize)
    }
}

fn says_any(properties: &Properties) -> bool {
    properties.reason_string.is_some() || !properties.user_properties.is_empty()
}

/// The properties of a packet that has a reason. Those of a PUBLISH are part of
/// the message [MQTT-3.3.2-17].
fn beside_a_reason(packet: &mut Packet) -> Option<&mut Properties> {
    match packet {
        Packet::ConnAck(packet) => Some(&mut packet.properties),
        Packet::PubAck(packet) => Some(&mut packet.properties),
        Packet::PubRec(packet) => Some(&mut packet.properties),
        Packet::PubRel(packet) => Some(&mut packet.properties),
        Packet::PubComp(packet) => Some(&mut packet.properties),
        Packet::SubAck(packet) => Some(&mut packet.properties),
        Packet::UnsubAck(packet) => Some(&mut packet.properties),
        Packet::Disconnect(packet) => Some(&mut packet.properties),
        Packet::Auth(packet) => Some(&mut packet.properties),
        Packet::Connect(_)
        | Packet::Publish(_)
        | Packet::Subscribe(_)
        | Packet::Unsubscribe(_)
        | Packet::PingReq
        | Packet::PingResp => None,
    }
}
