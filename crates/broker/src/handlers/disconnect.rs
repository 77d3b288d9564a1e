//! DISCONNECT (MQTT 5, 3.14).

use latchlight_mqtt::{Packet, ReasonCode};

use super::session_expiry::expiry;
use super::{Client, Next};
use crate::connection::End;

pub(super) fn handle(client: &mut Client, packet: &[u8]) -> Result<Next, End> {
    let Packet::Disconnect(disconnect) = client.decode(packet)? else {
        return Err(End::protocol(ReasonCode::ProtocolError));
    };
    if let Some(seconds) = disconnect.properties.session_expiry_interval {
        // MQTT 5, 3.14.2.2.2: a session that was to end cannot be kept now.
        if !client.wants_to_last && client.session_expiry == 0 && seconds != 0 {
            return Err(End::protocol(ReasonCode::ProtocolError));
        }
        // Nor can one that was given no place; to ask for it is no error.
        if client.session_expiry > 0 {
            client.session_expiry = expiry(seconds, &client.core.options);
        }
    }
    Ok(Next::End(End::Said(disconnect.reason)))
}
