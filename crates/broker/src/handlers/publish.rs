//! PUBLISH (MQTT 5, 3.3).

use std::sync::Arc;

use bytestring::ByteString;
use latchlight_mqtt::{
    PacketId, PacketType, PropertyId, PropertyValue, PublishView, QoS, ReasonCode,
};

use super::{Client, Next};
use crate::access::{self, PublishRequest, Refusal};
use crate::batch::{Batch, Then};
use crate::broker::Core;
use crate::burst::{Answer, Burst};
use crate::connection::End;
use crate::message::Forward;
use crate::read_buffer::Received;
use crate::session_handle::Session;
use crate::tally::{Outcome, Tallies};
use crate::topics::Route;
use crate::{DropReason, Publication, Stop, Time};

pub(super) fn handle(client: &mut Client, packet: Received<'_>, now: Time) -> Result<Next, End> {
    let most = client.core.options.max_user_properties;
    let view = PublishView::decode_limited(packet.bytes, client.version, most)?;
    let route = resolve(client, &view)?;
    check(&view)?;
    if let Some(id) = view.packet_id.filter(|_| view.qos == QoS::ExactlyOnce) {
        let inbound = client.session.inbound.lock();
        // [MQTT-4.3.3-10]: it was taken before; the answer is the same.
        if inbound.was_taken(id) {
            drop(inbound);
            note_taken(&client.core, &client.session, &mut client.batch, id);
            // A session that the store has forgotten meanwhile notes nothing.
            if let Some(recorder) = &client.core.recorder {
                client.batch.acknowledge_after(recorder.last_noted());
            }
            acknowledge(client, view.qos, id, ReasonCode::Success);
            return Ok(Next::Go);
        }
        // [MQTT-3.3.4-9]
        if inbound.is_full(client.core.options.receive_maximum) {
            return Err(End::protocol(ReasonCode::ReceiveMaximumExceeded));
        }
    }
    let forward = Forward::of_view(packet, &view, client.version, &route.topic, now);
    let outcome = match client.core.hooks.steps.publish {
        true => intercepted(client, &forward, &route, &view)?,
        false => publish(client, &forward, &route, &view)?,
    };
    let Some(outcome) = outcome else { return Ok(Next::Go) };
    client.tell_injector(outcome.reason);
    if let Some(id) = view.packet_id.filter(|_| is_speakable(client, outcome)) {
        acknowledge(client, view.qos, id, outcome.reason);
    }
    Ok(Next::Go)
}

/// Answers the messages of a burst, in the order in which they came
/// [MQTT-4.6.0-2].
pub(super) fn answer(client: &mut Client, burst: &Burst, tallies: &Tallies) {
    let qos = QoS::AtLeastOnce;
    for (gathered, outcome) in burst.messages.iter().zip(tallies.outcomes()) {
        let Some(Answer { id, payload }) = gathered.answer else { continue };
        if !outcome.reason.is_error() {
            client.batch.received.message(qos, payload);
        }
        if is_speakable(client, outcome) {
            acknowledge(client, qos, id, outcome.reason);
        }
    }
}

/// Whether an acknowledgement would be no lie (C14): what a store that cannot
/// write has refused, a client before MQTT 5 is to send again. Of a full queue
/// it is not told: one reader that never comes back would stop it for good.
fn is_speakable(client: &Client, outcome: Outcome) -> bool {
    !outcome.store_is_full || client.version.is_v5()
}

/// Publishes what the interceptors make of a message; as it came, where they
/// leave it alone.
fn intercepted(
    client: &mut Client,
    forward: &Forward<'_>,
    route: &Arc<Route>,
    view: &PublishView<'_>,
) -> Result<Option<Outcome>, End> {
    let core = client.core.clone();
    let came = forward.keep();
    let Some(original) = Publication::of(&came) else {
        return Ok(Some(ReasonCode::TopicNameInvalid.into()));
    };
    let mut publication = original.clone();
    let asked = core.hooks.publish(Some(&client.info), &mut publication);
    if asked.is_ok() && publication == original {
        return publish(client, forward, route, view);
    }
    if let Err(stop) = asked.and_then(|()| publication.check(&core).map_err(Stop::Refuse)) {
        core.note_stopped(came, stop);
        let reason = stopped(client, view, stop)?;
        return Ok(Some(reason.into()));
    }
    let message = Arc::new(publication.into_message(forward.now()));
    let route = core.cached_route(&message.topic, &mut client.batch);
    publish(client, &Forward::of_message(&message, forward.now()), &route, view)
}

