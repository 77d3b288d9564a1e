//! The actor: what comes over the link and from the server's other parts,
//! sorted by who speaks and which action the first word selects.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use futures_util::{Future, FutureExt as _};
use latchlight_plugin_api::{ActionError, Caller};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admission::{NotTaken, Plugin};
use super::attendance::Attendance;
use super::counts::{Counts, Reason};
use super::dispatch::{self, AnswerTo, Job, Work};
use super::handle::{Handle, PendingCall};
use super::join;
use super::lanes::{Entered, LaneKey, Lanes, Speaker};
use super::link::{Incoming, Link, LinkEvent};
use super::mistakes::Mistakes;
use super::payload::Payload;
use super::presence::Presence;
use super::state_topics;
use super::topics::{AnswerWord, Source, Topics};
use crate::actions::{Context, Registry, unknown};
use crate::events::{Event, Kind};
use crate::identity::{Principal, Who};
use crate::state::{DeviceId, State};

/// How many calls of the server's other parts may wait for the actor.
const CALLS: usize = 1024;

/// How many events are taken at a time.
const BATCH: usize = 64;

/// How long the stop waits for the actions that are under way.
const STOPPING: Duration = Duration::from_secs(5);

/// How long it then waits for those who tell how a command ended.
const TELLING: Duration = Duration::from_millis(500);

/// What the actor works with.
pub struct Parts {
    /// The actions by name.
    pub registry: Arc<Registry>,
    /// What the actions work with.
    pub context: Context,
    /// The names of topics, and the gate.
    pub topics: Arc<Topics>,
    /// The way to the devices.
    pub link: Arc<dyn Link>,
    /// Who can be reached.
    pub presence: Arc<Presence>,
    /// The roster.
    pub state: State,
    /// The log of what is not taken.
    pub mistakes: Mistakes,
    /// What is performed and what is not taken.
    pub counts: Counts,
    /// Who waits to tell over MQTT how a command ended.
    pub tellers: TaskTracker,
}

/// The device interface's loop, and what it alone holds.
pub struct Actor {
    parts: Arc<Parts>,
    events: mpsc::Receiver<LinkEvent>,
    calls: mpsc::Receiver<PendingCall>,
    lanes: Lanes<Job>,
    attendance: Attendance,
    under_way: FuturesUnordered<Pin<Box<dyn Future<Output = LaneKey> + Send>>>,
}

impl Actor {
    /// An actor that takes in `events`, and the handle by which it is called.
    pub fn new(parts: Parts, events: mpsc::Receiver<LinkEvent>) -> (Self, Handle) {
        let (sender, calls) = mpsc::channel(CALLS);
        let handle =
            Handle::new(sender, parts.link.clone(), parts.topics.clone(), parts.counts.clone());
        let parts = Arc::new(parts);
        let actor = Self {
            attendance: Attendance::new(parts.clone()),
            parts,
            events,
            calls,
            lanes: Lanes::default(),
            under_way: FuturesUnordered::new(),
        };
        (actor, handle)
    }

    /// Works until it is told to stop, then finishes what it has in hand.
    pub async fn run(mut self, stop: CancellationToken) {
        let Parts { state, topics, link, .. } = &*self.parts;
        let states = state_topics::run(state.clone(), topics.clone(), link.clone());
        let states = tokio::spawn(states);
        let mut events = Vec::with_capacity(BATCH);
        let mut stopped = std::pin::pin!(stop.cancelled());
        loop {
            tokio::select! {
                1.. = self.events.recv_many(&mut events, BATCH) => {
                    for event in events.drain(..) {
                        self.on_event(event);
                    }
                }
                Some(call) = self.calls.recv() => self.on_call(call),
                Some(lane) = self.under_way.next(), if !self.under_way.is_empty() => {
                    self.on_done(lane);
                }
                () = &mut stopped => break,
            }
        }
        let rest = async {
            while let Some(lane) = self.under_way.next().await {
                self.on_done(lane);
            }
        };
        if tokio::time::timeout(STOPPING, rest).await.is_err() {
            tracing::warn!("some actions did not end before the stop");
        }
        // What ended by now is told at once; what did not is not waited for.
        let Parts { tellers, .. } = &*self.parts;
        tellers.close();
        let _ = tokio::time::timeout(TELLING, tellers.wait()).await;
        states.abort();
    }

