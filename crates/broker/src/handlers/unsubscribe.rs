//! UNSUBSCRIBE (MQTT 5, 3.10).

use latchlight_mqtt::{Packet, Properties, ReasonCode, UnsubAck};

use super::{Client, Next};
use crate::connection::End;
use crate::hooks::Notice;
use crate::topics::Subscriber;

pub(super) fn handle(client: &mut Client, packet: &[u8]) -> Result<Next, End> {
    let Packet::Unsubscribe(unsubscribe) = client.decode(packet)? else {
        return Err(End::protocol(ReasonCode::ProtocolError));
    };
    let core = client.core.clone();
    let mut reasons = Vec::with_capacity(unsubscribe.filters.len());
    for mut filter in unsubscribe.filters {
        if let Err(reason) = core.hooks.unsubscribe(&client.info, &mut filter) {
            reasons.push(reason);
            continue;
        }
        let filter = &filter;
        let mut held = client.session.subscriptions.lock();
        let known = held.remove(filter);
        client.session.note_subscriptions(held.len());
        drop(held);
        if known {
            core.index.remove(filter, &Subscriber::Session(client.session.clone()));
            core.counters.unsubscribed(filter);
            if let Some(recorder) = core.recorder.as_ref().filter(|_| client.session.is_stored()) {
                let commit = recorder.unsubscribed(client.session.number, filter);
                // By a store that cannot write, a crash may bring it back.
                if !recorder.is_failing() {
                    client.batch.acknowledge_after(commit);
                }
            }
            client.note(Notice::Unsubscribed(filter.clone().into()));
        }
        reasons.push(match known {
            true => ReasonCode::Success,
            false => ReasonCode::NoSubscriptionExisted,
        });
    }
    let packet_id = unsubscribe.packet_id;
    client.tell_injector(reasons.first().copied().unwrap_or(ReasonCode::Success));
    client.answer(&Packet::UnsubAck(UnsubAck {
        packet_id,
        reasons,
        properties: Properties::new(),
    }));
    Ok(Next::Go)
}
