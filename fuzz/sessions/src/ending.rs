//! The end of a script: everybody takes what is theirs, and goes.

use std::collections::HashMap;
use std::time::Duration;

use latchlight_broker::testing::Held;
use latchlight_mqtt::{
    Connect, Disconnect, Packet, PacketId, Properties, ProtocolVersion, PubAck, QoS, ReasonCode,
    Subscribe, SubscribeFilter, SubscriptionOptions,
};

use crate::message::Message;
use crate::op::{Hello, SLOTS, TOPICS};
use crate::peer::Peer;
use crate::setup::LONGEST;
use crate::slot::Exists;
use crate::world::World;
use ProtocolVersion::V5;

impl World {
    pub(crate) fn end(mut self) {
        self.tick += 1;
        self.note("the end".to_owned());
        if let Some(disk) = &self.setup.disk {
            disk.set_failing(false);
            self.store_fails = false;
        }
        // Who is in the middle of CONNECT gets its answer.
        self.take_what_is_there();
        for at in 0..SLOTS {
            self.slots[at].eager = true;
            let is_in = self.slots[at].peer.as_ref().is_some_and(|peer| peer.is_open());
            if !is_in && self.slots[at].exists(self.now()) != Exists::No {
                self.connect(at, Hello::at_the_end());
            }
        }
        self.take_what_is_there();
        self.assert_nothing_is_missing();
        self.look_at_retained();
        self.assert_nothing_is_left();
    }

    /// Until nothing comes any more, also of those who were not read for as long
    /// as slow readers are waited for (`stalled_after`).
    fn take_what_is_there(&mut self) {
        let mut quiet = 0;
        for _ in 0..400 {
            self.slots.iter_mut().for_each(|slot| slot.eager = true);
            self.commit();
            quiet = if self.take_all() { 0 } else { quiet + 1 };
            if quiet == 8 {
                return;
            }
            self.running.still.pass(Duration::from_millis(10));
        }
        panic!("it never ends");
    }

    fn assert_nothing_is_missing(&self) {
        let mut count = 0;
        let mut what = Vec::new();
        for message in self.taken() {
            let missing = self.missing(message.no);
            count += missing.len() as u64;
            if !missing.is_empty() {
                what.push(format!("{message:?} by {missing:?}"));
            }
        }
        let dropped = self.dropped();
        assert!(self.setup.is_tight || self.has_failed || dropped == 0, "{dropped} were dropped");
        let refused = self.store_refused();
        assert!(self.setup.is_tight || self.has_failed || refused == 0, "{refused} were refused");
        assert!(count <= dropped, "{count} are missing, {dropped} were dropped: {what:#?}");
    }

    /// Somebody new subscribes to everything.
    pub(crate) fn look_at_retained(&mut self) {
        let stream = self.running.still.connect(&self.running.good).expect("it listens");
        let mut peer = Peer::new(stream, Hello::at_the_end(), 0);
        let connect = Connect::new(V5, format!("observer{}", self.tick));
        peer.send(&Packet::Connect(Box::new(connect)));
        let filter = |filter: &str| SubscribeFilter {
            filter: filter.try_into().expect("a filter"),
            options: SubscriptionOptions::qos(QoS::AtLeastOnce),
        };
        peer.send(&Packet::Subscribe(Subscribe {
            packet_id: PacketId::MIN,
            filters: ["t/#", "u/#", "$x/#"].map(filter).into(),
            properties: Properties::new(),
        }));
        let mut is_answered = false;
        let mut found: HashMap<String, u32> = HashMap::new();
        for _ in 0..10 {
            self.running.still.settle();
            for (_, packet) in peer.read() {
                match packet {
                    Packet::ConnAck(ack) if ack.reason != ReasonCode::Success => return,
                    Packet::SubAck(ack) if ack.reasons.iter().any(|reason| reason.is_error()) => {
                        return;
                    }
                    Packet::SubAck(_) => is_answered = true,
                    Packet::Publish(publish) => {
                        if let Some(id) = publish.packet_id {
                            peer.send(&Packet::PubAck(PubAck::new(id, ReasonCode::Success)));
                        }
                        let no = Message::no_of(&publish.payload).filter(|_| publish.retain);
                        let Some(no) = no else { continue };
                        let twice = found.insert(publish.topic.to_string(), no as u32);
                        assert_eq!(twice, None, "{}: two retained messages", publish.topic);
                    }
                    _ => {}
                }
            }
            if peer.is_over {
                return;
            }
        }
        peer.send(&Packet::Disconnect(Disconnect::new(ReasonCode::Success)));
        self.running.still.settle();
        if !is_answered {
            // Its answers wait for the store.
            return;
        }
        let now = self.now();
        for (topic, name) in TOPICS.iter().enumerate() {
            let found = found.get(*name).copied();
            let mut candidates = self.kept.candidates(topic);
            let may_be = candidates.any(|no| {
                let expires = no.and_then(|no| self.messages[no as usize].expires);
                let may_be_gone = expires.is_some_and(|at| at <= now);
                no == found || (found.is_none() && may_be_gone)
            });
            assert!(may_be, "{name}: {found:?} is retained, of {:?}", self.kept);
        }
    }

    fn assert_nothing_is_left(&mut self) {
        for at in 0..SLOTS {
            self.leave_connection(at);
        }
        self.evil_goes();
        // Sessions and wills come to their ends.
        self.running.still.pass(Duration::from_millis(LONGEST + 5_000));
        {
            let _entered = self.running.still.enter();
            for topic in TOPICS {
                self.running.still.broker().forget_retained(topic);
            }
        }
        self.running.still.commit();
        let counters = self.running.still.broker().counters();
        let gauges = [
            counters.connections,
            counters.sessions,
            counters.subscriptions,
            counters.waiting_bytes,
            counters.partial_bytes,
            counters.retained_messages,
            counters.retained_bytes,
        ];
        assert_eq!(gauges, [0; 7], "{counters:?}");
        assert_eq!(self.running.still.held(), Held::default());
        if let Some(disk) = &self.setup.disk {
            // The version of the format.
            assert_eq!(disk.entries.len(), 1);
        }
    }
}
