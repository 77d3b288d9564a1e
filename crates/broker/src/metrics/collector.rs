//! The metrics of a broker, as text or among others.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;

use super::{page, prometheus_text};
use crate::Broker;
use crate::broker::Core;

/// The metrics of a broker; cheap to clone. Take it as text, or register it as
/// a collector where a program has metrics of its own, and take these together
/// by [`prometheus_text`].
///
/// They cost the way of a message nothing: what they say is counted in any case,
/// once for all packets that one read has brought.
/// [`Options::measure_latency`](crate::Options::measure_latency) adds two
/// readings of the clock to each of these reads. Each time that the metrics are
/// asked for, every session is looked at, and locked for that moment: the time
/// grows with their number, once every ten seconds is plenty.
#[derive(Clone)]
pub struct Metrics {
    core: Arc<Core>,
}

impl Broker {
    /// The metrics, each time as they are then.
    pub fn metrics(&self) -> Metrics {
        Metrics::new(self.core.clone())
    }
}

impl Metrics {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// What [`Metrics::text`] is, for HTTP.
    pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    /// The metrics now, in the Prometheus text format.
    pub fn text(&self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        prometheus_text(&registry)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (counters, census) = (self.core.counters_snapshot(), self.core.census());
        page::write(encoder, &counters, &census, self.core.latencies.as_ref())
    }
}
