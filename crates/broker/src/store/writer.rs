//! The thread that commits.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::recorder::{Entry, Pending};
use super::{Change, Recorder, Store, StoreError};
use crate::broker::Core;

/// How long after a failure the same batch is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Commits until it is told to stop.
pub(crate) struct Writer {
    recorder: Arc<Recorder>,
    thread: JoinHandle<()>,
}

impl Writer {
    pub(crate) fn start(
        core: &Arc<Core>,
        recorder: &Arc<Recorder>,
        store: Box<dyn Store>,
    ) -> io::Result<Self> {
        let (core, recorder) = (core.clone(), recorder.clone());
        let theirs = recorder.clone();
        let thread = std::thread::Builder::new().name("mqtt-store".to_owned());
        let thread = thread.spawn(move || run(&core, &theirs, store))?;
        Ok(Self { recorder, thread })
    }

    /// Commits what is pending and ends.
    pub(crate) fn stop(self) {
        self.recorder.pending.lock().stopping = true;
        self.recorder.filled.notify_one();
        if self.thread.join().is_err() {
            tracing::error!("the thread of the broker's store failed");
        }
    }
}

fn run(core: &Core, recorder: &Recorder, mut store: Box<dyn Store>) {
    while let Some(batch) = next(recorder) {
        if !commit(recorder, store.as_mut(), &batch, core) {
            return;
        }
        for session in recorder.made(batch.commit) {
            if let Some(session) = session.upgrade() {
                session.flush(core.clock.now(), &core.options, &core.counters);
            }
        }
        core.hooks.tell();
    }
}

/// What has gathered, as soon as there is anything; nothing at the end.
fn next(recorder: &Recorder) -> Option<Pending> {
    let mut pending = recorder.pending.lock();
    while pending.is_empty() {
        if pending.stopping {
            return None;
        }
        recorder.filled.wait(&mut pending);
    }
    drop(pending);
    Some(recorder.take())
}

/// Commits a batch, however long it takes; false: the broker closed before it
/// could be.
fn commit(recorder: &Recorder, store: &mut dyn Store, batch: &Pending, core: &Core) -> bool {
    loop {
        let error = match try_commit(store, batch) {
            Ok(()) => {
                if recorder.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("the broker's store takes changes again");
                }
                core.counters.store_commits.one();
                return true;
            }
            Err(error) => error,
        };
        core.counters.store_errors.one();
        if !recorder.failing.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "what depends on it is not acknowledged; trying again");
        }
        let again = Instant::now() + RETRY;
        let mut pending = recorder.pending.lock();
        while !pending.stopping && !recorder.filled.wait_until(&mut pending, again).timed_out() {}
        if pending.stopping {
            tracing::error!(%error, changes = batch.entries.len(), "the last changes are lost");
            return false;
        }
    }
}

fn try_commit(store: &mut dyn Store, batch: &Pending) -> Result<(), StoreError> {
    let forgotten: Vec<_> = batch.forgotten.iter().map(|number| number.to_be_bytes()).collect();
    let prefixes = forgotten.iter().map(|prefix| Change::DeletePrefix(prefix));
    let changes = batch.entries.iter().map(|(key, Entry { value, .. })| match value {
        Some(value) => Change::Put(key, value),
        None => Change::Delete(key),
    });
    store.commit(&mut prefixes.chain(changes))
}
