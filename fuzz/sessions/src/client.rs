//! What a client that keeps to the rules says.

use latchlight_mqtt::{
    Connect, Disconnect, Packet, PacketId, Properties, ProtocolVersion, PubRel, Publish, QoS,
    ReasonCode, RetainHandling, Subscribe, SubscribeFilter, SubscriptionOptions, Unsubscribe, Will,
};

use crate::message::{Message, Owed, Taken};
use crate::op::{Hello, Plan, SLOTS, TOPICS};
use crate::peer::{Asked, Peer};
use crate::setup::LONGEST;
use crate::slot::{Exists, Link, Open, Subscription, filter};
use crate::world::World;
use ProtocolVersion::{V5, V31, V311};

impl World {
    pub(crate) fn connect(&mut self, at: usize, mut hello: Hello) {
        let now = self.now();
        let exists = self.slots[at].exists(now);
        // 3.1 does not say whether there was a session.
        if hello.version == V31 && !hello.clean && exists == Exists::Maybe {
            hello.version = V311;
        }
        self.leave_connection(at);
        let stream = self.running.still.connect(&self.running.good).expect("it listens");
        let expiry = expiry(&hello);
        let will = hello.will.clone().map(|plan| {
            let no = self.new_message(at, plan.topic, plan.qos, 20);
            self.messages[no as usize].is_will = true;
            no
        });
        self.expect_will(at, &hello, will, exists);
        let packet = self.connect_packet(at, &hello, will);
        let slot = &mut self.slots[at];
        slot.eager = hello.eager;
        slot.since = now;
        slot.has_no_place = self.store_is_down;
        slot.answers.clear();
        slot.is_in_doubt |= slot.asks_in_doubt;
        let has_past = slot.life > 0 || !slot.open.is_empty();
        slot.asks_in_doubt = has_past && (hello.clean || exists != Exists::Sure);
        // Until the answer is read, it may be the old session's, or the new one's.
        slot.expiry = (slot.expiry.0.min(expiry), slot.expiry.1.max(expiry));
        if let Link::Down(first, _) = slot.link {
            slot.link = Link::Down(first, u64::MAX / 2);
        } else {
            slot.link = Link::Down(now, u64::MAX / 2);
            if exists == Exists::No {
                slot.expiry.0 = 0;
            }
        }
        if hello.clean || exists == Exists::No {
            // The client knows that what it had open went with the session, also
            // if it never reads the answer.
            slot.open.clear();
            slot.open_order.clear();
        }
        if hello.clean || exists != Exists::Sure {
            if slot.has_no_place {
                slot.expiry.0 = 0;
            }
            self.unowe(at);
            self.slots[at].subscriptions.iter_mut().for_each(|sub| sub.is_ending = true);
        }
        let most = hello.max_packet.filter(|_| hello.version == V5);
        let slot = &mut self.slots[at];
        slot.smallest_packet = [slot.smallest_packet, most].into_iter().flatten().min();
        if let Some(most) = most {
            for message in self.messages.iter_mut().filter(|m| m.size + 200 >= most as usize) {
                message.owed.retain(|owed| owed.slot != at);
            }
        }
        let mut peer = Peer::new(stream, hello, now);
        peer.will = will;
        peer.send(&packet);
        self.note(format!(
            "c{at}: {exists:?} {:?} {:?}",
            self.slots[at].link, self.slots[at].expiry
        ));
        self.expected[at] = exists;
        self.slots[at].peer = Some(peer);
    }

    /// A will waits for its delay or the end of its session (MQTT 5, 3.1.3.2.2),
    /// which a newer connection may bring about.
    fn expect_will(&mut self, at: usize, hello: &Hello, will: Option<u32>, exists: Exists) {
        if hello.clean || exists != Exists::Sure {
            self.expect_wills_at_any_time(at);
        }
        let delay = hello.will.as_ref().map_or(0, |plan| u64::from(plan.delay) * 1000);
        let least = delay.min(expiry(hello));
        if let Some(no) = will.filter(|_| hello.version == V5 && !self.store_is_down) {
            self.messages[no as usize].not_before = Some(self.now() + least);
        }
    }

