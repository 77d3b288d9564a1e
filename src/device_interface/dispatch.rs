//! One message, from its action to its answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use latchlight_plugin_api::{ActionError, ErrorKind, Reply};
use tokio::sync::oneshot;

use super::actor::Parts;
use super::codes::Codes;
use super::counts::{Performed, outcome};
use super::join;
use super::lanes::Speaker;
use super::link::Admitted;
use super::topics::{AnswerWord, Destination};
use crate::actions::{Answer, Registered, Request, unknown};
use crate::commands::{CommandHandle, Status};
use crate::events::{Event, Kind};
use crate::identity::{Identity, Principal, Who};
use crate::pictures::{Held, Upload};
use crate::state::DeviceId;

/// What is to be done, and who waits for the answer.
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) answer_to: AnswerTo,
    /// Who said it over MQTT.
    pub(super) speaker: Option<Speaker>,
    /// By what it was let in then, where it is a device.
    pub(super) admitted: Option<Admitted>,
}

pub(super) enum Work {
    /// An action, permitted.
    Action(Arc<Registered>, Request),
    /// A picture that a camera sent, and its place among those that wait.
    Picture(DeviceId, Bytes, Held),
    /// The hand shake of somebody who has shown a join code, and what followed
    /// its first word.
    Join(DeviceId, String),
}

/// Who gets the answer.
pub(super) enum AnswerTo {
    /// Nobody: what comes from more topics is never answered.
    Nobody,
    /// A device, on its `down`.
    Device(DeviceId),
    /// A device whose hand shake may bring a base topic along: where it listens
    /// without one.
    Joining(DeviceId),
    /// Somebody who has shown a join code.
    Stranger(DeviceId),
    /// An app over MQTT.
    App(Identity),
    /// Somebody inside the server.
    Caller(oneshot::Sender<Result<Answer, ActionError>>),
}

impl Work {
    /// What it is called, in records and counts.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Action(registered, _) => &registered.info.name,
            Self::Picture(..) => "picture",
            Self::Join(..) => join::WORD,
        }
    }
}

impl Job {
    /// On whose behalf it is.
    pub(super) fn caller(&self) -> Option<Principal> {
        match (&self.speaker, &self.work) {
            (Some(Speaker::Device(id)), _) => Some(Principal::over_mqtt(Who::Device(id.clone()))),
            (_, Work::Action(_, request)) => Some(request.principal.clone()),
            _ => None,
        }
    }
}

/// Does the work and answers it. A panic becomes an error to the caller.
pub(super) async fn perform(parts: Arc<Parts>, job: Job) {
    let (action, caller) = (job.work.name().to_owned(), job.caller());
    // C22: what may be a code is in no log, no record and no answer.
    let codes = match (&job.speaker, &job.work) {
        (Some(_), Work::Action(_, request)) => Codes::said_in(&request.rest),
        (Some(_), Work::Join(_, rest)) => Codes::said_in(rest),
        _ => Codes::default(),
    };
    let is_recorded = match &job.work {
        Work::Action(registered, _) => registered.action.records_refusals(),
        Work::Picture(..) | Work::Join(..) => false,
    };
    let result = AssertUnwindSafe(work(&parts, job.work)).catch_unwind().await;
    let result = result.unwrap_or_else(|_| {
        tracing::error!(%action, "the action panicked");
        Err(ActionError::internal("the action failed; the server's log has more"))
    });
    let result = result.map_err(|error| codes.hide_in(error));
    let performed = Performed { action, outcome: outcome(&result) };
    parts.counts.performed(&performed);
    let word = &performed.action;
    if let (Err(error), Some(speaker)) = (&result, &job.speaker) {
        let why = format!("{word}: {}", without(word, &error.message));
        parts.mistakes.log(&speaker.to_string(), &why);
    }
    if let Err(error) = &result
        && error.kind == ErrorKind::NotAllowed
        && !is_recorded
        && let Some(caller) = caller
    {
        let event = Event::of(Kind::Refusal, &caller, word).refused(&error.message);
        parts.context.events.refused(event);
    }
    answer(parts, word, result, job.answer_to).await;
}