/// What becomes of the client of a message that an interceptor has stopped.
fn stopped(client: &mut Client, view: &PublishView<'_>, stop: Stop) -> Result<ReasonCode, End> {
    let Some(reason) = stop.reason() else {
        // As if it had been taken: it is released later.
        if let Some(id) = view.packet_id.filter(|_| view.qos == QoS::ExactlyOnce) {
            client.session.inbound.lock().take(id);
            note_taken(&client.core, &client.session, &mut client.batch, id);
        }
        return Ok(ReasonCode::Success);
    };
    let refusal = match stop {
        Stop::Disconnect(_) => Refusal::Disconnect(reason),
        _ => Refusal::Ignore(reason),
    };
    refused(client, view.qos, refusal)
}

/// Publishes a message, if its client may; nothing: it waits for others, and is
/// answered with them if at all.
fn publish(
    client: &mut Client,
    forward: &Forward<'_>,
    route: &Arc<Route>,
    view: &PublishView<'_>,
) -> Result<Option<Outcome>, End> {
    let (topic, qos, retain) = (forward.topic(), forward.qos, forward.retain);
    let request = PublishRequest { topic, qos, retain, will: false };
    let allowed = client.authorize_publish(&request);
    match allowed.and_then(|()| check_format(view)) {
        Ok(()) => {
            let outcome = take(client, forward, route, view);
            if retain && client.injected.is_none_or(|injected| injected.asks_access) {
                client.core.recheck_retained(&client.info, &request);
            }
            Ok(outcome)
        }
        Err(refusal) => {
            client.core.counters.publishes_refused.one();
            client.core.note_dropped(forward, DropReason::Refused(refusal.reason()));
            let reason = refused(client, view.qos, refusal)?;
            Ok(Some(reason.into()))
        }
    }
}

/// Gives a message to its receivers, or leaves it until others can be given to
/// them, too: then it is answered with them. One of QoS 2 is known from now on,
/// until it is released.
fn take(
    client: &mut Client,
    forward: &Forward<'_>,
    route: &Arc<Route>,
    view: &PublishView<'_>,
) -> Option<Outcome> {
    let may_wait = view.qos != QoS::ExactlyOnce && client.injected.is_none();
    if may_wait && client.core.may_gather(forward, route) {
        let answer = view.packet_id.map(|id| Answer { id, payload: view.payload.len() });
        gather(client, forward, route, answer);
        if answer.is_none() {
            client.batch.received.message(view.qos, view.payload.len());
        }
        return None;
    }
    client.spill(Then::Touch);
    // What came is bounded by the read; what an alias stands for is not.
    if view.topic.is_empty() && !route.is_empty() {
        client.batch.gathered += forward.topic().len();
    }
    let Client { core, session, info, batch, .. } = client;
    let exactly_once = view.packet_id.filter(|_| view.qos == QoS::ExactlyOnce);
    let stored = exactly_once.is_some() && session.is_stored();
    if stored && core.recorder.as_ref().is_some_and(|recorder| recorder.is_full()) {
        // That it was taken could not be noted.
        return Some(core.refuse_for_store(forward));
    }
    // That it was taken is part of the commit in which its receivers get it:
    // otherwise it could be taken once more, or never.
    let _together = core.recorder.as_ref().filter(|_| stored).map(|recorder| recorder.together());
    let publisher = super::Publisher { session, info };
    let outcome = core.publish(forward, route, Some(publisher), view.dup, batch);
    // What is not answered was taken, whatever became of it.
    let is_answered = view.packet_id.is_some() || client.injected.is_some();
    if !(is_answered && outcome.reason.is_error()) {
        batch.received.message(view.qos, view.payload.len());
    }
    if let Some(id) = exactly_once.filter(|_| !outcome.reason.is_error()) {
        session.inbound.lock().take(id);
        note_taken(core, session, batch, id);
    }
    Some(outcome)
}

