//! What a client may not receive any more is taken out of what waits for it.

use bytestring::ByteString;
use latchlight_mqtt::QoS;
use rustc_hash::FxHashSet;

use super::Outbound;
use crate::DropReason;
use crate::counters::Counters;

impl Outbound {
    /// The last word was said, or is about to be: to this connection nothing
    /// more is sent. What comes waits as for a client that is offline.
    pub(crate) fn finish(&mut self) {
        self.finished = true;
    }

    /// The same until [`go_on`](Self::go_on), where something waits already.
    pub(crate) fn begin_sifting(&mut self) {
        self.sifting = !self.queue.is_empty() || self.in_flight.has_again();
    }

    pub(crate) fn go_on(&mut self) {
        self.sifting = false;
    }

    /// Whether what comes has to wait.
    pub(super) fn is_held(&self) -> bool {
        self.sifting || self.finished
    }

    /// The topics of all that this connection was not sent.
    pub(crate) fn unsent_topics(&mut self) -> FxHashSet<ByteString> {
        let mut topics = FxHashSet::default();
        self.queue.for_each(|kept| {
            topics.insert(kept.message.topic.clone());
        });
        let open = self.in_flight.unsent().filter_map(|(_, open)| open.message());
        topics.extend(open.map(|kept| kept.message.topic.clone()));
        topics
    }

    /// Drops what is of these topics and was not sent by this connection;
    /// gives how many that were.
    pub(crate) fn drop_unsent(
        &mut self,
        topics: &FxHashSet<ByteString>,
        counters: &Counters,
    ) -> usize {
        if topics.is_empty() {
            return 0;
        }
        let dropped = self.queue.take_out(|kept| topics.contains(&kept.message.topic));
        for kept in &dropped {
            self.note_done(kept.stored);
            self.tells.dropped(DropReason::NotAllowed, || kept.message.clone());
        }
        let open = self.in_flight.unsent().filter_map(|(id, open)| {
            let kept = open.message().filter(|kept| topics.contains(&kept.message.topic))?;
            Some((id, kept.qos, kept.message.clone()))
        });
        let open: Vec<_> = open.collect();
        for (id, qos, message) in &open {
            self.tells.dropped(DropReason::NotAllowed, || message.clone());
            if *qos == QoS::ExactlyOnce {
                // The client may have the message under this id, and would take
                // another one for it: it is told to forget it [MQTT-4.3.3-5].
                self.note_released(*id);
            } else {
                self.close(*id);
                self.tells.qos_dropped(*id);
            }
        }
        self.count(counters);
        dropped.len() + open.len()
    }
}