    fn expect_wills_at_any_time(&mut self, at: usize) {
        for will in self.messages.iter_mut().filter(|message| message.sender.0 == at) {
            will.not_before = None;
        }
    }

    fn connect_packet(&mut self, at: usize, hello: &Hello, will: Option<u32>) -> Packet {
        let mut connect = Connect::new(hello.version, format!("c{at}"));
        connect.clean_start = hello.clean;
        connect.keep_alive = hello.keep_alive;
        if hello.version == V5 {
            let values = connect.properties.make_mut();
            values.session_expiry_interval = Some(hello.expiry);
            values.receive_maximum = Some(hello.receive_maximum);
            values.topic_alias_maximum = Some(hello.alias_maximum);
            values.maximum_packet_size = hello.max_packet;
        }
        connect.will = will.zip(hello.will.as_ref()).map(|(no, plan)| {
            let mut properties = Properties::new();
            if hello.version == V5 && plan.delay > 0 {
                properties.make_mut().will_delay_interval = Some(plan.delay);
            }
            Will {
                topic: TOPICS[plan.topic].try_into().expect("a topic"),
                payload: self.messages[no as usize].payload().into(),
                qos: plan.qos,
                retain: false,
                properties,
            }
        });
        Packet::Connect(Box::new(connect))
    }

    /// What the client has of its connection is given up.
    pub(crate) fn leave_connection(&mut self, at: usize) {
        let now = self.now();
        let slot = &mut self.slots[at];
        slot.peer = None;
        slot.answers.clear();
        slot.is_down(now);
    }

    /// The network is gone; a will without delay is published.
    pub(crate) fn drop_connection(&mut self, at: usize) {
        self.take_all();
        let will = self.slots[at]
            .peer
            .as_ref()
            .filter(|peer| peer.is_open() && peer.hello.keep_alive == 0);
        let will = will.and_then(|peer| {
            let is_now = peer
                .hello
                .will
                .as_ref()
                .is_some_and(|plan| plan.delay == 0 || peer.version() != V5);
            peer.will.filter(|_| is_now)
        });
        self.leave_connection(at);
        if let Some(no) = will.filter(|_| self.is_flowing()) {
            let owed = self.owed(at, no);
            self.messages[no as usize].owed = owed;
            self.running.still.settle();
            self.messages[no as usize].taken = Taken::Yes;
        }
    }

    pub(crate) fn disconnect(&mut self, at: usize, with_will: bool, seconds: Option<u32>) {
        let slot = &mut self.slots[at];
        let Some(peer) = slot.peer.as_mut().filter(|peer| peer.is_open()) else { return };
        let mut disconnect = Disconnect::new(ReasonCode::Success);
        if peer.version() == V5 {
            if with_will {
                disconnect.reason = ReasonCode::DisconnectWithWill;
            }
            if let Some(seconds) = seconds.filter(|_| peer.hello.expiry > 0) {
                disconnect.properties.make_mut().session_expiry_interval = Some(seconds);
                let changed = (u64::from(seconds) * 1000).min(LONGEST);
                slot.expiry = (slot.expiry.0.min(changed), slot.expiry.1.max(changed));
            }
        }
        let changes = disconnect.properties.session_expiry_interval.is_some();
        peer.send(&Packet::Disconnect(disconnect));
        peer.has_said = true;
        if changes {
            self.expect_wills_at_any_time(at);
        }
    }

