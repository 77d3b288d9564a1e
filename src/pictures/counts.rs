//! What became of pictures, for Prometheus.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::PictureError;

/// From a thumbnail to the most pixels on a slow machine, in seconds.
const BOUNDS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The pictures that came since the start.
#[derive(Debug)]
pub(super) struct Counts {
    received: Family<[(&'static str, &'static str); 1], Counter>,
    bytes: Counter,
    deleted: Counter,
    decoding: Histogram,
}

impl Default for Counts {
    /// What can come of one at 0, so that the first is seen as a change.
    fn default() -> Self {
        let counts = Self {
            received: Family::default(),
            bytes: Counter::default(),
            deleted: Counter::default(),
            decoding: Histogram::new(BOUNDS),
        };
        for outcome in ["kept", "refused", "busy", "failed"] {
            drop(counts.received.get_or_create(&[("outcome", outcome)]));
        }
        counts
    }
}

impl Counts {
    /// A picture came; where it is kept, so many bytes of it.
    pub(super) fn received(&self, kept: Result<u64, &PictureError>) {
        let outcome = match kept {
            Ok(bytes) => {
                self.bytes.inc_by(bytes);
                "kept"
            }
            Err(PictureError::Busy | PictureError::TooSoon { .. }) => "busy",
            Err(PictureError::Storage(_)) => "failed",
            Err(_) => "refused",
        };
        self.received.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(super) fn decoded(&self, took: Duration) {
        self.decoding.observe(took.as_secs_f64());
    }

    pub(super) fn deleted(&self) {
        self.deleted.inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Pictures that came, by what became of them";
        registry.register("pictures_received", help, self.received.clone());
        let help = "Bytes of the pictures that were kept, as they are kept";
        registry.register("pictures_kept_bytes", help, self.bytes.clone());
        let help = "Pictures that were deleted, by somebody or to make room";
        registry.register("pictures_deleted", help, self.deleted.clone());
        let help = "How long decoding a picture and encoding it anew took";
        let decoding = self.decoding.clone();
        registry.register_with_unit("picture_decode_duration", help, Unit::Seconds, decoding);
    }
}
