//! What a message asks for, and whether whoever said it may: asked when it
//! comes, and again when its turn has come.

use std::sync::Arc;

use super::actor::Parts;
use super::counts::Reason;
use super::dispatch::{AnswerTo, Job, Work};
use super::lanes::Speaker;
use super::link::{Incoming, NotAdmitted};
use super::payload::{InvalidPayload, Payload};
use super::topic_access::Place;
use super::topics::AnswerWord;
use crate::actions::{Origin, Request, unknown};
use crate::events::{Event, Kind};
use crate::identity::{Principal, Through, Who};

/// The plugin that a message goes to, where it goes to one.
pub(super) type Plugin = Option<Arc<str>>;

/// A message that is not taken: why, and what to answer, if anything.
pub(super) struct NotTaken {
    pub(super) reason: Reason,
    pub(super) why: String,
    pub(super) answer: Option<(AnswerWord, String)>,
}

impl Parts {
    /// The action that a message asks for, if its caller may.
    pub(super) fn admit(
        &self,
        incoming: &Incoming,
        speaker: &Speaker,
    ) -> Result<(Plugin, Work), NotTaken> {
        let payload = Payload::split(&incoming.payload).map_err(|error| {
            let (reason, why) = (Reason::Malformed, error.to_string());
            let answer = match error {
                InvalidPayload::Word(word) => Some((AnswerWord::Unknown, word)),
                InvalidPayload::Rest(word) if !unknown::is_answered(&word) => None,
                _ => Some((AnswerWord::Error, why.clone())),
            };
            NotTaken { reason, why, answer }
        })?;
        let word = payload.word;
        let answered = unknown::is_answered(word);
        let registered = self.registry.get(word).ok_or_else(|| NotTaken {
            reason: Reason::UnknownWord,
            why: format!("unknown word `{word}`"),
            answer: answered.then(|| (AnswerWord::Unknown, word.to_owned())),
        })?;
        let joined = match speaker {
            Speaker::Device(id) => self.state.is_known(id.as_str()),
            Speaker::App(_) | Speaker::Topic(_) => false,
        };
        let principal = self.principal(speaker).ok_or_else(|| {
            let why = "no account of this name is let in";
            let event = Event::of_nobody(Kind::Refusal, Through::Mqtt, None, word);
            let detail = format!("{speaker}: {why}");
            self.context.events.refused(event.refused(&detail));
            let answer = answered.then(|| (AnswerWord::Error, format!("{word} {why}")));
            NotTaken { reason: Reason::NotAllowed, why: format!("{word}: {why}"), answer }
        })?;
        let permitted = self.context.permissions.may_call(&registered.info, &principal, joined);
        permitted.map_err(|why| {
            let event = Event::of(Kind::Refusal, &principal, word).refused(&why);
            self.context.events.refused(event);
            let answer = answered.then(|| (AnswerWord::Error, format!("{word} {why}")));
            NotTaken { reason: Reason::NotAllowed, why: format!("{word}: {why}"), answer }
        })?;
        let plugin = match &registered.origin {
            Origin::BuiltIn => None,
            Origin::Plugin { name, .. } => Some(name.clone()),
        };
        let request = Request {
            word: word.to_owned(),
            rest: payload.rest.to_owned(),
            principal,
            topic: Some(incoming.topic.clone()),
            duplicate: incoming.duplicate,
        };
        Ok((plugin, Work::Action(registered, request)))
    }

    /// Who somebody is that speaks over MQTT: an app is an account, as it is
    /// now.
    fn principal(&self, speaker: &Speaker) -> Option<Principal> {
        let who = match speaker {
            Speaker::Device(id) => Who::Device(id.clone()),
            Speaker::App(app) => self.context.permissions.app(app.as_str())?,
            Speaker::Topic(topic) => Who::Topic(topic.clone()),
        };
        Some(Principal::over_mqtt(who))
    }

    /// A hand shake that did not come by a base topic is answered beside it: on
    /// the base topic that it brings along the device may not listen yet.
    pub(super) fn where_it_was_said(
        &self,
        incoming: &Incoming,
        work: &Work,
        to: AnswerTo,
    ) -> AnswerTo {
        match (to, work) {
            (AnswerTo::Device(id), Work::Action(_, request)) if request.word == "hand_shake" => {
                match self.topics.place(&incoming.topic) {
                    Place::Device { .. } => AnswerTo::Joining(id),
                    _ => AnswerTo::Device(id),
                }
            }
            (to, _) => to,
        }
    }

    /// Whether what somebody said while they might is still to be done (C11, C23).
    pub(super) fn may_still(&self, job: &Job) -> Result<(), String> {
        let Parts { link, state, context, .. } = self;
        let mut joined = false;
        if let (Some(Speaker::Device(id)), Some(admitted)) = (&job.speaker, &job.admitted) {
            if link.admitted(id).as_ref() != Ok(admitted) {
                return Err(NotAdmitted.to_string());
            }
            joined = state.is_known(id.as_str());
        }
        match &job.work {
            Work::Action(registered, request) => {
                context.permissions.may_call(&registered.info, &request.principal, joined)
            }
            Work::Picture(..) | Work::Join(..) => Ok(()),
        }
    }
}
