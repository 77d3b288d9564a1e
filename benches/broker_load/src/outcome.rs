//! What a piece of work gave.
use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

/// A figure that a piece of work gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// The broker's processor time, user and system, in seconds.
    BrokerCpu,
    /// The generator's, in seconds.
    GeneratorCpu,
    /// How long it took, in seconds.
    Seconds,
    /// Messages (or connections) per second.
    PerSecond,
    /// The most resident memory of the broker since it was started, in MiB.
    PeakMemory,
    /// Deliveries of QoS 0 that did not come.
    Lost,
    /// Half of the latencies are below, in microseconds.
    P50,
    /// 99 of 100 latencies are below, in microseconds.
    P99,
    /// 999 of 1,000 latencies are below, in microseconds.
    P999,
    /// The longest latency, in microseconds.
    Max,
    /// [`Figure::P99`] while one subscriber does not read, in microseconds.
    P99Beside,
    /// The broker's memory per connection, in bytes.
    BytesPerConnection,
    /// The broker's memory per subscription, in bytes.
    BytesPerSubscription,
    /// How much of the memory that clients took is free after they left, in percent.
    Returned,
    /// Clients that were not let in.
    Refused,
    /// Clients or connections that took part, where that depends on the machine.
    Connections,
}

impl Figure {
    /// What it is called in a table.
    pub fn label(self) -> &'static str {
        match self {
            Self::BrokerCpu => "processor time",
            Self::GeneratorCpu => "generator's processor time",
            Self::Seconds => "time",
            Self::PerSecond => "per second",
            Self::PeakMemory => "highest memory",
            Self::Lost => "lost",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Max => "longest",
            Self::P99Beside => "p99 beside who does not read",
            Self::BytesPerConnection => "memory per connection",
            Self::BytesPerSubscription => "memory per subscription",
            Self::Returned => "memory returned",
            Self::Refused => "not let in",
            Self::Connections => "connections",
        }
    }

    /// A value of it, with its unit.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::BrokerCpu | Self::GeneratorCpu | Self::Seconds => format!("{value:.2} s"),
            Self::PeakMemory => format!("{value:.0} MiB"),
            Self::P50 | Self::P99 | Self::P999 | Self::Max | Self::P99Beside => {
                if value < 10_000.0 {
                    format!("{value:.0} µs")
                } else {
                    format!("{:.1} ms", value / 1000.0)
                }
            }
            Self::BytesPerConnection | Self::BytesPerSubscription => format!("{value:.0} B"),
            Self::Returned => format!("{value:.0} %"),
            Self::PerSecond | Self::Lost | Self::Refused | Self::Connections => {
                format!("{value:.0}")
            }
        }
    }
}

/// What a piece of work gave.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// What was measured.
    pub figures: BTreeMap<Figure, f64>,
    /// What was not as it must be: with any of these the figures count for nothing.
    pub failures: Vec<String>,
}

impl Outcome {
    /// Writes a figure down.
    pub fn set(&mut self, figure: Figure, value: f64) {
        self.figures.insert(figure, value);
    }

    /// A figure, if it was measured.
    pub fn get(&self, figure: Figure) -> Option<f64> {
        self.figures.get(&figure).copied()
    }

    /// Says that something is not as it must be, if it is not.
    pub fn require(&mut self, is_so: bool, otherwise: impl FnOnce() -> String) {
        if !is_so {
            self.failures.push(otherwise());
        }
    }

    /// Writes down the quantiles of latencies that were recorded in nanoseconds.
    pub fn set_latencies(&mut self, histogram: &Histogram<u64>) {
        let micros = |nanos: u64| nanos as f64 / 1000.0;
        self.set(Figure::P50, micros(histogram.value_at_quantile(0.5)));
        self.set(Figure::P99, micros(histogram.value_at_quantile(0.99)));
        self.set(Figure::P999, micros(histogram.value_at_quantile(0.999)));
        self.set(Figure::Max, micros(histogram.max()));
    }
}

/// A histogram of latencies in nanoseconds: from a microsecond to a minute, with three digits.
///
/// # Panics
/// Never: the bounds are good.
pub fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 3).expect("the bounds are good")
}