    fn on_event(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Message(incoming) => self.on_message(incoming),
            LinkEvent::Presence(devices) => {
                for id in devices {
                    self.attendance.look_for(&id);
                }
            }
            LinkEvent::Up => self.on_up(),
            LinkEvent::Down => self.attendance.nobody_is_there(),
        }
    }

    /// Everyone sees the states anew, and every device is asked for its own:
    /// what was said meanwhile was not heard.
    fn on_up(&self) {
        self.parts.state.mark_all_changed();
        let parts = self.parts.clone();
        tokio::spawn(async move {
            for device in parts.state.devices() {
                if let Err(error) = parts.context.outbox.ask_to_report(&device).await {
                    tracing::warn!(%error, "after the link came up");
                    return;
                }
            }
        });
    }

    fn on_message(&mut self, incoming: Incoming) {
        let topics = &self.parts.topics;
        let Some(source) = topics.source(&incoming.topic) else {
            let topic = Caller::Topic(incoming.topic.to_string()).to_string();
            let why = topics.why_nobody(&incoming.topic);
            self.note(&topic, Reason::UnknownTopic, &why);
            return;
        };
        if let Source::Online(id) = &source {
            match incoming.payload.as_ref() {
                b"online" => self.attendance.on_presence(id, true),
                b"offline" => self.attendance.on_presence(id, false),
                b"" => self.parts.presence.forget(id),
                _ => self.note(
                    &Caller::Device(id.to_string()).to_string(),
                    Reason::Malformed,
                    "on its `online` topic a device says `online` or `offline`",
                ),
            }
            return self.attendance.look_for(id);
        }
        // Rule 2: what is retained was said some other time.
        if incoming.retained {
            let topic = Caller::Topic(incoming.topic.to_string()).to_string();
            self.note(&topic, Reason::Retained, "a retained message is not acted on");
            return;
        }
        if let Source::Device(id) | Source::Picture(id) = &source {
            self.attendance.hear(id);
        }
        let (speaker, answer_to) = match source {
            Source::Picture(id) => return self.on_picture(id, incoming.payload),
            Source::Device(id) => (Speaker::Device(id.clone()), AnswerTo::Device(id)),
            Source::App(app) => (Speaker::App(app.clone()), AnswerTo::App(app)),
            Source::Join(id) => return self.on_join(id, &incoming),
            Source::Extra | Source::Online(_) => {
                (Speaker::Topic(incoming.topic.clone()), AnswerTo::Nobody)
            }
        };
        match self.parts.admit(&incoming, &speaker) {
            Ok((plugin, work)) => {
                let answer_to = self.parts.where_it_was_said(&incoming, &work, answer_to);
                self.enter(speaker, plugin, work, answer_to);
            }
            Err(NotTaken { reason, why, answer }) => {
                self.note(&speaker.to_string(), reason, &why);
                if let Some((word, rest)) = answer {
                    self.say_aside(answer_to, word, rest);
                }
            }
        }
    }

    /// A camera sends a picture.
    fn on_picture(&mut self, id: DeviceId, bytes: Bytes) {
        let pictures = &self.parts.context.pictures;
        let speaker = Speaker::Device(id.clone());
        let held = if self.parts.state.is_known(id.as_str()) {
            let sender = Principal::over_mqtt(Who::Device(id.clone()));
            let admitted = pictures.admit(&sender).and_then(|()| pictures.hold(&id, bytes.len()));
            admitted.map_err(|error| (Reason::Busy, error.to_string()))
        } else {
            let why = format!("`{id}` has not joined: say `hand_shake <kind>` first");
            Err((Reason::NotAllowed, why))
        };
        match held {
            Ok(held) => {
                let work = Work::Picture(id.clone(), bytes, held);
                // The lane of its words: what it says of the picture comes after it.
                self.enter(speaker, None, work, AnswerTo::Device(id));
            }
            Err((reason, why)) => {
                let why = format!("picture {why}");
                self.note(&speaker.to_string(), reason, &why);
                self.say_aside(AnswerTo::Device(id), AnswerWord::Error, why);
            }
        }
    }

    /// Somebody who has shown a join code says something.
    fn on_join(&mut self, id: DeviceId, incoming: &Incoming) {
        let answer_to = AnswerTo::Stranger(id.clone());
        let speaker = Speaker::Device(id.clone());
        match Payload::split(&incoming.payload) {
            Ok(Payload { word: join::WORD, rest }) => {
                let work = Work::Join(id, rest.to_owned());
                self.enter(speaker, None, work, answer_to);
            }
            _ => {
                let why = "whoever joins says `hand_shake <kind>`, and nothing else";
                self.note(&speaker.to_string(), Reason::NotAllowed, why);
                self.say_aside(answer_to, AnswerWord::Error, why.to_owned());
            }
        }
    }

    /// A call from inside the server. Calls of apps are not in order with
    /// each other: each waits for its own answer.
    fn on_call(&mut self, call: PendingCall) {
        let PendingCall { request, answer } = call;
        let parts = &self.parts;
        let refused = match parts.registry.get(&request.word) {
            None => {
                let why = format!("there is no action `{}`", request.word);
                Err((Reason::UnknownWord, ActionError::not_found(why)))
            }
            Some(registered) => parts
                .context
                .permissions
                .may_call(&registered.info, &request.principal, true)
                .map(|()| registered)
                .map_err(|why| {
                    let event = Event::of(Kind::Refusal, &request.principal, &request.word);
                    parts.context.events.refused(event.refused(&why));
                    (Reason::NotAllowed, ActionError::not_allowed(why))
                }),
        };
        match refused {
            Ok(registered) => {
                let work = Work::Action(registered, request);
                let job = Job {
                    work,
                    answer_to: AnswerTo::Caller(answer),
                    speaker: None,
                    admitted: None,
                };
                tokio::spawn(dispatch::perform(self.parts.clone(), job));
            }
            Err((reason, error)) => {
                parts.counts.not_taken(reason);
                let _ = answer.send(Err(error));
            }
        }
    }

    fn enter(&mut self, speaker: Speaker, plugin: Plugin, work: Work, answer_to: AnswerTo) {
        let admitted = match (&speaker, &work) {
            // Who joins is let in by a code, and asked for it later.
            (Speaker::Device(_), Work::Join(..)) | (Speaker::App(_) | Speaker::Topic(_), _) => None,
            (Speaker::Device(id), _) => match self.parts.link.admitted(id) {
                Ok(admitted) => Some(admitted),
                Err(why) => {
                    let why = format!("{}: {why}", work.name());
                    return self.note(&speaker.to_string(), Reason::NotAllowed, &why);
                }
            },
        };
        let job = Job { work, answer_to, speaker: Some(speaker.clone()), admitted };
        let key = LaneKey { speaker, plugin };
        match self.lanes.enter(&key, job) {
            Entered::Now(job) => self.start(key, job),
            Entered::Waits => {}
            Entered::Full(job) => {
                let why = "busy: too many messages wait";
                self.note(&key.speaker.to_string(), Reason::Busy, why);
                self.say_aside(job.answer_to, AnswerWord::Error, why.to_owned());
            }
        }
    }

    /// Begins a job. Most end at once and need no task of their own.
    fn start(&mut self, key: LaneKey, job: Job) {
        let mut next = Some(job);
        while let Some(job) = next.take() {
            let mut work = Box::pin(dispatch::perform(self.parts.clone(), job));
            if work.as_mut().now_or_never().is_none() {
                let task = tokio::spawn(work);
                self.under_way.push(Box::pin(async move {
                    let _ = task.await;
                    key
                }));
                return;
            }
            next = self.next_of(&key);
        }
    }

    fn on_done(&mut self, key: LaneKey) {
        if let Some(job) = self.next_of(&key) {
            self.start(key, job);
        }
    }

    /// The next job of a lane. What somebody said while they might, and may not
    /// any more, is not done (C11, C23).
    fn next_of(&mut self, key: &LaneKey) -> Option<Job> {
        loop {
            let job = self.lanes.leave(key)?;
            let Err(why) = self.parts.may_still(&job) else { return Some(job) };
            let word = job.work.name().to_owned();
            if let Some(caller) = job.caller() {
                let event = Event::of(Kind::Refusal, &caller, &word).refused(&why);
                self.parts.context.events.refused(event);
            }
            self.note(&key.speaker.to_string(), Reason::NotAllowed, &format!("{word}: {why}"));
            if unknown::is_answered(&word) {
                self.say_aside(job.answer_to, AnswerWord::Error, format!("{word} {why}"));
            }
        }
    }

    /// A message is not taken.
    fn note(&self, speaker: &str, reason: Reason, why: &str) {
        self.parts.counts.not_taken(reason);
        self.parts.mistakes.log(speaker, why);
    }

    fn say_aside(&self, to: AnswerTo, word: AnswerWord, rest: String) {
        let parts = self.parts.clone();
        tokio::spawn(async move { dispatch::say(&parts, &to, word, &rest).await });
    }
}
