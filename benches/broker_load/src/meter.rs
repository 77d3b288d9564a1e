//! What a piece of work costs the broker, and the generator.
use std::time::Instant;

use latchlight_contest::accounting;

use crate::outcome::{Figure, Outcome};

/// Reads the kernel's accounts at the beginning and at the end.
#[derive(Debug)]
pub struct Meter {
    pid: Option<u32>,
    begin: Instant,
    broker: f64,
    own: f64,
}

impl Meter {
    /// Begins now. With the broker's process its processor time and memory are read.
    ///
    /// # Errors
    /// /proc is not there.
    pub fn start(pid: Option<u32>) -> anyhow::Result<Self> {
        let broker = pid.map_or(0.0, accounting::tree_cpu_seconds);
        let own = accounting::own_cpu_seconds()?;
        Ok(Self { pid, begin: Instant::now(), broker, own })
    }

    /// When it began.
    pub fn begin(&self) -> Instant {
        self.begin
    }

    /// Writes down what it took until now, and how fast so much was done until `end`.
    ///
    /// # Errors
    /// /proc is not there.
    pub fn stop(&self, done: u64, end: Instant, outcome: &mut Outcome) -> anyhow::Result<()> {
        let own = accounting::own_cpu_seconds()? - self.own;
        let seconds = end.saturating_duration_since(self.begin).as_secs_f64();
        outcome.set(Figure::GeneratorCpu, own);
        outcome.set(Figure::Seconds, seconds);
        outcome.set(Figure::PerSecond, done as f64 / seconds.max(1e-9));
        if let Some(pid) = self.pid {
            let broker = accounting::tree_cpu_seconds(pid) - self.broker;
            outcome.set(Figure::BrokerCpu, broker);
            outcome.set(Figure::PeakMemory, accounting::tree_peak_memory_mib(pid));
        }
        Ok(())
    }
}
