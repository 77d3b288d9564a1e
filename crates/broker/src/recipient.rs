//! One of those who get a message.

use std::sync::Arc;

use latchlight_mqtt::QoS;

use crate::batch::Batch;
use crate::broker::Core;
use crate::delivery::Verdicts;
use crate::hooks::Panicked;
use crate::message::Forward;
use crate::router::Publisher;
use crate::session::{Accepted, Receiver};
use crate::session_handle::Session;
use crate::tally::Tally;
use crate::topics::{Route, Subscriber, Subscription};
use crate::{DropReason, Publication};

/// One of those who get a message, as
/// [`Interceptor::select_subscribers`](crate::Interceptor::select_subscribers)
/// sees it.
#[derive(Debug, Clone)]
pub struct Recipient {
    session: Arc<Session>,
    receiver: Receiver,
    /// Which of the message's shared subscriptions it is a member of.
    group: Option<usize>,
}

impl Recipient {
    /// Its client id.
    pub fn client_id(&self) -> &str {
        &self.session.client_id
    }

    /// Who it is, as the access hook said.
    pub fn identity(&self) -> &str {
        &self.session.identity
    }

    /// Whether it is connected now.
    pub fn is_connected(&self) -> bool {
        self.session.is_connected()
    }

    /// The name of the shared subscription by which it may get the message.
    pub fn share(&self) -> Option<&str> {
        let filter = self.receiver.share.as_deref()?;
        filter.split('/').nth(1)
    }

    /// The QoS at which it gets the message at the most.
    pub fn qos(&self) -> QoS {
        self.receiver.qos
    }

    /// Changes that.
    pub fn set_qos(&mut self, qos: QoS) {
        self.receiver.qos = qos;
    }
}

impl Core {
    /// Those who are to get a message, as the interceptors see it.
    pub(crate) fn select(
        &self,
        forward: &Forward<'_>,
        route: &Route,
        publisher: Option<Publisher<'_>>,
    ) -> Result<Vec<Recipient>, Panicked> {
        let alone = route.sessions.iter().filter_map(|target| {
            let receiver = target.receiver_of(publisher.map(|p| p.session))?.clone();
            Some(Recipient { session: target.session.clone(), receiver, group: None })
        });
        let shared = route.groups.iter().enumerate().flat_map(|(number, group)| {
            let recipient = move |member: Subscription| {
                let share = Some(group.filter().clone());
                let receiver = Receiver { share, ..member.receiver() };
                let Subscriber::Session(session) = member.subscriber else { return None };
                Some(Recipient { session, receiver, group: Some(number) })
            };
            group.in_turn().filter_map(recipient)
        });
        let mut recipients = alone.chain(shared).collect();
        if let Some(message) = Publication::of(&forward.keep()) {
            let publisher = publisher.map(|publisher| publisher.info);
            self.hooks.select_subscribers(publisher, &message, &mut recipients)?;
        }
        Ok(recipients)
    }

    pub(crate) fn deliver_to_selected(
        &self,
        forward: &Forward<'_>,
        verdicts: &Verdicts,
        selected: Vec<Recipient>,
        batch: &mut Batch,
        tally: &mut Tally,
    ) {
        let mut served = Vec::new();
        let mut refusals: Vec<(usize, Arc<Session>, DropReason)> = Vec::new();
        for Recipient { session, receiver, group } in selected {
            if group.is_some_and(|group| served.contains(&group)) {
                continue;
            }
            let accepted = self.deliver(forward, verdicts, &session, &receiver, batch);
            tally.add(accepted);
            let Some(group) = group else { continue };
            if matches!(accepted, Accepted::Yes(_)) {
                served.push(group);
            } else if let Some(reason) = accepted.refused()
                && refusals.iter().all(|(other, ..)| *other != group)
            {
                refusals.push((group, session, reason));
            }
        }
        // Lost is what no member of its group has taken.
        for (_, session, reason) in refusals.iter().filter(|(group, ..)| !served.contains(group)) {
            session.outbound.lock().owed.note_lost(forward, *reason, &self.counters);
        }
    }
}
