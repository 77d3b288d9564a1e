//! The last words to a client whose connection the broker closes.

use std::io::IoSlice;
use std::time::Duration;

use latchlight_mqtt::{DecodeError, Disconnect, Packet, ReasonCode};
use tokio::io::Interest;

use crate::handlers::Client;
use crate::transport::Transport;

/// How long the last words to a client may take.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How often last words look whether the store has let them go.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// [MQTT-4.13.1-1]: DISCONNECT goes behind what was sent before; it takes a
/// short while at the most.
pub(crate) async fn say_goodbye(
    client: &Client,
    transport: &dyn Transport,
    reason: ReasonCode,
    why: Option<DecodeError>,
) {
    let Client { core, session, .. } = client;
    let goodbye = goodbye(client, reason, why);
    let is_own = {
        let mut line = session.outbound.lock();
        let is_own = line.epoch == client.epoch;
        if is_own {
            line.owed.say(&goodbye);
            // [MQTT-3.14.4-1]: and no more.
            line.owed.finish();
        }
        is_own
    };
    if !is_own {
        // Taken over; what was in the output is gone, perhaps within a packet.
        let mut bytes = Vec::new();
        if !client.task.was_cut() && goodbye.encode(client.version, &mut bytes).is_ok() {
            let _ = transport.try_write(&[IoSlice::new(&bytes)]);
        }
        return;
    }
    let sent = async {
        loop {
            session.flush(core.clock.now(), &core.options, &core.counters);
            let (waits, ready) = {
                let mut line = session.outbound.lock();
                let counts = line.epoch == client.epoch
                    && !line.closing.is_some_and(|closing| closing.reset);
                let output = line.owed.output().filter(|output| counts && !output.is_empty());
                (output.is_some(), output.is_some_and(|output| output.has_ready()))
            };
            if !waits {
                let _ = transport.sent().await;
                return;
            }
            if ready {
                if transport.ready(Interest::WRITABLE).await.is_err() {
                    return;
                }
            } else if core.recorder.as_ref().is_none_or(|recorder| recorder.is_failing()) {
                return;
            } else {
                // It goes out behind what waits for the store.
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    };
    let _ = tokio::time::timeout(LAST_WORDS, sent).await;
}

/// Before MQTT 5 there is no such packet: what others have brought it, and have
/// not written yet, goes as far as there is room, and no more.
pub(crate) fn leave_without_a_word(client: &Client) {
    let Client { core, session, .. } = client;
    {
        let mut line = session.outbound.lock();
        if line.epoch != client.epoch {
            return;
        }
        line.owed.finish();
    }
    session.flush(core.clock.now(), &core.options, &core.counters);
}

/// DISCONNECT, with what is wrong with the client's bytes where it wants to be
/// told and takes that much [MQTT-3.14.2-3].
fn goodbye(client: &Client, reason: ReasonCode, why: Option<DecodeError>) -> Packet {
    let mut disconnect = Disconnect::new(reason);
    if let Some(why) = why.filter(|_| client.words.wants_problem_information) {
        disconnect.properties.make_mut().reason_string = Some(why.to_string().into());
    }
    let mut goodbye = Packet::Disconnect(disconnect);
    client.words.fit(&mut goodbye);
    goodbye
}
