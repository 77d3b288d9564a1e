//! The front of the message gateway: cloneable, one verb per request.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::draft::Rules;
use super::journal::{self, Entry, Saved};
use super::load::Load;
use super::outbox::{Leave, Outbox, Until, Waiting};
use super::retention::Retention;
use super::{
    Draft, Ending, Filter, InvalidDraft, Message, MessageError, MessageId, MessageState,
    NewMessage, NotAccepted, Position, Sending, Total, received, rows, scan,
};
use crate::config::MessageSettings;
use crate::database::{Database, Pool};
use crate::device_interface::link::{Heard, Link, Recording};
use crate::device_interface::topics::Topics;
use crate::events::Events;
use crate::identity::{Permissions, Principal};

/// How long the stop waits for what is on its way, and for the disk.
const STOPPING: Duration = Duration::from_secs(5);

/// The message gateway; cheap to clone.
#[derive(Clone)]
pub struct Messages(Arc<Inner>);

struct Inner {
    pool: Pool,
    journal: mpsc::Sender<Entry>,
    outbox: Arc<Outbox>,
    load: Load,
    rules: Arc<Rules>,
    /// The most bytes of a payload, as the settings are now.
    largest: usize,
    /// How long a message waits that does not say so itself.
    queue_for: Duration,
    /// The last id that was given.
    last: Mutex<MessageId>,
    /// What an earlier run has accepted and not marked.
    left: Mutex<Vec<Waiting>>,
    /// What is received, until it is recorded.
    heard: Mutex<Option<mpsc::Receiver<Heard>>>,
    recording: Recording,
    retention: Retention,
}

/// What the gateway works with.
pub struct MessageParts {
    /// Where the broker is.
    pub link: Arc<dyn Link>,
    /// Where nobody may send.
    pub topics: Arc<Topics>,
    /// Who may still send when a message's turn has come.
    pub permissions: Permissions,
    /// Where it stands who might not.
    pub events: Events,
    /// What is to be recorded of what others send.
    pub recording: Recording,
    /// What came of that.
    pub heard: mpsc::Receiver<Heard>,
}

impl Messages {
    /// Starts the journal, and finds what an earlier run has left.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn open(
        database: &Database,
        settings: &MessageSettings,
        parts: MessageParts,
    ) -> Result<Self, MessageError> {
        let MessageParts { link, topics, permissions, events, recording, heard } = parts;
        let (pool, queue_for) = (database.pool.clone(), settings.queue_for());
        let load = Load::new(settings.outbox, settings.outbox_bytes);
        let left = rows::waiting(&pool).await?;
        let left =
            left.into_iter().map(|message| Waiting::left(message, &load, queue_for)).collect();
        let last = rows::newest(&pool).await?;
        let rules = Arc::new(Rules::new(settings, topics, link.has_properties()));
        let leave = Leave { rules: rules.clone(), permissions, events };
        let (journal, entries) = mpsc::channel(journal::WAITING);
        let outbox = Arc::new(Outbox::new(leave, link, journal.clone()));
        tokio::spawn(journal::run(database.writer.clone(), outbox.clone(), entries));
        let retention = Retention::new(pool.clone(), database.writer.clone(), settings);
        let (last, left) = (Mutex::new(last), Mutex::new(left));
        Ok(Self(Arc::new(Inner {
            pool,
            journal,
            outbox,
            load,
            rules,
            largest: settings.max_bytes,
            queue_for,
            last,
            left,
            heard: Mutex::new(Some(heard)),
            recording,
            retention,
        })))
    }

    /// Sends what an earlier run has left, and records what comes from now on.
    pub fn resume(&self) {
        if let Some(heard) = self.0.heard.lock().take() {
            tokio::spawn(received::record(self.clone(), heard));
        }
        let left = std::mem::take(&mut *self.0.left.lock());
        if !left.is_empty() {
            tracing::info!(messages = left.len(), "messages of an earlier run are sent");
        }
        for waiting in left {
            Outbox::enter(&self.0.outbox, waiting);
        }
    }

    /// A message that can be sent.
    ///
    /// # Errors
    /// It is none, or may not go there.
    pub fn check(&self, new: NewMessage) -> Result<Draft, InvalidDraft> {
        self.0.rules.check(new)
    }

    /// Accepts messages in their order: each is on disk when this returns, and
    /// on its way, or was not accepted.
    pub async fn send(
        &self,
        drafts: Vec<Draft>,
        principal: &Principal,
    ) -> Vec<Result<Sending, NotAccepted>> {
        let inner = &*self.0;
        if inner.outbox.is_closing() {
            return drafts.iter().map(|_| Err(NotAccepted::Closing)).collect();
        }
        let is_up = inner.outbox.is_up();
        let Ok(permit) = inner.journal.reserve().await else {
            return drafts.iter().map(|_| Err(NotAccepted::Closing)).collect();
        };
        let (done, written) = oneshot::channel();
        let mut accepted = Vec::with_capacity(drafts.len());
        let mut messages = Vec::with_capacity(drafts.len());
        {
            // Ids go into the journal in their order.
            let mut last = inner.last.lock();
            for draft in drafts {
                let id = MessageId::after(*last, Timestamp::now());
                let taken = inner.take(draft, id, principal, is_up);
                accepted.push(taken.map(|(message, waiting, sending)| {
                    *last = id;
                    messages.push((message, waiting));
                    sending
                }));
            }
            permit.send(Entry::Came { messages, done });
        }
        let gone = || MessageError("its writer has stopped".into());
        let gone = |_| Saved { error: Some(gone()), ..Saved::default() };
        let Saved { count, in_doubt, error } = written.await.unwrap_or_else(gone);
        let Some(error) = error else { return accepted };
        let mut place = 0..;
        let of_each = accepted.into_iter().map(|taken| {
            let sending = taken?;
            match place.next() {
                Some(place) if place < count => Ok(sending),
                Some(place) if place < count + in_doubt => Err(NotAccepted::InDoubt(sending.id)),
                _ => Err(NotAccepted::NotSaved(error.clone())),
            }
        });
        of_each.collect()
    }

    /// Puts on record what others have sent; what the database does not take is
    /// lost, and counted.
    pub(super) async fn receive(&self, heard: Vec<Heard>) {
        let inner = &*self.0;
        let many = heard.len() as u64;
        let Ok(permit) = inner.journal.reserve().await else { return };
        let (done, written) = oneshot::channel();
        {
            // Ids go into the journal in their order.
            let mut last = inner.last.lock();
            let now = Timestamp::now();
            let messages = heard.into_iter().map(|heard| {
                *last = MessageId::after(*last, now);
                let device = inner.rules.device_of(&heard.topic);
                (Message::received(*last, device, heard), None)
            });
            let messages = messages.collect();
            permit.send(Entry::Came { messages, done });
        }
        let Saved { count, in_doubt, .. } = written.await.unwrap_or_default();
        // The writer sees to those of which it is not known.
        let received = (count + in_doubt) as u64;
        inner.outbox.counts.note_many(MessageState::Received, received);
        inner.recording.lost.inc_by(many.saturating_sub(received));
    }

    /// A page of messages, and after which one the next begins. It may have
    /// fewer messages than `limit` though there are more.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn page(
        &self,
        filter: &Filter,
        position: Position,
        limit: u32,
    ) -> Result<(Vec<Message>, Option<MessageId>), MessageError> {
        scan::page(&self.0.pool, filter, position, limit, self.0.largest).await
    }

    /// How many messages are like this.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn count(&self, filter: &Filter) -> Result<Total, MessageError> {
        scan::count(&self.0.pool, filter).await
    }

    /// One message.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn get(&self, id: MessageId) -> Result<Option<Message>, MessageError> {
        rows::get(&self.0.pool, id).await
    }

    /// The id of the newest message.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn newest(&self) -> Result<MessageId, MessageError> {
        rows::newest(&self.0.pool).await
    }

    /// What is counted of messages, for Prometheus.
    pub fn register_counts(&self, registry: &mut Registry) {
        let waiting = i64::try_from(self.0.load.messages()).unwrap_or(i64::MAX);
        let help = "Messages of the gateway that wait for the broker";
        registry.register("gateway_messages_waiting", help, ConstGauge::new(waiting));
        self.0.outbox.counts.register(registry);
        let help = "Messages that were received and are not on record";
        registry.register("gateway_messages_lost", help, self.0.recording.lost.clone());
    }

    /// Removes, bit by bit, what is not kept any longer; it ends when it is
    /// dropped.
    pub async fn keep_house(&self) {
        self.0.retention.run().await;
    }

    /// Sends nothing more, and writes what has ended.
    pub async fn close(&self) {
        let close = async {
            self.0.outbox.close().await;
            let (done, written) = oneshot::channel();
            if self.0.journal.send(Entry::Close(done)).await.is_ok() {
                let _ = written.await;
            }
        };
        if tokio::time::timeout(STOPPING, close).await.is_err() {
            tracing::error!("the ends of some messages are not on record: they are sent again");
        }
    }
}

