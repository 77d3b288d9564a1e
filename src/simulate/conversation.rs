//! What a device says to the server, and what it hears.
use std::time::Duration;

use bytes::Bytes;
use latchlight_client::{ClientError, Event, InvalidCommand, Message};
use latchlight_mqtt::ReasonCode;
use serde_json::json;
use tokio::time::Instant;

use crate::simulate::actuator::Step;
use crate::simulate::command::{Command, Down, Verb};
use crate::simulate::console::Tone;
use crate::simulate::device::{Device, JOIN_WAIT, Session, unix_now};
use crate::simulate::outgoing::Item;

/// A hand shake is repeated after this at the latest.
const LONGEST_JOIN_WAIT: Duration = Duration::from_secs(60);

impl Device {
    pub(super) fn notice(&mut self, event: Event, session: &mut Session) {
        match event {
            Event::Connected(_) => {
                self.show(Tone::Plain, format_args!("connected"));
                session.connected = true;
                if !session.subscribed {
                    self.push(session, Item::Subscribe { filter: self.topic("down") });
                }
                self.publish(session, "online", Bytes::from_static(b"online"), true, false);
                session.join_wait = JOIN_WAIT;
                self.shake_hands(session);
            }
            Event::Message(message) => self.hear(&message, session),
            Event::SubscriptionLost { filter, reason } => {
                session.subscribed = false;
                self.show(
                    Tone::Bad,
                    format_args!("may not subscribe {}: {reason:?}", filter.as_str()),
                );
            }
            Event::Disconnected { error, retry_in } => {
                self.tally.losses += u64::from(session.connected);
                session.connected = false;
                session.join_again = None;
                session.picture_until = None;
                session.outgoing.forget_passing();
                match retry_in {
                    Some(wait) => self.show(
                        Tone::Bad,
                        format_args!("{error}; again in {:.1} s", wait.as_secs_f64()),
                    ),
                    None => self.show(
                        Tone::Bad,
                        format_args!(
                            "{error}: another client uses this id; plug {} to retry",
                            self.id
                        ),
                    ),
                }
            }
        }
    }

    /// Something was sent, or could not be.
    pub(super) fn sent(
        &mut self,
        item: Item,
        result: Result<ReasonCode, ClientError>,
        session: &mut Session,
    ) {
        match (item, result) {
            (Item::Subscribe { .. }, Ok(_)) => session.subscribed = true,
            (Item::Publish { .. }, Ok(ReasonCode::NoMatchingSubscribers | ReasonCode::Success)) => {
            }
            (Item::Publish { topic, .. }, Ok(reason)) => {
                self.show(Tone::Plain, format_args!("{topic}: {reason:?}"));
            }
            // Stopped: the power is gone or the fleet stops, and somebody else says so. A lost
            // subscription is asked for again on the next connection.
            (_, Err(ClientError::Stopped | ClientError::ConnectionLost)) => {}
            (Item::Subscribe { filter }, Err(error)) => {
                self.show(Tone::Bad, format_args!("may not subscribe {filter}: {error}"));
            }
            (Item::Publish { topic, .. }, Err(error)) => {
                self.show(Tone::Bad, format_args!("could not publish to {topic}: {error}"));
            }
        }
    }

    /// The server says something.
    fn hear(&mut self, message: &Message, session: &mut Session) {
        let down = Down::parse(&message.payload);
        // A retained command would be obeyed at each start, by whoever comes by.
        if message.retain {
            self.show(Tone::Bad, format_args!("ignored a retained message"));
            return;
        }
        match down {
            Down::Command(Command { verb, .. }) | Down::Incomplete(verb)
                if !self.is_genuine(verb, &message.payload) => {}
            Down::Command(command) => {
                let steps = self.actuator.command(command, Instant::now(), unix_now());
                self.take(steps, session);
            }
            Down::Incomplete(verb) => {
                self.show(
                    Tone::Bad,
                    format_args!("ignored {verb} without a command id and expiry"),
                );
            }
            Down::Report => {
                self.show(Tone::Plain, format_args!("asked for a report"));
                self.report(session);
            }
            Down::Ok(rest) if rest.starts_with("picture ") => {
                self.show(Tone::Good, format_args!("ok {rest}"));
                if session.picture_until.is_some() {
                    self.find_stranger(&rest["picture ".len()..], session);
                }
            }
            Down::Ok(rest) if session.join_again.take().is_some() => {
                self.ever_joined = true;
                self.show(Tone::Good, format_args!("joined the server: {rest}"));
                self.report(session);
            }
            Down::Ok(rest) => self.show(Tone::Good, format_args!("ok {rest}")),
            Down::Error(rest) => self.show(Tone::Bad, format_args!("error {rest}")),
            Down::Unknown(rest) => {
                self.show(Tone::Bad, format_args!("the server does not know {rest}"));
            }
            // No answer to what is not understood: that could go on for ever.
            Down::Other(word) => self.show(Tone::Bad, format_args!("does not understand {word}")),
        }
    }

