//! The thread that commits.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::recorder::{Entry, HANGS, Pending};
use super::{Change, Recorder, Store, StoreError};
use crate::broker::Core;

/// How long after a failure the same batch is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// How often the log says that it still fails.
const SAY_AGAIN: Duration = Duration::from_secs(60);

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
        let Some(commit) = commit(recorder, store.as_mut(), batch, core) else { return };
        let_go(core, recorder, commit);
    }
}

/// Writes what has waited for a commit.
pub(super) fn let_go(core: &Core, recorder: &Recorder, commit: u64) {
    for session in recorder.made(commit) {
        if let Some(session) = session.upgrade() {
            session.flush(core.clock.now(), &core.options, &core.counters);
        }
    }
}

/// What has gathered, as soon as there is anything; nothing at the end.
fn next(recorder: &Recorder) -> Option<Pending> {
    let mut pending = recorder.pending.lock();
    while !pending.is_due {
        if pending.stopping {
            return None;
        }
        recorder.filled.wait(&mut pending);
    }
    drop(pending);
    Some(recorder.take())
}

/// Commits a batch, however long it takes; gives the number of the commit.
/// Nothing: the broker closed before it could be.
fn commit(
    recorder: &Recorder,
    store: &mut dyn Store,
    mut batch: Pending,
    core: &Core,
) -> Option<u64> {
    // When it has failed first, and when that was said last.
    let mut trouble: Option<(Instant, Instant)> = None;
    let mut is_lost = false;
    loop {
        let Err(error) = attempt(recorder, store, &mut batch, &mut is_lost, core) else {
            if let Some((since, _)) = trouble {
                let seconds = since.elapsed().as_secs();
                tracing::warn!(seconds, is_lost, "the broker's store takes changes again");
            }
            return Some(batch.commit);
        };
        let now = Instant::now();
        let (since, said) = trouble.get_or_insert((now, now));
        if *since == now || now.duration_since(*said) >= SAY_AGAIN {
            *said = now;
            tracing::error!(%error, "what depends on it is not acknowledged; trying again");
        }
        let again = now + RETRY;
        let mut pending = recorder.pending.lock();
        while !pending.stopping && !recorder.filled.wait_until(&mut pending, again).timed_out() {}
        if pending.stopping {
            let changes = batch.entries.len() + batch.forgotten.len();
            core.counters.store_lost.add(changes as u64);
            tracing::error!(%error, changes, "the last changes are lost");
            return None;
        }
    }
}

/// Tries once to commit a batch; all there is, if the store has lost what it
/// had.
pub(super) fn attempt(
    recorder: &Recorder,
    store: &mut dyn Store,
    batch: &mut Pending,
    is_lost: &mut bool,
    core: &Core,
) -> Result<(), StoreError> {
    if batch.is_empty() && !*is_lost {
        // What was noted was taken back: the store is as it should be.
        return Ok(());
    }
    let began = core.latencies.as_ref().map(|_| Instant::now());
    let result = match *is_lost {
        true => store.begin_anew().and_then(|()| {
            // What failed before is part of everything.
            *batch = recorder.take_everything(core);
            try_commit(recorder, store, batch)
        }),
        false => try_commit(recorder, store, batch),
    };
    recorder.failing.store(result.is_err(), Ordering::Relaxed);
    match &result {
        Ok(()) => {
            if let (Some(latencies), Some(began)) = (&core.latencies, began) {
                latencies.commit.note(began.elapsed(), 1);
            }
            core.counters.store_commits.one();
        }
        Err(error) => {
            *is_lost |= error.is_lost();
            core.counters.store_errors.one();
        }
    }
    result
}

fn try_commit(
    recorder: &Recorder,
    store: &mut dyn Store,
    batch: &Pending,
) -> Result<(), StoreError> {
    let forgotten: Vec<_> = batch.forgotten.iter().map(|number| number.to_be_bytes()).collect();
    let prefixes = forgotten.iter().map(|prefix| Change::DeletePrefix(prefix));
    let changes = batch.entries.iter().map(|(key, Entry { value, .. })| match value {
        Some(value) => Change::Put(key, value),
        None => Change::Delete(key),
    });
    recorder.begins();
    let result = store.commit(&mut prefixes.chain(changes));
    let took = recorder.ends();
    if took > HANGS {
        tracing::error!(milliseconds = took, "the broker's store was slow");
    }
    result
}
