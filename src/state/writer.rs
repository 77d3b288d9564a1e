//! The one writer of config.json: changes that arrive together share a write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify, watch};

use super::ConfigFile;
use super::snapshot::Snapshot;

/// Counts the changes and says which of them are on disk.
pub(super) struct Writer {
    file: ConfigFile,
    /// The number of the newest change of the roster.
    newest: AtomicU64,
    /// How many writes have failed.
    failures: AtomicU64,
    /// Something changed that may wait.
    lazy: AtomicBool,
    wanted: Notify,
    progress: watch::Sender<Progress>,
    /// Held while a write is under way, so that no older one overtakes it;
    /// also while nobody waits for that write any more.
    writing: Arc<Mutex<()>>,
}

#[derive(Debug, Clone, Default)]
struct Progress {
    /// Changes up to this one are on disk.
    saved: u64,
    /// Changes up to this one were tried and are not on disk.
    failed: u64,
    /// The newest write did not work.
    failing: bool,
    error: Arc<str>,
}

impl Writer {
    pub(super) fn new(file: ConfigFile) -> Self {
        Self {
            file,
            newest: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            lazy: AtomicBool::new(false),
            wanted: Notify::new(),
            progress: watch::Sender::default(),
            writing: Arc::default(),
        }
    }

    /// A change of the roster was made: waits until it is on disk.
    pub(super) async fn changed(&self) -> Result<(), String> {
        let number = self.newest.fetch_add(1, Ordering::SeqCst) + 1;
        self.wanted.notify_one();
        self.wait_for(number).await
    }

    /// Nothing new, but what was changed before must be on disk.
    pub(super) async fn settled(&self) -> Result<(), String> {
        self.wait_for(self.newest.load(Ordering::SeqCst)).await
    }

    /// Something changed that need not be on disk at once.
    pub(super) fn changed_lazily(&self) {
        self.lazy.store(true, Ordering::SeqCst);
    }

    pub(super) fn last_result(&self) -> Result<(), String> {
        let progress = self.progress.borrow();
        if progress.failing { Err(progress.error.to_string()) } else { Ok(()) }
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    async fn wait_for(&self, number: u64) -> Result<(), String> {
        let mut progress = self.progress.subscribe();
        let reached = progress.wait_for(|p| p.saved >= number || p.failed >= number).await;
        let reached = reached.map_err(|_| "the writer has stopped".to_owned())?;
        if reached.saved >= number { Ok(()) } else { Err(reached.error.to_string()) }
    }

    /// Writes whenever something changed, for ever.
    pub(super) async fn run(&self, lazily: Duration, snapshot: impl Fn() -> Snapshot) {
        let mut tick = tokio::time::interval(lazily);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.wanted.notified() => {}
                _ = tick.tick() => {
                    if !self.lazy.load(Ordering::SeqCst) {
                        continue;
                    }
                }
            }
            if let Err(error) = self.write(&snapshot).await {
                tracing::error!(%error, "save the state");
            }
        }
    }

    /// Takes a snapshot and writes it, after whoever writes meanwhile.
    pub(super) async fn write(&self, snapshot: &impl Fn() -> Snapshot) -> Result<(), String> {
        let turn = self.writing.clone().lock_owned().await;
        // Taken before the snapshot: the snapshot has at least these changes.
        let number = self.newest.load(Ordering::SeqCst);
        self.lazy.store(false, Ordering::SeqCst);
        let state = snapshot();
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || {
            let text =
                serde_json::to_string(&state.into_saved()).map_err(|error| error.to_string());
            (text.and_then(|text| file.replace_state(&text).map_err(|e| e.to_string())), turn)
        });
        let (result, _turn) = match written.await {
            Ok((result, turn)) => (result, Some(turn)),
            Err(error) => (Err(error.to_string()), None),
        };
        if result.is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        self.progress.send_modify(|progress| match &result {
            Ok(()) => {
                progress.saved = progress.saved.max(number);
                progress.failing = false;
            }
            Err(error) => {
                progress.failed = progress.failed.max(number);
                progress.failing = true;
                progress.error = error.as_str().into();
                // What could not be saved is tried again at the next tick.
                self.lazy.store(true, Ordering::SeqCst);
            }
        });
        result
    }
}
