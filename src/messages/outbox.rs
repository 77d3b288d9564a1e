//! What waits for the broker: on each topic one message after the other, each
//! published when the one before it has ended.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::counts::Counts;
use super::draft::Rules;
use super::journal::{Ended, Entry};
use super::load::Place;
use super::{Ending, Message};
use crate::device_interface::link::{GATEWAY_ID, Link, NotTaken, Outgoing};
use crate::device_interface::topics::Destination;
use crate::events::{Event, Events, Kind};
use crate::identity::{Permissions, Scope};

/// How soon a message is tried again that the broker did not take, and how
/// often it is looked at what else waits behind it.
const AGAIN: Duration = Duration::from_secs(1);

/// How many connections may be lost with a message on its way, before it is
/// given up: one that the broker cannot bear must not keep it from the devices.
/// The pause in between grows, to a minute.
const LOST: u32 = 10;

/// How long a message waits behind others that is not to be queued.
const PATIENCE: Duration = Duration::from_secs(10);

/// A message that is on disk, and its place.
pub(super) struct Waiting {
    pub(super) message: Message,
    /// Whether it waits while the broker is away.
    pub(super) is_queued: bool,
    /// From when on it is not sent any more.
    pub(super) until: Option<Until>,
    pub(super) since: Instant,
    pub(super) told: Option<oneshot::Sender<Ending>>,
    pub(super) place: Place,
}

/// When a message's time is over, and what says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Until {
    end: Timestamp,
    why: &'static str,
}

/// By what it is decided anew, when a message's turn has come, whether it is
/// sent.
pub(super) struct Leave {
    pub(super) rules: Arc<Rules>,
    pub(super) permissions: Permissions,
    pub(super) events: Events,
}

