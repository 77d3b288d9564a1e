//! Messages of shared subscriptions: to one member, and from one that leaves to
//! another.

use latchlight_mqtt::TopicFilter;

use crate::DropReason;
use crate::batch::Batch;
use crate::broker::Core;
use crate::delivery::Verdicts;
use crate::hooks::Tells;
use crate::message::Forward;
use crate::session::{Accepted, Kept, Receiver};
use crate::tally::Tally;
use crate::topics::{SharedGroup, Subscriber};

impl Core {
    /// Gives a message to one member of a shared subscription: the first, in
    /// their turn, that takes it.
    pub(crate) fn deliver_to_one(
        &self,
        forward: &Forward<'_>,
        group: &SharedGroup,
        verdicts: &Verdicts,
        batch: &mut Batch,
        tally: &mut Tally,
    ) {
        let mut first_refusal = None;
        for member in group.in_turn() {
            let Subscriber::Session(session) = &member.subscriber else { continue };
            let receiver = Receiver { share: Some(group.filter().clone()), ..member.receiver() };
            let accepted = self.deliver(forward, verdicts, session, &receiver, batch);
            tally.add(accepted);
            if matches!(accepted, Accepted::Yes(_)) {
                return;
            }
            let refused = accepted.refused().map(|reason| (session.clone(), reason));
            first_refusal = first_refusal.or(refused);
        }
        if let Some((session, reason)) = first_refusal {
            session.outbound.lock().owed.note_lost(forward, reason, &self.counters);
        }
    }

    /// What a member of shared subscriptions was to get until it left goes to
    /// other members; within [`Recorder::together`], so that it leaves the
    /// store in the commit in which they get it. What nobody gets is told by
    /// the member that it was for.
    ///
    /// [`Recorder::together`]: crate::store::Recorder::together
    pub(crate) fn hand_over(&self, left: Vec<Kept>, tells: &Tells) {
        let now = self.clock.now();
        let mut batch = Batch::default();
        for Kept { message, share, .. } in left {
            if message.is_expired(now) {
                self.counters.dropped_expired.one();
                tells.dropped(DropReason::Expired, || message);
                continue;
            }
            let filter = share.and_then(|share| TopicFilter::try_from(&*share).ok());
            // Where nobody else is subscribed, it ends with its session.
            let Some(group) = filter.and_then(|filter| self.index.group(&filter)) else {
                tells.dropped(DropReason::SessionEnded, || message);
                continue;
            };
            let mut tally = Tally::default();
            let forward = Forward::of_message(&message, now);
            let verdicts = Verdicts::default();
            self.deliver_to_one(&forward, &group, &verdicts, &mut batch, &mut tally);
            self.counters.shared_handed_over.add(tally.taken as u64);
        }
        batch.flush(self);
    }
}
