//! What stands under each of the `$SYS` topics.

use bytestring::ByteString;

use super::load::Load;
use crate::administration::Census;
use crate::{CountersSnapshot, Time};

/// Every topic with its value now.
pub(super) fn all(
    counters: &CountersSnapshot,
    census: &Census,
    load: &Load,
    now: Time,
) -> Vec<(ByteString, String)> {
    let version = concat!("latchlight-broker version ", env!("CARGO_PKG_VERSION"));
    let texts = [("version", version.to_owned()), ("uptime", format!("{} seconds", now / 1000))];
    let numbers = numbers(counters, census).into_iter();
    let numbers = numbers.map(|(name, number)| (topic(name), number.to_string()));
    let averages = load.averages();
    let averages =
        averages.map(|(name, average)| (topic(&format!("load/{name}")), format!("{average:.2}")));
    let texts = texts.into_iter().map(|(name, text)| (topic(name), text));
    texts.chain(numbers).chain(averages).collect()
}

fn topic(name: &str) -> ByteString {
    format!("$SYS/broker/{name}").into()
}

fn numbers(counters: &CountersSnapshot, census: &Census) -> Vec<(&'static str, u64)> {
    let connected = counters.clients_connected;
    let disconnected = counters.sessions.saturating_sub(connected);
    let stored = counters.retained_messages + census.queued_messages + census.kept_in_flight;
    let plain = counters.subscriptions.saturating_sub(counters.shared_subscriptions);
    vec![
        ("clients/connected", connected),
        // The older names of the same two.
        ("clients/active", connected),
        ("clients/disconnected", disconnected),
        ("clients/inactive", disconnected),
        ("clients/total", connected + disconnected),
        ("clients/maximum", counters.clients_maximum),
        ("clients/expired", counters.sessions_expired),
        ("messages/received", counters.received.packets),
        ("messages/sent", counters.sent.packets),
        ("messages/stored", stored),
        ("store/messages/count", stored),
        ("store/messages/bytes", counters.retained_bytes + counters.waiting_bytes),
        ("publish/messages/received", counters.received.all_messages()),
        ("publish/messages/sent", counters.sent.all_messages()),
        ("publish/messages/dropped", counters.dropped_at_bounds()),
        ("publish/bytes/received", counters.received.all_payload_bytes()),
        ("publish/bytes/sent", counters.sent.all_payload_bytes()),
        ("bytes/received", counters.received.bytes),
        ("bytes/sent", counters.sent.bytes),
        ("retained messages/count", counters.retained_messages),
        ("subscriptions/count", plain),
        ("shared_subscriptions/count", counters.shared_subscriptions),
    ]
}