/// What waits, by topic. There are no more lanes than messages, which are
/// bounded (`load.rs`).
pub(super) struct Outbox {
    leave: Leave,
    link: Arc<dyn Link>,
    lanes: Mutex<HashMap<Arc<str>, VecDeque<Waiting>>>,
    journal: mpsc::Sender<Entry>,
    pub(super) counts: Counts,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Outbox {
    pub(super) fn new(leave: Leave, link: Arc<dyn Link>, journal: mpsc::Sender<Entry>) -> Self {
        Self {
            leave,
            link,
            lanes: Mutex::default(),
            journal,
            counts: Counts::default(),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Whether the broker can be reached.
    pub(super) fn is_up(&self) -> bool {
        self.link.is_up()
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Has a message sent that is on disk, after those on its topic that came
    /// before.
    pub(super) fn enter(this: &Arc<Self>, waiting: Waiting) {
        let mut lanes = this.lanes.lock();
        let topic = waiting.message.topic.clone();
        if let Some(lane) = lanes.get_mut(&topic) {
            return lane.push_back(waiting);
        }
        lanes.insert(topic.clone(), VecDeque::from([waiting]));
        this.tasks.spawn(this.clone().run(topic));
    }

    /// Sends nothing more; what has not ended stays on disk for the next run.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Sends what waits on a topic, until nothing does.
    async fn run(self: Arc<Self>, topic: Arc<str>) {
        while !self.is_closing() {
            let Some(waiting) = self.next(&topic) else { return };
            let Some(ending) = self.send(&waiting).await else { return };
            self.end(waiting, ending).await;
        }
    }

    /// The next one on a topic; with none, the lane ends.
    fn next(&self, topic: &Arc<str>) -> Option<Waiting> {
        let mut lanes = self.lanes.lock();
        let next = lanes.get_mut(topic).and_then(VecDeque::pop_front);
        if next.is_none() {
            lanes.remove(topic);
        }
        next
    }

    /// How a message ends; nothing: the server stops before that.
    async fn send(&self, waiting: &Waiting) -> Option<Ending> {
        let mut lost = 0;
        loop {
            if let Some(why) = waiting.over() {
                return Some(Ending::Expired(why));
            }
            if !waiting.is_queued && waiting.since.elapsed() > PATIENCE {
                let why = "the broker did not take those before it in time";
                return Some(Ending::Failed(why.to_owned()));
            }
            let to = match self.leave.of(&waiting.message) {
                Ok(to) => to,
                Err(why) => return Some(Ending::Refused(why)),
            };
            let why = match self.deliver(to, &waiting.message).await {
                Ok(()) => return Some(Ending::Sent),
                Err(NotTaken::Refused(why)) => return Some(Ending::Failed(why)),
                Err(NotTaken::Away(why) | NotTaken::Lost(why)) if !waiting.is_queued => {
                    return Some(Ending::Failed(why));
                }
                Err(NotTaken::Lost(why)) if lost == LOST => {
                    return Some(Ending::Failed(format!(
                        "{why}, {LOST} times over: the broker may close the connection for it"
                    )));
                }
                Err(NotTaken::Lost(why)) => {
                    lost += 1;
                    why
                }
                Err(NotTaken::Away(why)) => why,
            };
            tracing::debug!(id = %waiting.message.id, why, "a message waits for the broker");
            let up = async {
                tokio::time::sleep(AGAIN * 2_u32.pow(lost.min(6))).await;
                self.give_up_behind(&waiting.message.topic, &why).await;
                // It can wait long: what is behind it is looked at meanwhile.
                while !self.link.is_up() && waiting.over().is_none() {
                    let _ = tokio::time::timeout(AGAIN, self.link.until_up()).await;
                    self.give_up_behind(&waiting.message.topic, &why).await;
                }
            };
            tokio::select! {
                () = up => {}
                () = self.closing.cancelled() => return None,
            }
        }
    }

    async fn deliver(&self, to: Destination, message: &Message) -> Result<(), NotTaken> {
        let left = message.expires_at.map(|end| {
            let seconds = end.duration_since(Timestamp::now()).as_secs();
            u32::try_from(seconds.max(1)).unwrap_or(u32::MAX)
        });
        let mut properties = message.properties.clone();
        properties.push((GATEWAY_ID.to_owned(), message.id.to_string()));
        let outgoing = Outgoing {
            payload: message.payload.clone(),
            qos: message.qos,
            retain: message.retain,
            expires_in: left,
            content_type: message.content_type.clone(),
            properties,
        };
        self.link.deliver(&to, outgoing).await
    }

    /// Ends, behind a message that waits for the broker, those that do not wait
    /// for it, and those whose time is over.
    async fn give_up_behind(&self, topic: &Arc<str>, why: &str) {
        let mut over = Vec::new();
        if let Some(lane) = self.lanes.lock().get_mut(topic) {
            let all = std::mem::take(lane);
            for waiting in all {
                if let Some(why) = waiting.over() {
                    over.push((waiting, Ending::Expired(why)));
                } else if waiting.is_queued {
                    lane.push_back(waiting);
                } else {
                    over.push((waiting, Ending::Failed(why.to_owned())));
                }
            }
        }
        for (waiting, ending) in over {
            self.end(waiting, ending).await;
        }
    }

    async fn end(&self, waiting: Waiting, ending: Ending) {
        let Waiting { message, told, place, .. } = waiting;
        self.counts.note(ending.state());
        if let Ending::Failed(why) = &ending {
            tracing::warn!(id = %message.id, why, "a message is not sent");
        }
        if let Ending::Refused(why) = &ending {
            tracing::warn!(id = %message.id, why, "a message is refused when its turn comes");
            self.leave.record(&message, why);
        }
        let ended = Ended { id: message.id, ending, at: Timestamp::now(), told, _place: place };
        // The journal outlives the outbox.
        let _ = self.journal.send(Entry::Ended(ended)).await;
    }
}

impl Waiting {
    /// Why its time is over, if it is.
    fn over(&self) -> Option<&'static str> {
        let until = self.until.filter(|until| until.end <= Timestamp::now());
        until.map(|until| until.why)
    }
}

impl Until {
    /// Of a message that says itself when it is of no use any more, or is not to
    /// wait for longer than the settings let it.
    pub(super) fn of(message: &Message, is_queued: bool, queue_for: Duration) -> Option<Self> {
        if let Some(end) = message.expires_at {
            return Some(Self { end, why: "its time was over before the broker took it" });
        }
        let end = is_queued.then(|| message.id.at().checked_add(queue_for).ok()).flatten()?;
        Some(Self { end, why: "it has waited as long as messages.queue_for says" })
    }
}

impl Leave {
    /// Where a message goes. A device may have come to listen there since it was
    /// accepted, and who sent it may be let in no more: what was taken away
    /// meanwhile is gone (SAFETY C23).
    fn of(&self, message: &Message) -> Result<Destination, String> {
        let to = self.rules.destination(&message.topic).map_err(|why| why.to_string())?;
        let sender = message.account.as_deref().ok_or("nobody is known to have sent it")?;
        self.permissions.may_still(sender, Scope::MessagesSend)?;
        Ok(to)
    }

    fn record(&self, message: &Message, why: &str) {
        let sender = message.sender.as_deref().unwrap_or("nobody");
        let event = Event::on_behalf_of(Kind::Refusal, sender, "send a message that waited");
        self.events.refused(event.refused(why));
    }
}