    pub(crate) fn subscribe(
        &mut self,
        at: usize,
        number: usize,
        mut options: SubscriptionOptions,
        identifier: Option<u32>,
    ) {
        let id = self.slots[at].next_id();
        let slot = &mut self.slots[at];
        let Some(peer) = slot.peer.as_mut().filter(|peer| peer.is_open()) else { return };
        let is_v5 = peer.version() == V5;
        let filter = filter(number);
        if !is_v5 {
            options = SubscriptionOptions::qos(options.qos);
        }
        if filter.shared().is_some() {
            // [MQTT-3.8.3-4]
            options.no_local = false;
        }
        let identifier = identifier.filter(|_| is_v5);
        let mut properties = Properties::new();
        if let Some(identifier) = identifier {
            properties.make_mut().subscription_identifiers = vec![identifier];
        }
        let packet_id = PacketId::new(id).expect("not 0");
        let filters = vec![SubscribeFilter { filter, options }];
        peer.send(&Packet::Subscribe(Subscribe { packet_id, filters, properties }));
        for known in slot.subscriptions.iter_mut().filter(|known| known.filter == number) {
            known.is_ending = true;
        }
        peer.asked.insert(id, Asked::Subscribe(slot.subscriptions.len()));
        slot.subscriptions.push(Subscription {
            filter: number,
            options,
            identifier,
            granted: false,
            is_ending: false,
            ended: None,
        });
        if options.retain_handling != RetainHandling::DoNotSend {
            *slot.asked_retained.entry(number).or_default() += 1;
        }
        self.unowe_what_is_on_its_way(at);
    }

    pub(crate) fn unsubscribe(&mut self, at: usize, number: usize) {
        let id = self.slots[at].next_id();
        let slot = &mut self.slots[at];
        let Some(peer) = slot.peer.as_mut().filter(|peer| peer.is_open()) else { return };
        let packet_id = PacketId::new(id).expect("not 0");
        let (filters, properties) = (vec![filter(number)], Properties::new());
        peer.send(&Packet::Unsubscribe(Unsubscribe { packet_id, filters, properties }));
        peer.asked.insert(id, Asked::Unsubscribe(number));
        for known in slot.subscriptions.iter_mut().filter(|known| known.filter == number) {
            known.is_ending = true;
        }
        self.unowe_what_is_on_its_way(at);
    }

    pub(crate) fn ping(&mut self, at: usize) {
        let Some(peer) = self.slots[at].peer.as_mut().filter(|peer| peer.is_open()) else { return };
        peer.send(&Packet::PingReq);
        let before = std::mem::take(&mut peer.unconfirmed);
        peer.pings.push_back(before);
    }

    pub(crate) fn publish(&mut self, at: usize, plan: &Plan) {
        for _ in 0..plan.times {
            let slot = &self.slots[at];
            let Some(peer) = slot.peer.as_ref().filter(|peer| peer.is_open()) else { return };
            let window = self.setup.options.receive_maximum;
            if plan.qos != QoS::AtMostOnce
                && slot.open.len() >= peer.receive_maximum.min(usize::from(window))
            {
                return;
            }
            // Larger than the broker takes is the end of a connection.
            let most = self.setup.options.max_packet_size as usize - 200;
            self.publish_one(at, plan, plan.size.min(most));
        }
    }

    fn publish_one(&mut self, at: usize, plan: &Plan, size: usize) {
        let now = self.now();
        let no = self.new_message(at, plan.topic, plan.qos, size);
        let owed = self.owed(at, no);
        let slot = &mut self.slots[at];
        let id = (plan.qos != QoS::AtMostOnce).then(|| slot.next_id());
        let Some(peer) = slot.peer.as_mut() else { return };
        let is_v5 = peer.version() == V5;
        let message = &mut self.messages[no as usize];
        // An empty payload does not tell whose it is.
        message.owed = if plan.clears { Vec::new() } else { owed };
        message.retain = plan.retain;
        message.clears = plan.clears;
        let mut publish = self.slots[at].packet_of(message, id);
        if let Some(seconds) = plan.expiry.filter(|_| is_v5) {
            message.expires = Some(now + u64::from(seconds) * 1000);
            publish.properties.make_mut().message_expiry_interval = Some(seconds);
        }
        let Some(peer) = self.slots[at].peer.as_mut() else { return };
        if let Some(alias) = plan.alias.filter(|alias| is_v5 && *alias <= peer.topic_alias_maximum)
        {
            publish.properties.make_mut().topic_alias = Some(alias);
            if peer.own_aliases.insert(alias, plan.topic) == Some(plan.topic) {
                publish.topic = Default::default();
            }
        }
        peer.send(&Packet::Publish(publish));
        peer.unconfirmed.push(no);
        if plan.retain {
            self.kept.sent(plan.topic, no, plan.clears, at);
        }
        if let Some(id) = id {
            self.slots[at].open.insert(id, Open { no, qos: plan.qos, released: false });
            self.slots[at].open_order.push(id);
        }
    }

