//! What no hook is shown that writes down what it sees (C30).

use latchlight_mqtt::{Packet, Properties};

/// Takes passwords and authentication data out of a packet.
pub(crate) fn without_secrets(mut packet: Packet) -> Packet {
    match &mut packet {
        Packet::Connect(connect) => {
            connect.password = None;
            forget(&mut connect.properties);
        }
        Packet::ConnAck(connack) => forget(&mut connack.properties),
        Packet::Auth(auth) => forget(&mut auth.properties),
        _ => {}
    }
    packet
}

fn forget(properties: &mut Properties) {
    if properties.authentication_data.is_some() {
        properties.make_mut().authentication_data = None;
    }
}
