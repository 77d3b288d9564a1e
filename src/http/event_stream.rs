//! The body of a stream of events: first what its reader lacks, from the
//! record; then what comes, until somebody ends it.
//!
//! What the reader may see is asked anew for whatever is sent, and each second:
//! nothing is sent any more to who was let in once and is not now.

use std::future;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actix_web::web::Data;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use serde_json::json;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Services;
use super::connection::{AnsweringEndlessly, Usage};
use super::stopping::Stopping;
use super::streams::Place;
use crate::events::{EventError, Following, Frame, Which};
use crate::identity::{Pass, Scope};

/// How often it is asked whether the reader is let in still.
const LOOK: Duration = Duration::from_secs(1);

/// After how many looks without an event the reader is told that the stream is
/// alive.
const SILENT_LOOKS: u32 = 15;

/// What a reader is told first: after how many milliseconds to come back.
const HELLO: &str = "retry: 2000\n\n";

/// About how much is sent at a time.
const AT_A_TIME: usize = 16 * 1024;

/// What a stream is opened with.
pub(super) struct Opening {
    pub(super) services: Data<Services>,
    pub(super) stopping: Data<Stopping>,
    pub(super) place: Place,
    pub(super) pass: Pass,
    pub(super) which: Which,
    /// The connection that it goes over.
    pub(super) usage: Option<Usage>,
    pub(super) start: Start,
}

/// Where a stream begins.
pub(super) struct Start {
    /// What comes behind this one is sent.
    pub(super) after: i64,
    /// What the reader is told of what is not there.
    pub(super) gap: Option<Gap>,
}

/// What a reader asked for, and is not there.
pub(super) struct Gap {
    /// What the reader has.
    pub(super) after: i64,
    /// The first one that is there.
    pub(super) next: i64,
    pub(super) why: &'static str,
}

/// What somebody may see of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// All of each.
    Whole,
    /// What becomes of the devices that they may see, as far as they may know
    /// of that: [`crate::identity::View`].
    OfDevices,
}

struct EventStream {
    services: Data<Services>,
    stopping: Data<Stopping>,
    place: Place,
    pass: Pass,
    which: Arc<Which>,
    answering: Option<AnsweringEndlessly>,
    stage: Stage,
    /// The last event that is done with.
    last: i64,
    looks: Interval,
    silent_looks: u32,
    /// Somebody else says that the reader is too slow.
    cut_off: CancellationToken,
    /// Held while the reader is behind after having followed.
    lagging: Option<DropGuard>,
}

enum Stage {
    Hello(Option<Gap>),
    Behind,
    Following(Following),
    Over,
}

/// What somebody may see at this moment; nothing: they are not let in for it.
pub(super) fn sight(services: &Services, pass: &Pass) -> Option<Sight> {
    let may = |scope| services.permissions.may(&pass.principal, scope).is_ok();
    if may(Scope::EventsRead) {
        Some(Sight::Whole)
    } else {
        may(Scope::DevicesRead).then_some(Sight::OfDevices)
    }
}

impl Opening {
    /// The bytes, until the stream ends.
    pub(super) fn body(self) -> impl Stream<Item = Result<Bytes, EventError>> {
        let Self { services, stopping, place, pass, which, usage, start } = self;
        let cut_off = CancellationToken::new();
        let answering = usage.map(|usage| usage.begin_endless(cut_off.clone()));
        let mut looks = tokio::time::interval_at(Instant::now() + LOOK, LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stream = EventStream {
            services,
            stopping,
            place,
            pass,
            which: Arc::new(which),
            answering,
            stage: Stage::Hello(start.gap),
            last: start.after,
            looks,
            silent_looks: 0,
            cut_off,
            lagging: None,
        };
        stream::unfold(stream, EventStream::next)
    }
}

impl EventStream {
    async fn next(mut self) -> Option<(Result<Bytes, EventError>, Self)> {
        loop {
            if matches!(self.stage, Stage::Over) {
                return None;
            }
            if let Err(why) = self.look() {
                self.stage = Stage::Over;
                return Some((Ok(end(&why)), self));
            }
            let bytes = match &mut self.stage {
                Stage::Hello(gap) => {
                    let hello = hello(gap.take());
                    self.stage = Stage::Behind;
                    Ok(hello)
                }
                Stage::Behind => self.catch_up().await,
                Stage::Following(_) | Stage::Over => Ok(self.wait().await),
            };
            match bytes {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Some((Ok(bytes), self)),
                // Cut off rather than ended: the reader comes back.
                Err(error) => {
                    tracing::error!(%error, "a stream of events is cut off");
                    self.stage = Stage::Over;
                    return Some((Err(error), self));
                }
            }
        }
    }

