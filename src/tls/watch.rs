//! Reading the certificate again: when it is wished, and when its files are
//! others than before, as an ACME client makes them.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior};

use super::Certificates;
use crate::config::TlsSettings;
use crate::events::{Event, Events, Kind};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How often the log says that the certificate ends soon.
const WARN_EVERY: Duration = Duration::from_secs(24 * 3600);

/// What it is on record as.
const READ_AGAIN: &str = "read_certificate";

/// A wish to read the files now; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Reload(Arc<Notify>);

impl Reload {
    /// Has them read now, also if they are what they were.
    pub fn now(&self) {
        self.0.notify_one();
    }

    /// Waits for the wish.
    pub async fn wished(&self) {
        self.0.notified().await;
    }
}

/// What stands in the files, to see whether it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contents(Vec<Option<[u8; 32]>>);

impl Contents {
    /// Reads them; nothing for one that cannot be read.
    pub(super) fn of(settings: &TlsSettings) -> Self {
        let hash = |file| std::fs::read(file).ok().map(|bytes| Sha256::digest(bytes).into());
        Self(settings.files().map(|(_, file)| hash(file)).collect())
    }
}

/// Reads the files again when they have changed or when it is wished, for
/// ever.
pub async fn watch(certificates: Certificates, wish: Reload, events: Events) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut warned = Instant::now();
    let mut seen = certificates.read_from();
    loop {
        let is_wished = tokio::select! {
            () = wish.wished() => true,
            _ = looks.tick() => false,
        };
        let now = look(&certificates).await;
        // Two files are not replaced at once: it is waited until they stay.
        let has_settled = now == seen;
        seen = now;
        if is_wished || (has_settled && seen != certificates.read_from()) {
            read_again(&certificates, &events).await;
            warned = Instant::now();
        }
        if warned.elapsed() >= WARN_EVERY {
            warned = Instant::now();
            certificates.warn_of_end();
        }
    }
}

async fn read_again(certificates: &Certificates, events: &Events) {
    let reading = certificates.clone();
    match tokio::task::spawn_blocking(move || reading.reload()).await {
        Ok(Ok(())) => {
            let days = certificates.status().days_left().floor() as i64;
            tracing::info!(days, "the certificate was read again");
            events.record(Event::of_server(Kind::Server, READ_AGAIN));
            certificates.warn_of_end();
        }
        Ok(Err(error)) => {
            let error = format!("{error:#}");
            events.record(Event::of_server(Kind::Server, READ_AGAIN).failed(&error));
            tracing::error!(error, "the certificate was not taken; the one from before counts");
        }
        Err(error) => tracing::error!(%error, "read the certificate"),
    }
}

async fn look(certificates: &Certificates) -> Contents {
    let looking = certificates.clone();
    let look = move || Contents::of(looking.settings());
    // What ended on the way has seen nothing, which is no change worth a word.
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|_| certificates.read_from())
}