    /// A message that may be published from now on.
    fn new_message(&mut self, at: usize, topic: usize, qos: QoS, size: usize) -> u32 {
        let no = u32::try_from(self.messages.len()).expect("few messages");
        self.messages.push(Message {
            no,
            topic,
            qos,
            retain: false,
            sender: (at, self.slots[at].life),
            sends: 1,
            first: self.tick,
            taken: Taken::Unknown,
            expires: None,
            size,
            is_will: false,
            may_come_again: false,
            not_before: None,
            clears: false,
            owed: Vec::new(),
        });
        no
    }

    /// Who has to get a message that is published now.
    fn owed(&self, sender: usize, no: u32) -> Vec<Owed> {
        let now = self.now();
        let message = &self.messages[no as usize];
        let mut owed = Vec::new();
        for at in 0..SLOTS {
            let slot = &self.slots[at];
            let is_there = match slot.exists(now) {
                Exists::Sure => true,
                Exists::Maybe => slot.peer.as_ref().is_some_and(Peer::is_open),
                Exists::No => false,
            };
            let fits = slot.smallest_packet.is_none_or(|most| message.size + 200 < most as usize);
            let most = slot.subscriptions.iter().filter(|sub| {
                let is_own = sub.options.no_local && at == sender;
                sub.is_definite() && !sub.is_shared() && !is_own && sub.matches(message.topic)
            });
            let most = most.map(|sub| sub.options.qos).max().unwrap_or_default();
            if is_there && fits && most.min(message.qos) > QoS::AtMostOnce {
                owed.push(Owed { slot: at, life: slot.life });
            }
        }
        owed
    }

    /// The session may be replaced, and with it what it is owed.
    pub(crate) fn unowe(&mut self, at: usize) {
        for message in &mut self.messages {
            message.owed.retain(|owed| owed.slot != at);
        }
    }

    /// What is not known to be taken may come after a change of subscriptions.
    fn unowe_what_is_on_its_way(&mut self, at: usize) {
        for message in self.messages.iter_mut().filter(|m| m.taken != Taken::Yes) {
            message.owed.retain(|owed| owed.slot != at);
        }
    }

    /// The session goes on: what is not finished is sent again.
    pub(crate) fn send_again(&mut self, at: usize) {
        let order = self.slots[at].open_order.clone();
        for id in order {
            let open = self.slots[at].open[&id];
            let message = &mut self.messages[open.no as usize];
            let packet_id = PacketId::new(id).expect("not 0");
            let packet = if open.released {
                Packet::PubRel(PubRel::new(packet_id, ReasonCode::Success))
            } else {
                message.sends += 1;
                let (topic, no, clears, retain) =
                    (message.topic, message.no, message.clears, message.retain);
                let publish = self.slots[at].packet_of(message, Some(id));
                match open.qos {
                    _ if !retain => {}
                    QoS::ExactlyOnce => self.kept.sent_again(topic, no, clears, at),
                    _ => self.kept.sent(topic, no, clears, at),
                }
                Packet::Publish(Publish { dup: true, ..publish })
            };
            if let Some(peer) = &mut self.slots[at].peer {
                peer.send(&packet);
            }
        }
    }
}

impl crate::slot::Slot {
    fn packet_of(&self, message: &Message, id: Option<u16>) -> Publish {
        Publish {
            qos: message.qos,
            retain: message.retain,
            packet_id: id.and_then(PacketId::new),
            ..Publish::new(TOPICS[message.topic], message.payload())
        }
    }
}

/// How long a session outlives this connection, in ms.
pub(crate) fn expiry(hello: &Hello) -> u64 {
    match hello.version {
        V5 => (u64::from(hello.expiry) * 1000).min(LONGEST),
        _ if hello.clean => 0,
        _ => LONGEST,
    }
}