async fn work(parts: &Parts, work: Work) -> Result<Answer, ActionError> {
    match work {
        Work::Action(registered, request) => {
            registered.action.perform(request, &parts.context).await
        }
        Work::Picture(device, bytes, _held) => {
            let sender = Principal::over_mqtt(Who::Device(device.clone()));
            let upload = Upload { bytes, sender, device: Some(device), name: None };
            let picture = parts.context.pictures.save(upload).await?;
            Ok(Answer::text(picture.id.to_string()))
        }
        Work::Join(id, rest) => {
            let joined = join::perform(parts, &id, rest).await;
            // It has joined, or cannot any more: either way it is told so first.
            if !parts.context.pairing.is_joining(id.as_str()) {
                parts.link.joined(&id);
            }
            joined
        }
    }
}

async fn answer(parts: Arc<Parts>, word: &str, result: Result<Answer, ActionError>, to: AnswerTo) {
    if let Ok(answer) = &result {
        for reply in &answer.replies {
            send_reply(&parts, word, reply).await;
        }
    }
    if let AnswerTo::Caller(caller) = to {
        // Nobody waits any more: the request was given up.
        let _ = caller.send(result);
        return;
    }
    if !unknown::is_answered(word) {
        return;
    }
    match result {
        Ok(answer) if answer.commands.is_empty() => {
            let rest = joined(word, answer.text.as_deref().unwrap_or_default());
            say(&parts, &to, AnswerWord::Ok, &rest).await;
        }
        Ok(answer) => {
            // The lane is free for what the caller says next.
            for command in answer.commands {
                let told = tell_end(parts.clone(), word.to_owned(), command, to.clone_public());
                parts.tellers.spawn(told);
            }
        }
        Err(error) => {
            let rest = joined(word, without(word, &error.message));
            say(&parts, &to, AnswerWord::Error, &rest).await;
        }
    }
}

/// Tells who asked over MQTT how a command ended.
async fn tell_end(parts: Arc<Parts>, word: String, command: CommandHandle, to: AnswerTo) {
    let ended = command.ended().await;
    let kind = match ended.status {
        Status::Confirmed => AnswerWord::Ok,
        _ => AnswerWord::Error,
    };
    let rest = format!("{word} {} {} {}", ended.device, ended.status, ended.id);
    let rest = joined(&rest, ended.detail.as_deref().unwrap_or_default());
    say(&parts, &to, kind, &rest).await;
}

/// Answers over MQTT.
pub(super) async fn say(parts: &Parts, to: &AnswerTo, word: AnswerWord, rest: &str) {
    let (to, payload) = match to {
        AnswerTo::Device(id) => match parts.state.device(id) {
            Some(device) => parts.topics.answer(&device, word, rest),
            None => parts.topics.answer_stranger(id, word, rest),
        },
        AnswerTo::Joining(id) => parts.topics.answer_stranger(id, word, rest),
        AnswerTo::Stranger(id) => {
            let (to, payload) = parts.topics.answer_joining(id, word, rest);
            if let Err(error) = parts.link.publish_once(&to, payload.into()).await {
                tracing::warn!(topic = to.as_str(), error = format!("{error:#}"), "send an answer");
            }
            return;
        }
        AnswerTo::App(app) => parts.topics.answer_app(app, word, rest),
        AnswerTo::Nobody | AnswerTo::Caller(_) => return,
    };
    publish(parts, &to, payload.into()).await;
}

async fn send_reply(parts: &Parts, word: &str, reply: &Reply) {
    match parts.topics.reply(&reply.topic) {
        Ok(to) => publish(parts, &to, Bytes::copy_from_slice(&reply.payload)).await,
        Err(error) => tracing::warn!(action = word, %error, "a reply is refused"),
    }
}

async fn publish(parts: &Parts, to: &Destination, payload: Bytes) {
    if let Err(error) = parts.link.publish(to, payload, false).await {
        tracing::warn!(topic = to.as_str(), error = format!("{error:#}"), "send an answer");
    }
}

/// An error without the action's name: some name it themselves, for who reads
/// them elsewhere.
fn without<'a>(word: &str, error: &'a str) -> &'a str {
    error.strip_prefix(word).and_then(|error| error.strip_prefix(": ")).unwrap_or(error)
}

fn joined(word: &str, rest: &str) -> String {
    if rest.is_empty() { word.to_owned() } else { format!("{word} {rest}") }
}

impl AnswerTo {
    /// The same again, where there is a topic to answer on.
    fn clone_public(&self) -> Self {
        match self {
            Self::Device(id) => Self::Device(id.clone()),
            Self::Joining(id) => Self::Joining(id.clone()),
            Self::Stranger(id) => Self::Stranger(id.clone()),
            Self::App(app) => Self::App(app.clone()),
            Self::Nobody | Self::Caller(_) => Self::Nobody,
        }
    }
}
