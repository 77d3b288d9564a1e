//! Messages on disk: written in batches, one statement for all that came and
//! one for all that have ended.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::load::Place;
use super::outbox::{Outbox, Waiting};
use super::{Ending, Message, MessageError, MessageId, rows};
use crate::database::{self, WriteError, Writer};

/// How many writes may wait; who comes later waits for a place.
pub(super) const WAITING: usize = 1024;

/// How soon the database is told again what it did not take.
const AGAIN: Duration = Duration::from_secs(1);

/// What comes to the journal.
pub(super) enum Entry {
    /// Messages, and what waits for the broker of each that is to be sent.
    Came { messages: Vec<(Message, Option<Waiting>)>, done: oneshot::Sender<Saved> },
    /// A message has ended.
    Ended(Ended),
    /// Nothing more will come; told when all is written.
    Close(oneshot::Sender<()>),
}

/// How many of the messages that came together are on disk.
#[derive(Default)]
pub(super) struct Saved {
    /// Of the first ones.
    pub(super) count: usize,
    /// Of how many behind them it is not known; they are not sent.
    pub(super) in_doubt: usize,
    /// Why the others are not.
    pub(super) error: Option<MessageError>,
}

/// A message that has ended.
pub(super) struct Ended {
    pub(super) id: MessageId,
    pub(super) ending: Ending,
    pub(super) at: Timestamp,
    /// Who waits for that, if anybody does still.
    pub(super) told: Option<oneshot::Sender<Ending>>,
    /// It counts as waiting until its end is on disk.
    pub(super) _place: Place,
}

struct Journal {
    writer: Writer,
    outbox: Arc<Outbox>,
    came: Vec<Entry>,
    /// Not more than there are places in the outbox.
    ended: Vec<Ended>,
    failing: bool,
}

/// Writes until it is closed.
pub(super) async fn run(writer: Writer, outbox: Arc<Outbox>, mut receiver: mpsc::Receiver<Entry>) {
    let (came, ended) = (Vec::new(), Vec::new());
    let mut journal = Journal { writer, outbox, came, ended, failing: false };
    let mut batch = Vec::new();
    let mut closed = None;
    while closed.is_none() {
        let receive = receiver.recv_many(&mut batch, WAITING);
        let received = match journal.ended.is_empty() {
            true => receive.await,
            false => tokio::time::timeout(AGAIN, receive).await.unwrap_or(1),
        };
        if received == 0 {
            return;
        }
        closed = journal.take(&mut batch);
        if closed.is_some() {
            receiver.close();
            while let Ok(entry) = receiver.try_recv() {
                batch.push(entry);
            }
            drop(journal.take(&mut batch));
        }
        journal.write().await;
    }
    if let Some(closed) = closed {
        let _ = closed.send(());
    }
}

impl Journal {
    fn take(&mut self, batch: &mut Vec<Entry>) -> Option<oneshot::Sender<()>> {
        let mut closed = None;
        for entry in batch.drain(..) {
            match entry {
                Entry::Came { .. } => self.came.push(entry),
                Entry::Ended(ended) => self.ended.push(ended),
                Entry::Close(done) => closed = Some(done),
            }
        }
        closed
    }

    async fn write(&mut self) {
        if !self.came.is_empty() {
            self.write_those_that_came().await;
        }
        if !self.ended.is_empty() {
            self.write_those_that_ended().await;
        }
    }

    /// What is on disk goes to the outbox, in the order of its ids.
    async fn write_those_that_came(&mut self) {
        let mut all = self.save().await;
        if let Some(error) = &all.error {
            self.outbox.counts.record_failed();
            tracing::error!(%error, "messages are not accepted");
        }
        for entry in self.came.drain(..) {
            let Entry::Came { messages, done } = entry else { continue };
            let saved = all.split_off(messages.len());
            for (place, (_, waiting)) in messages.into_iter().enumerate() {
                let Some(waiting) = waiting else { continue };
                if place < saved.count {
                    Outbox::enter(&self.outbox, waiting);
                } else if place < saved.count + saved.in_doubt {
                    self.ended.push(Ended::in_doubt(waiting));
                }
            }
            let _ = done.send(saved);
        }
    }

    /// Writes what came, piece by piece, until one fails.
    async fn save(&self) -> Saved {
        let mut saved = Saved::default();
        let all = self.came.iter().flat_map(|entry| match entry {
            Entry::Came { messages, .. } => messages.as_slice(),
            Entry::Ended(_) | Entry::Close(_) => &[],
        });
        let rows = all.map(|(message, _)| rows::json(message));
        for (piece, count) in database::pieces(rows) {
            // What waits for a database that is away is for commands and events:
            // its room is not to be full of messages.
            if self.writer.is_away() {
                saved.error = Some(MessageError("the database is away".into()));
                break;
            }
            if let Err(error) = rows::insert(&self.writer, piece, count).await {
                if matches!(error, WriteError::InDoubt(_)) {
                    saved.in_doubt = count;
                }
                saved.error = Some(error.into());
                break;
            }
            saved.count += count;
        }
        saved
    }

    /// Whoever waits is told what became of a message, whether that can be
    /// written or not: the next run of the server would send it again.
    async fn write_those_that_ended(&mut self) {
        let marks: Vec<_> = self.ended.iter().map(Ended::mark).collect();
        let written = rows::mark(&self.writer, &marks).await;
        for ended in &mut self.ended {
            if let Some(told) = ended.told.take() {
                let _ = told.send(ended.ending.clone());
            }
        }
        match written {
            Ok(()) => {
                self.ended.clear();
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the ends of messages are on record again");
                }
            }
            Err(error) => {
                self.outbox.counts.record_failed();
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "the ends of messages are not on record for now");
                }
            }
        }
    }
}

impl Saved {
    /// What of it is about the first so many.
    fn split_off(&mut self, messages: usize) -> Self {
        let count = self.count.min(messages);
        let in_doubt = self.in_doubt.min(messages - count);
        self.count -= count;
        self.in_doubt -= in_doubt;
        let error = self.error.clone().filter(|_| count < messages);
        Self { count, in_doubt, error }
    }
}

impl Ended {
    /// One of which it is not known whether it is on record: whoever sent it was
    /// told so, and where it is there it says that it was not sent.
    fn in_doubt(waiting: Waiting) -> Self {
        let why = "whether it was on record was not known when it was to be sent";
        let (id, ending) = (waiting.message.id, Ending::Failed(why.to_owned()));
        Self { id, ending, at: Timestamp::now(), told: None, _place: waiting.place }
    }

    fn mark(&self) -> rows::Mark<'_> {
        let Self { id, ending, at, .. } = self;
        (id.as_i64(), ending.state().as_str(), at.as_millisecond(), ending.detail())
    }
}
