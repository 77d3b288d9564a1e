//! Every metric on one page.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::administration::Census;
use crate::latency::{Distribution, Latencies};
use crate::{CountersSnapshot, Traffic};

/// Writes them all; latencies where they are measured.
pub(super) fn write(
    encoder: DescriptorEncoder<'_>,
    counters: &CountersSnapshot,
    census: &Census,
    latencies: Option<&Latencies>,
) -> fmt::Result {
    let mut page = Page { encoder };
    page.connections(counters)?;
    page.failures(counters)?;
    page.sessions(counters)?;
    page.traffic(counters)?;
    page.drops(counters)?;
    page.waiting(counters, census)?;
    page.store(counters)?;
    latencies.map_or(Ok(()), |latencies| page.latencies(latencies))
}

/// What is written, metric by metric.
struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Page<'_> {
    fn connections(&mut self, counters: &CountersSnapshot) -> fmt::Result {
        self.gauge("connections", "Connections that are open.", counters.connections)?;
        let help = "Connections that were accepted.";
        self.counter("connections_accepted", help, counters.connections_accepted)?;
        let help = "Connections that were refused when they came, by why.";
        let known = counters.refused_rate + counters.refused_banned + counters.handshakes_refused;
        let reasons = [
            ("rate", counters.refused_rate),
            ("banned", counters.refused_banned),
            ("handshakes", counters.handshakes_refused),
            // Each is counted by itself: what is read in between may be one more.
            ("connections", counters.connections_refused.saturating_sub(known)),
        ];
        self.counters("connections_refused", help, "reason", &reasons)?;
        self.counter("connects", "CONNECTs that came.", counters.connects)?;
        let help = "CONNECTs that were answered with a failure, by why.";
        let banned = counters.connects_refused_banned;
        let reasons =
            [("banned", banned), ("other", counters.connects_refused.saturating_sub(banned))];
        self.counters("connects_refused", help, "reason", &reasons)?;
        self.counter("bans", "Addresses and clients that were banned.", counters.bans)
    }

    fn failures(&mut self, counters: &CountersSnapshot) -> fmt::Result {
        let help = "Connections that failed before CONNECT, by where.";
        let reasons =
            [("tls", counters.handshakes_failed), ("websocket", counters.upgrades_refused)];
        self.counters("connections_failed", help, "layer", &reasons)?;
        let help = "Connections that the broker closed, by why.";
        let reasons = [
            ("protocol_error", counters.protocol_errors),
            ("keep_alive", counters.keep_alive_timeouts),
            ("stalled", counters.stalled_closed),
            ("queue_full", counters.queue_full_closed),
            ("taken_over", counters.takeovers),
            ("live_reset", counters.live_resets),
        ];
        self.counters("connections_closed", help, "reason", &reasons)
    }

    fn sessions(&mut self, counters: &CountersSnapshot) -> fmt::Result {
        self.gauge("clients_connected", "Clients that are connected.", counters.clients_connected)?;
        let help = "The most clients that were connected at once.";
        self.gauge("clients_maximum", help, counters.clients_maximum)?;
        self.gauge("sessions", "Sessions, connected or not.", counters.sessions)?;
        let help = "Sessions whose time without a connection ran out.";
        self.counter("sessions_expired", help, counters.sessions_expired)?;
        self.gauge("subscriptions", "Subscriptions.", counters.subscriptions)?;
        let help = "Shared ones of the subscriptions.";
        self.gauge("shared_subscriptions", help, counters.shared_subscriptions)
    }

    fn traffic(&mut self, counters: &CountersSnapshot) -> fmt::Result {
        let ways = [("received", &counters.received), ("sent", &counters.sent)];
        for (way, traffic) in ways {
            let Traffic { bytes, packets, messages, payload_bytes } = traffic;
            self.counter(&format!("{way}_bytes"), "Bytes on the wire.", *bytes)?;
            self.counter(&format!("{way}_packets"), "Packets of every type.", *packets)?;
            let by_qos = |counts: &[u64; 3]| [("0", counts[0]), ("1", counts[1]), ("2", counts[2])];
            let name = format!("{way}_messages");
            self.counters(&name, "Messages, by QoS.", "qos", &by_qos(messages))?;
            let name = format!("{way}_payload_bytes");
            self.counters(&name, "Bytes of payloads, by QoS.", "qos", &by_qos(payload_bytes))?;
        }
        let help = "Messages that this process published.";
        self.counter("inline_messages", help, counters.messages_inline)?;
        let help = "Messages that no subscription matched.";
        self.counter("unmatched_messages", help, counters.messages_unmatched)?;
        let help = "Messages that went from one member of a shared subscription to another.";
        self.counter("shared_messages_handed_over", help, counters.shared_handed_over)
    }

    fn drops(&mut self, counters: &CountersSnapshot) -> fmt::Result {
        let help = "Messages that a receiver did not get, by why.";
        let reasons = [
            // Each message counts once.
            ("queue_full", counters.dropped_queue_full.saturating_sub(counters.dropped_oldest)),
            ("queue_oldest", counters.dropped_oldest),
            ("inline_full", counters.dropped_inline_full),
            ("stalled", counters.dropped_stalled),
            ("store_full", counters.dropped_store_full),
            ("expired", counters.dropped_expired),
            ("too_large", counters.dropped_too_large),
            ("offline", counters.dropped_offline),
            ("not_allowed", counters.deliveries_refused),
        ];
        self.counters("dropped_messages", help, "reason", &reasons)?;
        let help = "Messages that the broker did not take, by why.";
        let reasons = [
            ("not_allowed", counters.publishes_refused),
            ("retained_full", counters.retained_refused),
            ("store_full", counters.store_refused),
        ];
        self.counters("refused_messages", help, "reason", &reasons)
    }

    fn waiting(&mut self, counters: &CountersSnapshot, census: &Census) -> fmt::Result {
        self.gauge("queued_messages", "Messages that wait in queues.", census.queued_messages)?;
        let help = "Messages that wait in the longest queue.";
        self.gauge("longest_queue_messages", help, census.longest_queue)?;
        self.gauge("in_flight_messages", "Messages in flight.", census.in_flight)?;
        self.bytes("output", "Bytes that wait for sockets.", census.output_bytes)?;
        self.bytes("waiting", "Bytes that wait for sessions.", counters.waiting_bytes)?;
        self.bytes(
            "partial",
            "Room for packets that are not whole, in bytes.",
            counters.partial_bytes,
        )?;
        self.gauge("retained_messages", "Retained messages.", counters.retained_messages)?;
        self.bytes("retained", "Bytes of retained messages.", counters.retained_bytes)
    }

    fn store(&mut self, counters: &CountersSnapshot) -> fmt::Result {
        self.counter("store_commits", "Commits to the store.", counters.store_commits)?;
        self.counter("store_errors", "Commits that failed.", counters.store_errors)?;
        let help = "Changes that could not be committed before the end.";
        self.counter("store_lost_changes", help, counters.store_lost)
    }

    fn latencies(&mut self, latencies: &Latencies) -> fmt::Result {
        let help = "From a connection's coming to its CONNACK.";
        self.histogram("connect_latency", help, &latencies.connect.get())?;
        let help =
            "From a message's being read to its being handed to the sockets, without commits.";
        self.histogram("publish_latency", help, &latencies.publish.get())?;
        self.histogram("commit_latency", "Of a commit to the store.", &latencies.commit.get())
    }

    fn metric(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        kind: MetricType,
        write: impl FnOnce(MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        write(self.encoder.encode_descriptor(&format!("mqtt_{name}"), help, unit, kind)?)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.metric(name, help, None, MetricType::Gauge, |mut to| to.encode_gauge(&value))
    }

    fn bytes(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let (unit, kind) = (Some(&Unit::Bytes), MetricType::Gauge);
        self.metric(name, help, unit, kind, |mut to| to.encode_gauge(&value))
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.metric(name, help, None, MetricType::Counter, |mut to| {
            to.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: &[(&str, u64)],
    ) -> fmt::Result {
        self.metric(name, help, None, MetricType::Counter, |mut to| {
            values.iter().try_for_each(|(of, value)| {
                let labels = [(label, *of)];
                to.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(value, None)
            })
        })
    }

    fn histogram(&mut self, name: &str, help: &str, of: &Distribution) -> fmt::Result {
        let (unit, kind) = (Some(&Unit::Seconds), MetricType::Histogram);
        self.metric(name, help, unit, kind, |mut to| {
            to.encode_histogram::<NoLabelSet>(of.sum, of.count(), &of.buckets, None)
        })
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::collector::Collector;
    use prometheus_client::registry::Registry;

    use super::*;

    #[derive(Debug)]
    struct Counted(CountersSnapshot);

    impl Collector for Counted {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
            write(encoder, &self.0, &Census::default(), None)
        }
    }

    #[test]
    fn whatever_is_counted_is_on_the_page() {
        let text = |counters| {
            let mut registry = Registry::default();
            registry.register_collector(Box::new(Counted(counters)));
            super::super::prometheus_text(&registry)
        };
        let nothing = text(CountersSnapshot::default());
        for (name, counters) in CountersSnapshot::each_alone() {
            let differs = |(line, before): &(&str, &str)| line != before;
            let page = text(counters);
            let changed: Vec<_> = page.lines().zip(nothing.lines()).filter(differs).collect();
            assert!(
                matches!(&changed[..], [(line, _)] if line.ends_with(" 7")),
                "{name}: {changed:?}"
            );
        }
    }
}
