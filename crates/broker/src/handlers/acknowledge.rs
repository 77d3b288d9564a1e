//! PUBACK, PUBREC, PUBREL and PUBCOMP (MQTT 5, 3.4 to 3.7).

use latchlight_mqtt::{AckView, PacketType};

use super::{Client, Next};
use crate::Time;
use crate::connection::End;

pub(super) fn handle(client: &mut Client, packet: &[u8], now: Time) -> Result<Next, End> {
    let most = client.core.options.max_user_properties;
    let ack = AckView::decode_limited(packet, client.version, most)?;
    if ack.packet_type == PacketType::PubRel {
        let reason = client.session.inbound.lock().release(ack.packet_id);
        if let Some(recorder) = client.core.recorder.as_ref().filter(|_| client.session.is_stored())
        {
            let commit = recorder.released(client.session.number, ack.packet_id);
            client.batch.acknowledge_after(commit);
        }
        // [MQTT-4.3.3-11]
        client.acknowledge(PacketType::PubComp, ack.packet_id, reason);
        return Ok(Next::Go);
    }
    let core = &client.core;
    let mut line = client.session.outbound.lock();
    if line.epoch == client.epoch {
        line.owed.acknowledge(ack, now, &core.options, &core.counters);
        let has_output = line.owed.output().is_some_and(|output| !output.is_empty());
        if has_output && line.schedule() {
            client.batch.touch(&client.session);
        }
        if line.has_caught_up(&core.options) {
            client.session.note_drained();
        }
    }
    Ok(Next::Go)
}
