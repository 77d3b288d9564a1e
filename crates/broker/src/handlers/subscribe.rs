//! SUBSCRIBE (MQTT 5, 3.8).

use latchlight_mqtt::{
    Packet, Properties, QoS, ReasonCode, RetainHandling, SubAck, SubscribeFilter,
};

use super::{Client, Next};
use crate::Time;
use crate::connection::End;
use crate::message::Forward;
use crate::session::Receiver;
use crate::topics::{Subscriber, Subscription};

pub(super) fn handle(client: &mut Client, packet: &[u8], now: Time) -> Result<Next, End> {
    let Packet::Subscribe(subscribe) = client.decode(packet)? else {
        return Err(End::protocol(ReasonCode::ProtocolError));
    };
    let identifier = subscribe.properties.subscription_identifiers.first().copied();
    let mut reasons = Vec::with_capacity(subscribe.filters.len());
    let mut wanted = Vec::new();
    for filter in subscribe.filters {
        match add(client, &filter, identifier) {
            Ok(is_new) => {
                reasons.push(granted(filter.options.qos));
                // [MQTT-3.3.1-9] to [MQTT-3.3.1-11]; a shared one gets none.
                let sends = match filter.options.retain_handling {
                    RetainHandling::Send => true,
                    RetainHandling::SendIfNew => is_new,
                    RetainHandling::DoNotSend => false,
                };
                if sends && filter.filter.shared().is_none() {
                    wanted.push(filter);
                }
            }
            Err(reason) => reasons.push(reason),
        }
    }
    let packet_id = subscribe.packet_id;
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

/// Adds one subscription; true if it is new to its session.
fn add(
    client: &Client,
    wanted: &SubscribeFilter,
    identifier: Option<u32>,
) -> Result<bool, ReasonCode> {
    let core = &client.core;
    let SubscribeFilter { filter, options } = wanted;
    let levels = filter.filter().split('/').count();
    if levels > core.options.max_topic_levels {
        return Err(ReasonCode::TopicFilterInvalid);
    }
    core.access.authorize_subscribe(&client.info, filter.filter())?;
    let is_new = {
        let mut held = client.session.subscriptions.lock();
        let is_new = !held.contains_key(filter);
        if is_new && held.len() >= core.options.max_subscriptions {
            return Err(ReasonCode::QuotaExceeded);
        }
        held.insert(filter.clone(), *options);
        client.session.note_subscriptions(held.len());
        is_new
    };
    if is_new {
        core.counters.subscriptions.one();
    }
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
    for observer in &core.observers {
        observer.subscribed(&client.info, filter.as_str(), options.qos);
    }
    Ok(is_new)
}

fn send_retained(
    client: &mut Client,
    wanted: &SubscribeFilter,
    identifier: Option<u32>,
    now: Time,
) {
    let core = client.core.clone();
    let messages = core.retained.lock().matching(wanted.filter.filter(), now);
    if messages.is_empty() {
        return;
    }
    let receiver = Receiver {
        qos: wanted.options.qos,
        retain_as_published: true,
        identifiers: identifier.into_iter().collect(),
    };
    let mut line = client.session.outbound.lock();
    if line.epoch != client.epoch {
        return;
    }
    for message in &messages {
        let forward = Forward::of_message(message, now);
        // [MQTT-3.3.1-8]: RETAIN tells that it was kept.
        line.owed.deliver(&forward, &receiver, true, now, &core.options, &core.counters);
    }
    if line.schedule() {
        client.batch.touch(&client.session);
    }
}
