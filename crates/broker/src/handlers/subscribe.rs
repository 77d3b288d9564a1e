//! SUBSCRIBE (MQTT 5, 3.8).

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;

use latchlight_mqtt::{
    Packet, PacketType, Properties, QoS, ReasonCode, RetainHandling, SubAck, SubscribeFilter,
};

use super::{Client, Next};
use crate::Time;
use crate::access;
use crate::connection::End;
use crate::hooks::Notice;
use crate::subscriptions::Held;
use crate::topics::{Subscriber, Subscription};

/// How many topics are looked at for the retained messages of one packet's
/// filters, before its last one. Who asks for more asks by several packets:
/// others come in between.
const LOOKED_AT: usize = 1_000_000;

/// What the filters of one packet are held to together.
struct Backlog {
    /// The retained messages that wait for the client, with those that the
    /// filters will bring.
    messages: usize,
    /// How many topics may be looked at still.
    looks: usize,
}

pub(super) fn handle(client: &mut Client, packet: &[u8], now: Time) -> Result<Next, End> {
    let Packet::Subscribe(subscribe) = client.decode(packet)? else {
        return Err(End::protocol(ReasonCode::ProtocolError));
    };
    let identifier = subscribe.properties.subscription_identifiers.first().copied();
    let mut reasons = Vec::with_capacity(subscribe.filters.len());
    let mut wanted = Vec::new();
    let messages = client.session.outbound.lock().owed.retained_waiting();
    let mut backlog = Backlog { messages, looks: LOOKED_AT };
    for (number, mut filter) in subscribe.filters.into_iter().enumerate() {
        let added = if number < client.core.options.max_subscriptions {
            let intercepted = client.core.hooks.subscribe(&client.info, &mut filter);
            intercepted
                .and_then(|()| make_way(client, &filter, &mut backlog))
                .and_then(|sends| add(client, &filter, identifier).map(|()| sends))
        } else {
            Err(ReasonCode::QuotaExceeded)
        };
        match added {
            Ok(sends) => {
                reasons.push(granted(filter.options.qos));
                if sends {
                    wanted.push(filter);
                }
            }
            // [MQTT-3.9.3-2]
            Err(reason) => reasons.push(access::told(reason, PacketType::SubAck)),
        }
    }
    let packet_id = subscribe.packet_id;
    client.tell_injector(reasons.first().copied().unwrap_or(ReasonCode::Success));
    client.answer(&Packet::SubAck(SubAck { packet_id, reasons, properties: Properties::new() }));
    // The answer goes before what it brings.
    client.flush_acks();
    for filter in &wanted {
        send_retained(client, filter, identifier, now);
    }
    Ok(Next::Go)
}

fn granted(qos: QoS) -> ReasonCode {
    match qos {
        QoS::AtMostOnce => ReasonCode::Success,
        QoS::AtLeastOnce => ReasonCode::GrantedQoS1,
        QoS::ExactlyOnce => ReasonCode::GrantedQoS2,
    }
}

/// Whether a subscription brings retained messages; refused where too many
/// wait for the client already, or too many topics were looked at.
fn make_way(
    client: &Client,
    wanted: &SubscribeFilter,
    backlog: &mut Backlog,
) -> Result<bool, ReasonCode> {
    let Client { core, session, .. } = client;
    let SubscribeFilter { filter, options } = wanted;
    // [MQTT-3.3.1-9] to [MQTT-3.3.1-11]; a shared one gets none.
    let sends = match options.retain_handling {
        RetainHandling::Send => true,
        RetainHandling::SendIfNew => !session.subscriptions.lock().contains(filter),
        RetainHandling::DoNotSend => false,
    };
    if !sends || filter.shared().is_some() {
        return Ok(false);
    }
    if backlog.looks == 0 {
        return Err(ReasonCode::QuotaExceeded);
    }
    let (brings, looks) = core.shelf(filter.filter()).lock().count_matching(filter.filter());
    backlog.looks = backlog.looks.saturating_sub(looks);
    if brings > 0 && backlog.messages > core.options.max_queued_messages {
        return Err(ReasonCode::QuotaExceeded);
    }
    backlog.messages += brings;
    Ok(true)
}

/// Adds one subscription, or changes that of the same filter.
fn add(
    client: &mut Client,
    wanted: &SubscribeFilter,
    identifier: Option<u32>,
) -> Result<(), ReasonCode> {
    let core = client.core.clone();
    let SubscribeFilter { filter, options } = wanted;
    core.check_topic(filter.filter()).map_err(|_| ReasonCode::TopicFilterInvalid)?;
    let reviews = core.reviews.load(Ordering::SeqCst);
    client.authorize_subscribe(filter.filter())?;
    let identifier = identifier.and_then(NonZeroU32::new);
    let subscription = Held { options: *options, identifier };
    let recorder = core.recorder.as_ref().filter(|_| client.session.is_stored());
    let cannot_be_noted = recorder.is_some_and(|recorder| recorder.is_failing());
    let is_new = {
        let mut held = client.session.subscriptions.lock();
        // What is as it was need not be noted.
        if cannot_be_noted && held.get(filter) != Some(&subscription) {
            return Err(ReasonCode::QuotaExceeded);
        }
        let is_new = !held.contains(filter);
        if is_new && !held.has_room(filter, &core.options) {
            return Err(ReasonCode::QuotaExceeded);
        }
        // A clean start has just replaced the session: nobody would end this one.
        if client.session.has_ended() {
            return Err(ReasonCode::UnspecifiedError);
        }
        held.insert(filter.clone(), subscription);
        client.session.note_subscriptions(held.len());
        core.index.add(
            filter,
            Subscription {
                subscriber: Subscriber::Session(client.session.clone()),
                qos: options.qos,
                no_local: options.no_local,
                retain_as_published: options.retain_as_published,
                identifier,
            },
        );
        is_new
    };
    if is_new {
        core.counters.subscribed(filter);
    }
    if let Some(recorder) = recorder.filter(|_| !cannot_be_noted) {
        let commit = recorder.subscribed(client.session.number, filter, &subscription);
        client.batch.acknowledge_after(commit);
    }
    // Allowed by rules that have changed just then.
    if core.reviews.load(Ordering::SeqCst) != reviews {
        core.review(&client.session);
    }
    client.note(Notice::Subscribed(filter.clone().into(), options.qos));
    Ok(())
}

fn send_retained(
    client: &mut Client,
    wanted: &SubscribeFilter,
    identifier: Option<u32>,
    now: Time,
) {
    let Client { core, session, info, batch, epoch, .. } = client;
    let (retained, messages, mut line) = loop {
        let rights = session.outbound.lock().rights;
        // Locked until they have their place, so that no newer one gets before
        // them.
        let (retained, messages) = core.retained_for(info, wanted.filter.filter(), now);
        if messages.is_empty() {
            return;
        }
        let line = session.outbound.lock();
        if line.epoch != *epoch || !line.owed.is_connected() {
            return;
        }
        // What the client may receive has not changed meanwhile.
        if line.rights == rights {
            break (retained, messages, line);
        }
    };
    let identifiers: Vec<u32> = identifier.into_iter().collect();
    line.owed.queue_retained(messages, wanted.options.qos, &identifiers);
    drop(retained);
    line.owed.pump(now, &core.options, &core.counters);
    if line.schedule() {
        batch.touch(session);
    }
}