/// Leaves a message until the batch ends, or something else comes.
fn gather(client: &mut Client, forward: &Forward<'_>, route: &Arc<Route>, answer: Option<Answer>) {
    let qos = forward.qos;
    if client.batch.burst.as_ref().is_some_and(|burst| !burst.is_for(route, qos)) {
        client.spill(Then::Touch);
    }
    let batch = &mut *client.batch;
    let begin = || Burst::new(route.clone(), qos, batch.gathered, &client.core.options);
    batch.burst.get_or_insert_with(begin).push(forward.keep(), forward.now(), answer);
}

/// The route of the topic, or of the one that its alias stands for.
fn resolve(client: &mut Client, view: &PublishView<'_>) -> Result<Arc<Route>, End> {
    let Client { core, batch, aliases, .. } = client;
    // Before anything is kept of it.
    core.check_topic(view.topic).map_err(End::protocol)?;
    let alias = match view.properties.get(PropertyId::TopicAlias) {
        Some(PropertyValue::U16(alias)) => Some(alias),
        _ => None,
    };
    let Some(alias) = alias else { return Ok(core.cached_route(view.topic, batch)) };
    // [MQTT-3.3.2-9]
    if alias > core.options.topic_alias_maximum {
        return Err(End::protocol(ReasonCode::TopicAliasInvalid));
    }
    let index = usize::from(alias) - 1;
    if view.topic.is_empty() {
        let known = aliases.get(index).and_then(Option::as_ref);
        // MQTT 5, 3.3.2.3.4
        let topic = known.ok_or_else(|| End::protocol(ReasonCode::ProtocolError))?;
        return Ok(core.cached_route(topic, batch));
    }
    if aliases.len() <= index {
        aliases.resize(index + 1, None);
    }
    aliases[index] = Some(ByteString::from(view.topic));
    Ok(core.cached_route(view.topic, batch))
}

fn check(view: &PublishView<'_>) -> Result<(), End> {
    // [MQTT-3.3.4-6]: identifiers are the server's to add.
    match view.properties.get(PropertyId::SubscriptionIdentifier) {
        Some(_) => Err(End::protocol(ReasonCode::ProtocolError)),
        None => Ok(()),
    }
}

/// That a payload is UTF-8 where it says so (MQTT 5, 3.3.2.3.2).
fn check_format(view: &PublishView<'_>) -> Result<(), Refusal> {
    let says_text = view.properties.get(PropertyId::PayloadFormatIndicator);
    if says_text == Some(PropertyValue::Byte(1)) && std::str::from_utf8(view.payload).is_err() {
        return Err(Refusal::Disconnect(ReasonCode::PayloadFormatInvalid));
    }
    Ok(())
}

/// What a refusal looks like to this client: the reason for the
/// acknowledgement, or the end of the connection.
fn refused(client: &Client, qos: QoS, refusal: Refusal) -> Result<ReasonCode, End> {
    let has_answer = qos != QoS::AtMostOnce || client.injected.is_some();
    let can_say = client.version.is_v5() && has_answer;
    match refusal {
        // [MQTT-3.4.2-1], [MQTT-3.5.2-1]
        Refusal::Ignore(reason) | Refusal::Disconnect(reason) if can_say => {
            Ok(access::told(reason, PacketType::PubAck))
        }
        Refusal::Ignore(_) => Ok(ReasonCode::Success),
        // [MQTT-3.14.2-1]
        Refusal::Disconnect(reason) => {
            Err(End::protocol(access::told(reason, PacketType::Disconnect)))
        }
    }
}

/// PUBREC waits until it is on disk that the message was taken.
fn note_taken(core: &Core, session: &Session, batch: &mut Batch, id: PacketId) {
    if let Some(recorder) = core.recorder.as_ref().filter(|_| session.is_stored()) {
        batch.acknowledge_after(recorder.taken(session.number, id));
    }
}

fn acknowledge(client: &mut Client, qos: QoS, id: PacketId, reason: ReasonCode) {
    let packet = match qos {
        QoS::AtMostOnce => return,
        QoS::AtLeastOnce => PacketType::PubAck,
        QoS::ExactlyOnce => PacketType::PubRec,
    };
    client.acknowledge(packet, id, reason);
}
