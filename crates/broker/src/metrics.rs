//! What is counted and measured, for Prometheus.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::broker::Core;
use crate::latency::Distribution;
use crate::{Broker, CountersSnapshot, Traffic};

/// The metrics of a broker; cheap to clone. Register it as a collector where a
/// program has metrics of its own, or take it as text.
#[derive(Clone)]
pub struct Metrics {
    core: Arc<Core>,
}

type Written = Result<(), fmt::Error>;

impl Broker {
    /// The metrics, each time as they are then.
    pub fn metrics(&self) -> Metrics {
        Metrics { core: self.core.clone() }
    }
}

impl Metrics {
    #[cfg(feature = "http")]
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// What [`Metrics::text`] is, for HTTP.
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// The metrics now, in the OpenMetrics text format, which Prometheus reads.
    pub fn text(&self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        let written = text::encode(&mut text, &registry);
        written.expect("a string takes whatever is written to it");
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Written {
        let mut page = Page { encoder };
        let counters = self.core.counters_snapshot();
        page.connections(&counters)?;
        page.traffic(&counters)?;
        page.drops(&counters)?;
        let census = self.core.census();
        page.gauge("queued_messages", "Messages that wait in queues.", census.queued_messages)?;
        let help = "Messages that wait in the longest queue.";
        page.gauge("longest_queue_messages", help, census.longest_queue)?;
        page.gauge("in_flight_messages", "Messages in flight.", census.in_flight)?;
        page.bytes("output", "Bytes that wait for sockets.", census.output_bytes)?;
        page.store(&counters)?;
        let Some(latencies) = &self.core.latencies else { return Ok(()) };
        let help = "From a connection's coming to its CONNACK.";
        page.histogram("connect_latency", help, &latencies.connect.get())?;
        let help = "From a message's being read to its being handed to the sockets.";
        page.histogram("publish_latency", help, &latencies.publish.get())?;
        page.histogram("commit_latency", "Of a commit to the store.", &latencies.commit.get())
    }
}

/// What is written, metric by metric.
struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Page<'_> {
    fn connections(&mut self, counters: &CountersSnapshot) -> Written {
        self.gauge("connections", "Connections that are open.", counters.connections)?;
        self.gauge("clients_connected", "Clients that are connected.", counters.clients_connected)?;
        self.gauge("sessions", "Sessions, connected or not.", counters.sessions)?;
        let help = "Sessions whose time without a connection ran out.";
        self.counter("sessions_expired", help, counters.sessions_expired)?;
        self.gauge("subscriptions", "Subscriptions.", counters.subscriptions)?;
        let help = "Shared ones of the subscriptions.";
        self.gauge("shared_subscriptions", help, counters.shared_subscriptions)?;
        let help = "Connections by what became of them when they came.";
        let results = [
            ("accepted", counters.connections_accepted),
            ("refused", counters.connections_refused),
        ];
        self.counters("connections_opened", help, "result", &results)?;
        self.counter("connects", "CONNECTs that came.", counters.connects)?;
        let help = "CONNECTs that were answered with a failure.";
        self.counter("connects_refused", help, counters.connects_refused)?;
        let help = "Connections that the broker closed, by why.";
        let reasons = [
            ("protocol_error", counters.protocol_errors),
            ("keep_alive", counters.keep_alive_timeouts),
            ("stalled", counters.stalled_closed),
            ("taken_over", counters.takeovers),
            ("live_reset", counters.live_resets),
        ];
        self.counters("connections_closed", help, "reason", &reasons)
    }

    fn traffic(&mut self, counters: &CountersSnapshot) -> Written {
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
        self.counter("unmatched_messages", help, counters.messages_unmatched)
    }

    fn drops(&mut self, counters: &CountersSnapshot) -> Written {
        let help = "Messages that a receiver did not get, by why.";
        let reasons = [
            ("queue_full", counters.dropped_queue_full),
            ("stalled", counters.dropped_stalled),
            ("store_full", counters.dropped_store_full),
            ("expired", counters.dropped_expired),
            ("too_large", counters.dropped_too_large),
            ("offline", counters.dropped_offline),
        ];
        self.counters("dropped_messages", help, "reason", &reasons)?;
        let help = "Messages that the broker did not take, by why.";
        let reasons = [
            ("not_allowed", counters.publishes_refused),
            ("retained_full", counters.retained_refused),
        ];
        self.counters("refused_messages", help, "reason", &reasons)
    }

    fn store(&mut self, counters: &CountersSnapshot) -> Written {
        self.gauge("retained_messages", "Retained messages.", counters.retained_messages)?;
        self.bytes("retained", "Bytes of retained messages.", counters.retained_bytes)?;
        self.bytes("waiting", "Bytes that wait for sessions.", counters.waiting_bytes)?;
        self.bytes("partial", "Bytes of packets that are not whole.", counters.partial_bytes)?;
        self.counter("store_commits", "Commits to the store.", counters.store_commits)?;
        self.counter("store_errors", "Commits that failed.", counters.store_errors)
    }

    fn metric(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        kind: MetricType,
        write: impl FnOnce(MetricEncoder<'_>) -> Written,
    ) -> Written {
        write(self.encoder.encode_descriptor(&format!("mqtt_{name}"), help, unit, kind)?)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> Written {
        self.metric(name, help, None, MetricType::Gauge, |mut to| to.encode_gauge(&value))
    }

    fn bytes(&mut self, name: &str, help: &str, value: u64) -> Written {
        let (unit, kind) = (Some(&Unit::Bytes), MetricType::Gauge);
        self.metric(name, help, unit, kind, |mut to| to.encode_gauge(&value))
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> Written {
        self.metric(name, help, None, MetricType::Counter, |mut to| {
            to.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    fn counters(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) -> Written {
        self.metric(name, help, None, MetricType::Counter, |mut to| {
            values.iter().try_for_each(|(of, value)| {
                let labels = [(label, *of)];
                to.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(value, None)
            })
        })
    }

    fn histogram(&mut self, name: &str, help: &str, of: &Distribution) -> Written {
        let (unit, kind) = (Some(&Unit::Seconds), MetricType::Histogram);
        self.metric(name, help, unit, kind, |mut to| {
            to.encode_histogram::<NoLabelSet>(of.sum, of.count(), &of.buckets, None)
        })
    }
}
