//! The deadlines of live publishes: one ordered map for all of them, and a
//! task that sleeps until the first, instead of a task for each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use latchlight_mqtt::ReasonCode;
use parking_lot::Mutex;

use crate::Time;
use crate::broker::Core;
use crate::line::Closing;
use crate::live::Ticket;
use crate::session_handle::Session;

/// What is looked after at its deadline. Bounded by what is published within
/// one lifetime; what was settled before goes when it is the first.
#[derive(Default)]
pub(crate) struct LiveWatch {
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    due: BTreeMap<(Time, u64), Flight>,
    /// Tells apart what is due at the same time.
    last: u64,
    /// Until when a task sleeps, where one does.
    armed: Option<Time>,
}

/// A live publish on its way to one receiver.
struct Flight {
    ticket: Arc<Ticket>,
    session: Arc<Session>,
    /// The connection that it was given to.
    epoch: u32,
}

impl Watched {
    /// Whether somebody has to sleep until the first deadline who does not yet.
    fn arm(&mut self) -> Option<Time> {
        let (first, _) = *self.due.first_key_value()?.0;
        if self.armed.is_some_and(|armed| armed <= first) {
            return None;
        }
        self.armed = Some(first);
        Some(first)
    }

    fn drop_settled(&mut self) {
        while let Some(first) = self.due.first_entry()
            && first.get().ticket.is_over()
        {
            first.remove();
        }
    }
}

impl Core {
    /// Resets the connection of a live publish's receiver that has not
    /// acknowledged it by the deadline, and tells the publisher after that.
    /// What was confirmed is cut off all the same if it may arrive still.
    pub(crate) fn watch_live(
        self: &Arc<Self>,
        ticket: Arc<Ticket>,
        session: Arc<Session>,
        epoch: u32,
        deadline: Time,
    ) {
        let Some(runtime) = self.runtime.get() else { return ticket.gone_unsent() };
        let sleep_until = {
            let mut watched = self.live_watch.watched.lock();
            watched.drop_settled();
            watched.last += 1;
            let key = (deadline, watched.last);
            watched.due.insert(key, Flight { ticket, session, epoch });
            watched.arm()
        };
        if let Some(first) = sleep_until {
            runtime.spawn(self.clone().watch_until(first));
        }
    }

    async fn watch_until(self: Arc<Self>, mut deadline: Time) {
        loop {
            let left = deadline.saturating_sub(self.clock.now());
            tokio::time::sleep(Duration::from_millis(left)).await;
            let (due, next) = {
                let mut watched = self.live_watch.watched.lock();
                let later = watched.due.split_off(&(deadline, u64::MAX));
                let due = std::mem::replace(&mut watched.due, later);
                watched.armed.take_if(|armed| *armed == deadline);
                watched.drop_settled();
                (due, watched.arm())
            };
            for flight in due.into_values() {
                self.cut_off(&flight);
            }
            match next {
                Some(next) => deadline = next,
                None => return,
            }
        }
    }

    fn cut_off(&self, Flight { ticket, session, epoch }: &Flight) {
        if !ticket.is_waiting() && !ticket.is_sent() {
            return;
        }
        // Locked, so that nothing leaves now.
        let mut line = session.outbound.lock();
        if ticket.is_waiting() {
            return ticket.expired();
        }
        if line.epoch != *epoch || !line.owed.is_connected() {
            // Its connection's end has cut it off.
            return;
        }
        line.settle_live();
        if ticket.is_sent() {
            self.counters.live_resets.one();
            let reason = ReasonCode::ImplementationSpecificError;
            // The connection's end tells the ticket that it is lost.
            line.close(Closing { reason, say: false, reset: true });
        }
    }
}
