//! Events on disk: written in batches, one statement for all that wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::handle::Shared;
use super::{Event, EventError, Kind};
use crate::database::{Wording, WriteError, Writer};

/// How many go with one statement.
const BATCH: usize = 1024;

/// How long an event that nobody waits for may wait for others.
const MOMENT: Duration = Duration::from_millis(50);

/// How often it is looked at what was gathered, and how soon what the database
/// did not take is given to it again.
const LOOK: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_secs(1);

const WRITE: Wording = Wording {
    sqlite: "INSERT INTO events \
        (at, kind, actor, through, address, device, command, action, result, detail, times) \
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
               value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10 \
        FROM json_each($1)",
    postgres: "INSERT INTO events \
        (at, kind, actor, through, address, device, command, action, result, detail, times) \
        SELECT (value ->> 0)::bigint, value ->> 1, value ->> 2, value ->> 3, value ->> 4, \
               value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9, \
               (value ->> 10)::bigint \
        FROM json_array_elements($1::json) WITH ORDINALITY AS rows (value, place) ORDER BY place",
};

/// What comes to the writer.
pub(super) enum Message {
    /// An event.
    Entry(Entry),
    /// Nothing more will; told when all is written.
    Close(oneshot::Sender<()>),
}

/// An event, and who waits until it is on disk.
pub(super) struct Entry {
    pub(super) event: Event,
    pub(super) done: Option<oneshot::Sender<Result<(), EventError>>>,
}

struct Batch {
    shared: Arc<Shared>,
    entries: Vec<Entry>,
    closing: Option<oneshot::Sender<()>>,
    failing: bool,
}

/// Writes until it is closed.
pub(super) async fn run(
    writer: Writer,
    mut receiver: mpsc::Receiver<Message>,
    shared: Arc<Shared>,
) {
    let mut batch = Batch { shared, entries: Vec::new(), closing: None, failing: false };
    let mut messages = Vec::new();
    while batch.closing.is_none() {
        let pause = if batch.failing { AGAIN } else { LOOK };
        let receive = receiver.recv_many(&mut messages, BATCH);
        if tokio::time::timeout(pause, receive).await == Ok(0) {
            return;
        }
        batch.take(&mut messages);
        let gather = async {
            while !batch.is_urgent() && batch.entries.len() < BATCH {
                if receiver.recv_many(&mut messages, BATCH).await == 0 {
                    return;
                }
                batch.take(&mut messages);
            }
        };
        let _ = tokio::time::timeout(MOMENT, gather).await;
        if batch.closing.is_some() {
            receiver.close();
            while let Ok(message) = receiver.try_recv() {
                messages.push(message);
            }
            batch.take(&mut messages);
        }
        batch.write(&writer).await;
    }
    if let Some(closed) = batch.closing {
        let _ = closed.send(());
    }
}

impl Batch {
    fn take(&mut self, messages: &mut Vec<Message>) {
        for message in messages.drain(..) {
            match message {
                Message::Entry(entry) => self.entries.push(entry),
                Message::Close(closed) => self.closing = Some(closed),
            }
        }
    }

    /// Somebody waits.
    fn is_urgent(&self) -> bool {
        self.closing.is_some() || self.entries.iter().any(|entry| entry.done.is_some())
    }

    async fn write(&mut self, writer: &Writer) {
        let (now, all) = (Instant::now(), self.closing.is_some());
        let mut due = self.shared.gathering.lock().due(now, all);
        due.extend(self.shared.observations.lock().due(now, all));
        self.entries.extend(due.into_iter().map(|event| Entry { event, done: None }));
        let lost = self.shared.counts.take_lost();
        if lost > 0 {
            let event = Event::of_server(Kind::Record, "record").times(lost);
            let event = event.failed("so many events are not on record: too many came at once");
            self.entries.push(Entry { event, done: None });
        }
        if self.entries.is_empty() {
            return;
        }
        match write(writer, &self.entries).await {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("events are on record again");
                }
                for Entry { event, done } in self.entries.drain(..) {
                    self.shared.counts.recorded(event.kind);
                    let _ = done.map(|done| done.send(Ok(())));
                }
            }
            // The writer has them, and gives them to the database again.
            Err(error @ WriteError::InDoubt(_)) => {
                self.shared.counts.write_failed();
                tracing::error!(%error, "events are not on record for now");
                let error = EventError::from(error);
                for done in self.entries.drain(..).filter_map(|entry| entry.done) {
                    let _ = done.send(Err(error.clone()));
                }
            }
            Err(error) => self.keep(&error.into()),
        }
    }

    /// What the database did not take is given to it again, up to a bound; but
    /// who waits is told at once.
    fn keep(&mut self, error: &EventError) {
        self.shared.counts.write_failed();
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(%error, "events are not on record for now");
        }
        let mut kept = Vec::new();
        for Entry { event, done } in self.entries.drain(..) {
            match done {
                Some(done) => drop(done.send(Err(error.clone()))),
                None if kept.len() < BATCH => kept.push(Entry { event, done: None }),
                None => self.shared.counts.lost(event.times),
            }
        }
        self.entries = kept;
    }
}

async fn write(writer: &Writer, entries: &[Entry]) -> Result<(), WriteError> {
    let rows: Vec<_> = entries.iter().map(|entry| row(&entry.event)).collect();
    let rows = serde_json::to_string(&rows).expect("numbers and texts are JSON");
    writer.write(&WRITE, rows, entries.len()).await
}

/// An event in the order of the columns.
fn row(event: &Event) -> impl serde::Serialize {
    (
        event.at.as_millisecond(),
        event.kind,
        &event.actor,
        event.through,
        event.address,
        &event.device,
        event.command,
        &event.action,
        event.result,
        &event.detail,
        event.times,
    )
}