    /// What the reader may see now; or why there is no more for them.
    fn look(&self) -> Result<Sight, String> {
        if self.cut_off.is_cancelled() {
            return Err("too many events wait to be read: read faster".to_owned());
        }
        if self.stopping.has_begun() {
            return Err("the server stops".to_owned());
        }
        self.services.sign_in.check(&self.pass).map_err(|why| why.to_string())?;
        sight(&self.services, &self.pass).ok_or_else(|| "not let in any more".to_owned())
    }

    /// A page of what the reader lacks; with the last one, they follow.
    async fn catch_up(&mut self) -> Result<Bytes, EventError> {
        let _turn = self.place.reader().await;
        let mut bytes = BytesMut::new();
        let newest = self.services.events.newest().await?;
        let (frames, end) = self.services.events.frames(self.last, newest).await?;
        self.show(&frames, &mut bytes);
        self.last = self.last.max(end);
        if end >= newest {
            let events = &self.services.events;
            // Who is too far behind once more reads another page.
            if let Ok(following) = events.follow(&self.which, self.last, &self.cut_off) {
                let (frames, _) = events.frames(self.last, following.from).await?;
                self.show(&frames, &mut bytes);
                self.last = self.last.max(following.from);
                self.stage = Stage::Following(following);
                self.lagging = None;
            }
        }
        Ok(bytes.freeze())
    }

    /// What comes next, or nothing for once.
    async fn wait(&mut self) -> Bytes {
        let mut bytes = BytesMut::new();
        let Stage::Following(following) = &mut self.stage else { return Bytes::new() };
        let left = is_left(self.answering.as_ref());
        let mut frame = tokio::select! {
            biased;
            () = left => {
                self.stage = Stage::Over;
                return Bytes::new();
            }
            () = self.stopping.begun() => return Bytes::new(),
            () = self.cut_off.cancelled() => return Bytes::new(),
            frame = following.frames.recv() => frame,
            _ = self.looks.tick() => return self.say_that_it_is_alive(),
        };
        if frame.is_none() {
            // More came than could wait for the reader: it is on record.
            self.lagging = Some(following.caught_up.clone().drop_guard());
            self.stage = Stage::Behind;
        }
        while let Some(one) = frame.take() {
            self.show(std::slice::from_ref(&*one), &mut bytes);
            if let Stage::Following(following) = &mut self.stage
                && bytes.len() < AT_A_TIME
            {
                frame = following.frames.try_recv().ok();
            }
        }
        bytes.freeze()
    }

    /// Now and then a comment, and where the reader is by now if they did not
    /// want what came meanwhile.
    fn say_that_it_is_alive(&mut self) -> Bytes {
        self.silent_looks += 1;
        if self.silent_looks < SILENT_LOOKS {
            return Bytes::new();
        }
        self.silent_looks = 0;
        let Stage::Following(following) = &self.stage else { return Bytes::new() };
        let position = self.services.events.position_of(following);
        let passed = position.filter(|position| *position > self.last);
        self.last = passed.unwrap_or(self.last);
        match (passed, self.look()) {
            (Some(position), Ok(Sight::Whole)) => format!(": alive\nid: {position}\n\n").into(),
            _ => Bytes::from_static(b": alive\n\n"),
        }
    }

    /// Adds what the reader may see of these, and has not seen.
    fn show<F: std::borrow::Borrow<Frame>>(&mut self, frames: &[F], bytes: &mut BytesMut) {
        // Where they are not let in any more, the stream ends with the next look.
        let Ok(sight) = self.look() else { return };
        for frame in frames.iter().map(F::borrow) {
            if frame.seq <= self.last {
                continue;
            }
            self.last = frame.seq;
            if !self.which.has(frame.kind(), frame.device()) {
                continue;
            }
            let seen = match (sight, &frame.narrow) {
                (Sight::Whole, _) => Some(&frame.whole),
                (Sight::OfDevices, None) => None,
                (Sight::OfDevices, Some(narrow)) => {
                    let permissions = &self.services.permissions;
                    let view = permissions.view(&self.pass.principal, &narrow.device);
                    view.and_then(|view| narrow.seen(&view))
                }
            };
            if let Some(seen) = seen {
                self.silent_looks = 0;
                bytes.extend_from_slice(seen);
            }
        }
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        if self.cut_off.is_cancelled() {
            self.place.is_cut_off();
        }
    }
}

/// Returns when the reader has gone, or asks for something else.
async fn is_left(answering: Option<&AnsweringEndlessly>) {
    let is_left = || answering.is_some_and(AnsweringEndlessly::is_left);
    future::poll_fn(|_| if is_left() { Poll::Ready(()) } else { Poll::Pending }).await;
}

fn hello(gap: Option<Gap>) -> Bytes {
    let Some(Gap { after, next, why }) = gap else { return Bytes::from_static(HELLO.as_bytes()) };
    let data = json!({ "after": after, "next": next, "why": why });
    format!("{HELLO}id: {}\nevent: gap\ndata: {data}\n\n", next - 1).into()
}

fn end(why: &str) -> Bytes {
    format!("event: end\ndata: {}\n\n", json!({ "why": why })).into()
}