impl Inner {
    /// A message for the record, and for the outbox.
    fn take(
        &self,
        draft: Draft,
        id: MessageId,
        principal: &Principal,
        is_up: bool,
    ) -> Result<(Message, Option<Waiting>, Sending), NotAccepted> {
        let place = self.load.place(draft.new.payload.len()).ok_or(NotAccepted::Full)?;
        let is_queued = draft.new.queue;
        let mut message = draft.into_message(id, principal);
        let (told, ended) = oneshot::channel();
        let sending = Sending { id, is_queued, is_away: !is_up, ended };
        if !is_up && !is_queued {
            let why = "the broker cannot be reached".to_owned();
            message.state = MessageState::Failed;
            message.ended_at = Some(id.at());
            message.detail = Some(why.clone());
            self.outbox.counts.note(MessageState::Failed);
            let _ = told.send(Ending::Failed(why));
            return Ok((message, None, sending));
        }
        let (told, until) = (Some(told), Until::of(&message, is_queued, self.queue_for));
        let waiting = Waiting {
            message: message.clone(),
            is_queued,
            until,
            since: Instant::now(),
            told,
            place,
        };
        Ok((message, Some(waiting), sending))
    }
}

impl Draft {
    fn into_message(self, id: MessageId, principal: &Principal) -> Message {
        let Self { topic, device, new } = self;
        let life = new.expires_in.map(|seconds| SignedDuration::from_secs(seconds.into()));
        Message {
            id,
            state: MessageState::Waiting,
            topic,
            device,
            account: Some(principal.key()),
            sender: Some(principal.to_string()),
            payload: new.payload,
            qos: new.qos,
            retain: new.retain,
            content_type: new.content_type,
            properties: new.properties,
            expires_at: life
                .map(|life| Timestamp::now().checked_add(life).unwrap_or(Timestamp::MAX)),
            ended_at: None,
            detail: None,
        }
    }
}

impl Waiting {
    /// One that an earlier run has left: whoever sent it is gone, so it waits.
    fn left(message: Message, load: &Load, queue_for: Duration) -> Self {
        let place = load.place_beyond(message.payload.len());
        let until = Until::of(&message, true, queue_for);
        Self { message, is_queued: true, until, since: Instant::now(), told: None, place }
    }
}
