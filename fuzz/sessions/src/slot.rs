//! One client that keeps to the rules, over all its connections: what it knows
//! and what it has a right to.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use latchlight_mqtt::{
    Packet, ProtocolVersion, PubAck, PubRec, Publish, QoS, ReasonCode, SubscriptionOptions,
    TopicFilter,
};

use crate::message::{Message, Tick};
use crate::op::{FILTERS, TOPICS};
use crate::peer::Peer;

/// How much later than a client knows a broker may see that it is gone, and
/// do what is due, in ms.
const SLACK: u64 = 3_000;

#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) peer: Option<Peer>,
    pub(crate) eager: bool,
    /// Counts the sessions of this client id.
    pub(crate) life: u32,
    pub(crate) link: Link,
    /// When it connected last, in ms.
    pub(crate) since: u64,
    /// The store could not write when it connected: a new session then ends with
    /// its connection.
    pub(crate) has_no_place: bool,
    /// How long the session outlives its connection, in ms: at least, at most.
    pub(crate) expiry: (u64, u64),
    /// A restart may have brought back what had ended.
    pub(crate) may_be_back: bool,
    /// The power went while the store could not write, or a connection was never
    /// answered: another session than it knows may be there, with its
    /// subscriptions and messages.
    pub(crate) may_be_another: bool,
    /// It has connected, perhaps to a session that is not the one it knows, and
    /// was not answered yet.
    pub(crate) asks_in_doubt: bool,
    /// It never was: a session that it finds now may be of that connection.
    pub(crate) is_in_doubt: bool,
    pub(crate) subscriptions: Vec<Subscription>,
    /// What it publishes and is not finished, by packet id.
    pub(crate) open: BTreeMap<u16, Open>,
    /// In which order it was published.
    pub(crate) open_order: Vec<u16>,
    /// QoS 2 messages that came and were not released.
    pub(crate) unreleased: HashMap<u16, Option<u32>>,
    pub(crate) received: HashMap<u32, Received>,
    /// The last message of each sender, topic and QoS.
    pub(crate) order: HashMap<(usize, usize, QoS), u32>,
    /// Subscriptions that may have brought retained messages, by filter.
    pub(crate) asked_retained: HashMap<usize, u32>,
    /// Answers that it has not given yet.
    pub(crate) answers: VecDeque<Packet>,
    pub(crate) smallest_packet: Option<u32>,
    next_id: u16,
}

