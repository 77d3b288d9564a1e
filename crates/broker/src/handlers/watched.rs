//! Packets that hooks see before they are handled.

use latchlight_mqtt::{FixedHeader, ReasonCode};

use super::{Client, Next};
use crate::Time;
use crate::connection::End;
use crate::hooks::{Notice, without_secrets};

pub(super) fn handle(
    client: &mut Client,
    packet: &[u8],
    header: FixedHeader,
    now: Time,
) -> Result<Next, End> {
    let shown = without_secrets(client.decode(packet)?);
    client.note(Notice::PacketRead(shown.clone()));
    if !client.core.hooks.tell() {
        return Err(End::protocol(ReasonCode::UnspecifiedError));
    }
    let handled = super::handle(client, packet, header, now);
    client.note(Notice::PacketProcessed(shown, outcome(&handled)));
    handled
}

fn outcome(handled: &Result<Next, End>) -> Result<(), ReasonCode> {
    match handled {
        Ok(Next::Go | Next::End(End::Said(_))) => Ok(()),
        Ok(Next::End(end)) | Err(end) => Err(end.reason()),
    }
}