    /// Whether a command is the server's, and new, as far as this device checks that.
    fn is_genuine(&mut self, verb: Verb, payload: &[u8]) -> bool {
        let Some(key) = &self.command_key else { return true };
        match key.check(payload, self.last_counter, unix_now()) {
            Ok(command) => {
                self.last_counter = command.counter;
                true
            }
            Err(why) => {
                match why {
                    InvalidCommand::Expired => self.tally.expired += 1,
                    _ => self.tally.not_genuine += 1,
                }
                self.show(Tone::Bad, format_args!("ignored {verb}: {why}"));
                false
            }
        }
    }

    pub(super) fn shake_hands(&mut self, session: &mut Session) {
        let mut features = if self.surroundings.plain { vec![] } else { vec!["ack", "ids"] };
        features.extend(self.command_key.as_ref().map(|_| "signed"));
        let offer = (!features.is_empty()).then(|| json!({ "features": features }).to_string());
        let words = format!("hand_shake {} {}", self.kind, offer.unwrap_or_default());
        self.publish(session, "up", words.trim_end().to_owned().into(), false, false);
        session.join_again = Some(Instant::now() + session.join_wait);
        session.join_wait = (session.join_wait * 2).min(LONGEST_JOIN_WAIT);
    }

    /// Tells that a picture shows a stranger; without an id, the newest.
    pub(super) fn find_stranger(&mut self, picture: &str, session: &mut Session) {
        session.picture_until = None;
        let words = format!("find_stranger {picture}");
        self.publish(session, "up", words.trim_end().to_owned().into(), false, false);
    }

    fn report(&mut self, session: &mut Session) {
        if let Some(state) = self.actuator.state() {
            self.publish(session, "up", format!("state {state}").into(), false, false);
        }
    }

    pub(super) fn take(&mut self, steps: Vec<Step>, session: &mut Session) {
        for step in steps {
            match step {
                Step::Obey(command) => {
                    self.tally.obeyed += 1;
                    self.show(
                        Tone::Busy,
                        format_args!("{} (command {})", command.verb, command.id),
                    );
                }
                Step::Report(state) => {
                    let tone = match state {
                        "locking" | "unlocking" => Tone::Busy,
                        "jammed" | "unknown" => Tone::Bad,
                        _ => Tone::Good,
                    };
                    self.show(tone, format_args!("{state}"));
                    self.publish(session, "up", format!("state {state}").into(), false, false);
                }
                Step::Acknowledge { id, failed } => self.acknowledge(&id, failed, session),
                Step::Expired(command) => {
                    self.tally.expired += 1;
                    let late = unix_now() - command.expires;
                    self.show(
                        Tone::Bad,
                        format_args!(
                            "ignored {}: expired {late} s ago ({})",
                            command.verb, command.id
                        ),
                    );
                }
                Step::Repeated(command) => {
                    self.tally.repeated += 1;
                    self.show(
                        Tone::Plain,
                        format_args!("{} came again: acts once ({})", command.verb, command.id),
                    );
                }
            }
        }
    }

    fn acknowledge(&mut self, id: &str, failed: Option<&str>, session: &mut Session) {
        match failed {
            None => self.tally.succeeded += 1,
            Some(why) => {
                self.tally.failed += 1;
                self.show(Tone::Bad, format_args!("failed: {why} ({id})"));
            }
        }
        if self.surroundings.plain {
            return;
        }
        let words = match failed {
            None => format!("ack {id} ok"),
            Some(why) => format!("ack {id} failed {why}"),
        };
        self.publish(session, "up", words.into(), false, true);
    }
}
