//! The streams of events that are open: how many there may be, and whose.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ApiError;
use crate::config::HttpSettings;
use crate::identity::Principal;

/// How many streams may read what they lack at once, so that all who come back
/// after a restart leave the database to others, too.
const READERS: usize = 2;

/// The streams that are open.
pub(super) struct Streams(Arc<Inner>);

struct Inner {
    most: usize,
    most_of_account: usize,
    /// How many there are, by whose they are.
    open: Mutex<HashMap<String, usize>>,
    readers: Arc<Semaphore>,
    cut_off: Counter,
    refused: Counter,
}

/// The place of one stream, as long as it is held.
pub(super) struct Place {
    streams: Arc<Inner>,
    whose: String,
}

impl Streams {
    pub(super) fn new(settings: &HttpSettings) -> Self {
        Self(Arc::new(Inner {
            most: settings.most_streams(),
            most_of_account: settings.streams_per_account,
            open: Mutex::default(),
            readers: Arc::new(Semaphore::new(READERS)),
            cut_off: Counter::default(),
            refused: Counter::default(),
        }))
    }

    /// A place for one more stream.
    ///
    /// # Errors
    /// There are as many as may be, in all or of this account.
    pub(super) fn enter(&self, principal: &Principal) -> Result<Place, ApiError> {
        let Self(streams) = self;
        let whose = principal.key();
        let refused = |error| {
            streams.refused.inc();
            Err(error)
        };
        let mut open = streams.open.lock();
        if open.values().sum::<usize>() >= streams.most {
            let why = format!(
                "{} streams are open, and the setting http.streams allows no more",
                streams.most
            );
            return refused(ApiError::Busy(why));
        }
        let own = open.entry(whose.clone()).or_default();
        if *own >= streams.most_of_account {
            let why = format!(
                "{own} streams of this account are open, and the setting \
                 http.streams_per_account allows no more: close one first"
            );
            return refused(ApiError::TooMany(why));
        }
        *own += 1;
        drop(open);
        Ok(Place { streams: streams.clone(), whose })
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let Self(streams) = self;
        let open = streams.open.lock().values().sum::<usize>();
        let open = ConstGauge::new(i64::try_from(open).unwrap_or(i64::MAX));
        registry.register("event_streams", "Streams of events that are open", open);
        let help = "Streams of events that were cut off, for too much waited for who read them";
        registry.register("event_streams_cut_off", help, streams.cut_off.clone());
        let help = "Streams of events that were refused, for too many were open";
        registry.register("event_streams_refused", help, streams.refused.clone());
    }
}

impl Place {
    /// The turn of one that reads what it lacks.
    pub(super) async fn reader(&self) -> Option<OwnedSemaphorePermit> {
        self.streams.readers.clone().acquire_owned().await.ok()
    }

    /// Its reader was too slow.
    pub(super) fn is_cut_off(&self) {
        self.streams.cut_off.inc();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock();
        if let Some(own) = open.get_mut(&self.whose) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.whose);
            }
        }
    }
}
