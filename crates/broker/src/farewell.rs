//! The end of a connection: what becomes of its session, its will and what was
//! on its way.

use std::sync::Arc;

use latchlight_mqtt::ReasonCode;

use crate::broker::Core;
use crate::connection::End;
use crate::deadlines::{Timers, due_at};
use crate::handlers::Client;
use crate::last_words::{leave_without_a_word, say_goodbye};
use crate::live::Ticket;
use crate::transport::Transport;

/// The end of a connection: last words, then the session goes on without it.
pub(crate) async fn finish(mut client: Client, transport: Arc<dyn Transport>, end: End) {
    client.flush();
    let (reason, said) = (end.reason(), matches!(end, End::Said(_)));
    if let Some(closing) = end.closing() {
        count_end(&client.core, closing.reason);
        let is_told = !closing.reset && closing.say;
        if is_told && client.version.is_v5() {
            say_goodbye(&client, &*transport, closing.reason, end.error()).await;
        } else if is_told {
            leave_without_a_word(&client);
        }
    }
    let shutting_down = !said && reason == ReasonCode::ServerShuttingDown;
    // [MQTT-3.1.2-10]: a normal DISCONNECT takes the will away, and no other.
    let takes_will_away = said && reason == ReasonCode::Success;
    let reset = end.closing().is_some_and(|closing| closing.reset);
    let mut lost = leave(&client, reset, !takes_will_away && !shutting_down);
    // Cut off by a takeover.
    lost.append(&mut client.task.take_lost());
    // The last holder closes the socket, or resets it; only then it is told.
    drop(transport);
    for ticket in lost {
        ticket.lost();
    }
    client.report_disconnected(reason);
}

fn count_end(core: &Core, reason: ReasonCode) {
    use ReasonCode::{MalformedPacket, PacketTooLarge, ProtocolError};
    if matches!(reason, ProtocolError | MalformedPacket | PacketTooLarge) {
        core.counters.protocol_errors.one();
    }
}

/// What happens to session and will when the connection is gone; gives the
/// live publishes that are lost with it.
fn leave(client: &Client, reset: bool, keeps_will: bool) -> Vec<Arc<Ticket>> {
    let Client { core, session, session_expiry: expiry, .. } = client;
    // The will leaves the store in the commit in which its receivers get it.
    let _together = core.recorder.as_ref().map(|recorder| recorder.together());
    let (lost, will) = {
        let mut line = session.outbound.lock();
        if line.epoch != client.epoch {
            // Taken over: the session and its will are the newer one's.
            return Vec::new();
        }
        line.settle_live();
        line.owed.report(&core.counters);
        let lost = line.owed.disconnect();
        line.let_go(reset || !lost.is_empty());
        line.closing = None;
        line.blocked = false;
        if !keeps_will {
            line.will = None;
        }
        let now = core.clock.now();
        let delay = line.will.as_ref().map(|will| will.delay.min(*expiry));
        let will = if delay == Some(0) { line.will.take() } else { None };
        if let Some(recorder) = core.recorder.as_ref().filter(|_| line.owed.is_logged()) {
            let gone_since = Some(core.clock.unix_of(now));
            let commit = recorder.session(session.number, &session.record(*expiry, gone_since));
            line.owed.note_expiry(*expiry, commit);
            recorder.will(session.number, line.will.as_deref());
        }
        let timers = Timers {
            will: delay.filter(|delay| *delay > 0).map(|delay| due_at(now + delay)),
            end: (*expiry > 0).then(|| due_at(now.saturating_add(*expiry))),
        };
        core.deadlines.set(session, &mut line.timers, timers);
        session.set_connected(false, &core.counters);
        (lost, will)
    };
    session.note_drained();
    if let Some(will) = will {
        core.publish_will(*will);
    }
    if *expiry == 0 {
        core.discard(session, client.epoch);
    }
    lost
}
