//! What the database is given to write, and how long that takes, for
//! Prometheus.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// From a fast disk to one that is about to be given up, in seconds.
const TIMES: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// From a row by itself to the largest batch.
const ROWS: [f64; 8] = [1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1024.0];

/// The writes of records since the start.
#[derive(Debug)]
pub(super) struct Counts {
    rows: Histogram,
    waited: Histogram,
    took: Histogram,
    errors: Counter,
    put_aside: Counter,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            rows: Histogram::new(ROWS),
            waited: Histogram::new(TIMES),
            took: Histogram::new(TIMES),
            errors: Counter::default(),
            put_aside: Counter::default(),
        }
    }
}

impl Counts {
    /// Somebody had to wait so long for the connection.
    pub(super) fn waited(&self, waited: Duration) {
        self.waited.observe(waited.as_secs_f64());
    }

    /// So many rows are on disk, which took so long.
    pub(super) fn wrote(&self, rows: usize, took: Duration) {
        self.rows.observe(rows as f64);
        self.took.observe(took.as_secs_f64());
    }

    pub(super) fn failed(&self) {
        self.errors.inc();
    }

    /// A row that waited, and that the database will never take.
    pub(super) fn put_aside(&self) {
        self.put_aside.inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Rows that records are written with at once";
        registry.register("database_write_rows", help, self.rows.clone());
        let help = "How long a write of records waited for those before it";
        let waited = self.waited.clone();
        registry.register_with_unit("database_write_wait", help, Unit::Seconds, waited);
        let help = "How long a write of records took until it was on disk";
        let took = self.took.clone();
        registry.register_with_unit("database_write_duration", help, Unit::Seconds, took);
        let help = "Writes of records that the database did not take";
        registry.register("database_write_errors", help, self.errors.clone());
        let help = "Records that waited for PostgreSQL and that it refused for good";
        registry.register("database_put_aside", help, self.put_aside.clone());
    }
}