/// Whether its session has a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Link {
    #[default]
    Never,
    /// It was there at this time.
    Up(u64),
    /// It went between these times.
    Down(u64, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exists {
    No,
    Maybe,
    Sure,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Open {
    pub(crate) no: u32,
    pub(crate) qos: QoS,
    pub(crate) released: bool,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Received {
    pub(crate) times: u32,
    /// Without DUP, or not known already by its packet id.
    pub(crate) fresh: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) filter: usize,
    pub(crate) options: SubscriptionOptions,
    pub(crate) identifier: Option<u32>,
    pub(crate) granted: bool,
    /// Something was sent that may change it.
    pub(crate) is_ending: bool,
    /// It is over since then.
    pub(crate) ended: Option<Tick>,
}

impl Subscription {
    pub(crate) fn matches(&self, topic: usize) -> bool {
        filter(self.filter).matches(TOPICS[topic])
    }

    pub(crate) fn is_shared(&self) -> bool {
        filter(self.filter).shared().is_some()
    }

    /// Whether it may have been there at this tick or later.
    pub(crate) fn may_be_since(&self, tick: Tick) -> bool {
        self.ended.is_none_or(|ended| ended >= tick)
    }

    pub(crate) fn is_definite(&self) -> bool {
        self.granted && !self.is_ending && self.ended.is_none()
    }
}

pub(crate) fn filter(number: usize) -> TopicFilter {
    FILTERS[number].try_into().expect("a filter")
}

impl Slot {
    pub(crate) fn exists(&self, now: u64) -> Exists {
        let (least, most) = self.expiry;
        let no = if self.may_be_back { Exists::Maybe } else { Exists::No };
        match self.link {
            Link::Never => no,
            Link::Up(at) if least > 0 && now < at + least => Exists::Sure,
            // It ends with the connection that is taken over.
            Link::Up(_) if most == 0 => no,
            Link::Up(_) => Exists::Maybe,
            Link::Down(first, _) if least > 0 && now < first + least => Exists::Sure,
            Link::Down(_, last) if now > last.saturating_add(most) + SLACK => no,
            Link::Down(..) => Exists::Maybe,
        }
    }

    /// The session is another one from now on.
    pub(crate) fn begin_life(&mut self) {
        self.life += 1;
        self.subscriptions.clear();
        self.open.clear();
        self.open_order.clear();
        self.unreleased.clear();
        self.received.clear();
        self.order.clear();
        self.asked_retained.clear();
        self.may_be_back = false;
        self.may_be_another = false;
    }

    /// The connection is over, as the client sees now.
    pub(crate) fn is_down(&mut self, now: u64) {
        if let Link::Up(at) = self.link {
            self.link = Link::Down(at, now);
        }
    }

    /// Whether a message had expired when the connection began, by a second.
    pub(crate) fn has_expired_before(&self, message: &Message) -> bool {
        message.expires.is_some_and(|at| at + 1000 < self.since)
    }

    /// Its subscriptions that a message may come by.
    pub(crate) fn possible(&self, message: &Message) -> impl Iterator<Item = &Subscription> {
        let (topic, since) = (message.topic, message.first);
        let all = self.subscriptions.iter();
        all.filter(move |sub| sub.may_be_since(since) && sub.matches(topic))
    }

    /// How often a message may come, and how often as a retained one.
    pub(crate) fn ways(&self, message: &Message) -> (u32, u32) {
        let possible = || self.possible(message);
        let plain = possible().any(|subscription| !subscription.is_shared());
        let shared: HashSet<_> =
            possible().filter(|subscription| subscription.is_shared()).map(|s| s.filter).collect();
        let matching = self.asked_retained.iter().filter(|(at, _)| {
            let filter = filter(**at);
            filter.shared().is_none() && filter.matches(TOPICS[message.topic])
        });
        let retained = matching.map(|(_, times)| times).sum();
        let retained = if message.retain { retained } else { 0 };
        (u32::from(plain) + shared.len() as u32, retained)
    }

    /// Checks the packet id of what comes, and has it answered; true: it is a
    /// message of QoS 2 that came before.
    pub(crate) fn take_packet_id(&mut self, publish: &Publish, no: Option<u32>) -> bool {
        let Some(id) = publish.packet_id else {
            // [MQTT-3.3.1-2]
            assert!(!publish.dup);
            return false;
        };
        if let Some(peer) = &mut self.peer {
            // [MQTT-2.2.1-4]
            assert!(peer.in_flight.insert(id.get()), "{id:?} is in use: {no:?}");
            // [MQTT-3.3.4-9]
            let is_v5 = peer.version() == ProtocolVersion::V5;
            let window = if is_v5 { peer.hello.receive_maximum } else { u16::MAX };
            assert!(peer.in_flight.len() <= usize::from(window), "more than {window}");
        }
        if publish.qos != QoS::ExactlyOnce {
            let answer = PubAck::new(id, ReasonCode::Success);
            self.answers.push_back(Packet::PubAck(answer));
            return false;
        }
        let known = self.unreleased.insert(id.get(), no);
        if let Some(known) = known.filter(|_| !self.may_be_another) {
            assert_eq!(known, no, "{id:?} stands for another message");
            assert!(publish.dup, "{id:?}");
        }
        self.answers.push_back(Packet::PubRec(PubRec::new(id, ReasonCode::Success)));
        known.is_some()
    }

    pub(crate) fn next_id(&mut self) -> u16 {
        loop {
            self.next_id = self.next_id % 50_000 + 1;
            let asked = self.peer.as_ref().is_some_and(|p| p.asked.contains_key(&self.next_id));
            if !self.open.contains_key(&self.next_id) && !asked {
                return self.next_id;
            }
        }
    }

    pub(crate) fn close_open(&mut self, id: u16) -> Option<Open> {
        self.open_order.retain(|known| *known != id);
        self.open.remove(&id)
    }

    /// Sends the next of its answers; false: there is none.
    pub(crate) fn answer_one(&mut self) -> bool {
        let Some(peer) = self.peer.as_mut().filter(|peer| peer.is_open()) else {
            self.answers.clear();
            return false;
        };
        let Some(answer) = self.answers.pop_front() else { return false };
        match &answer {
            Packet::PubAck(ack) => drop(peer.in_flight.remove(&ack.packet_id.get())),
            Packet::PubComp(ack) => drop(peer.in_flight.remove(&ack.packet_id.get())),
            _ => {}
        }
        peer.send(&answer);
        true
    }
}
