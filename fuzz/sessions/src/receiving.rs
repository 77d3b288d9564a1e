//! What a client gets, and whether that may be.

use latchlight_mqtt::{
    ConnAck, Packet, ProtocolVersion, PubComp, PubRel, Publish, QoS, ReasonCode,
};

use crate::client::expiry;
use crate::message::{Message, Taken};
use crate::op::TOPICS;
use crate::peer::Asked;
use crate::slot::{Exists, Link, Received};
use crate::world::World;
use ProtocolVersion::{V5, V31};

impl World {
    /// Reads all that has come for a client; true if something had.
    pub(crate) fn read(&mut self, at: usize) -> bool {
        let now = self.now();
        let Some(peer) = &mut self.slots[at].peer else { return false };
        let packets = peer.read();
        let (is_over, is_in) = (peer.is_over, peer.is_in);
        let progress = !packets.is_empty();
        for (size, packet) in packets {
            self.take_packet(at, size, packet);
        }
        let slot = &mut self.slots[at];
        if is_over {
            slot.is_down(now);
            slot.peer = None;
            slot.answers.clear();
        } else if is_in {
            slot.link = Link::Up(now);
        }
        progress
    }

    fn take_packet(&mut self, at: usize, size: usize, packet: Packet) {
        let Some(peer) = &mut self.slots[at].peer else { return };
        let most = peer.hello.max_packet.filter(|_| peer.version() == V5);
        // [MQTT-3.1.2-24]
        assert!(most.is_none_or(|most| size <= most as usize), "{at}: {size} bytes: {packet:?}");
        assert!(!peer.is_told, "{at}: after DISCONNECT: {packet:?}");
        // [MQTT-3.2.0-1]
        let is_answer = matches!(packet, Packet::ConnAck(_));
        assert_eq!(is_answer, !peer.is_in, "{at}: {packet:?}");
        match packet {
            Packet::ConnAck(connack) => self.take_connack(at, &connack),
            Packet::Publish(publish) => self.take_publish(at, publish),
            Packet::PubAck(ack) => self.take_answer(at, ack.packet_id.get(), ack.reason, true),
            Packet::PubRec(ack) => self.take_answer(at, ack.packet_id.get(), ack.reason, false),
            Packet::PubRel(ack) => {
                let slot = &mut self.slots[at];
                slot.unreleased.remove(&ack.packet_id.get());
                let answer = PubComp::new(ack.packet_id, ReasonCode::Success);
                slot.answers.push_back(Packet::PubComp(answer));
            }
            Packet::PubComp(ack) => {
                let open = self.slots[at].close_open(ack.packet_id.get());
                assert!(open.is_some_and(|open| open.released), "{at}: {ack:?}");
            }
            Packet::SubAck(ack) => self.take_suback(at, ack.packet_id.get(), &ack.reasons),
            Packet::UnsubAck(ack) => {
                let asked = peer.asked.remove(&ack.packet_id.get());
                let Some(Asked::Unsubscribe(number)) = asked else { panic!("{at}: {ack:?}") };
                self.end_subscriptions(at, number, usize::MAX);
            }
            Packet::PingResp => {
                let confirmed = peer.pings.pop_front().expect("a ping was sent");
                confirmed.into_iter().for_each(|no| self.confirm(no));
            }
            Packet::Disconnect(disconnect) => {
                assert_eq!(peer.version(), V5, "{disconnect:?}");
                // The client has done nothing wrong.
                let wrong = matches!(
                    disconnect.reason,
                    ReasonCode::ProtocolError
                        | ReasonCode::MalformedPacket
                        | ReasonCode::PacketTooLarge
                        | ReasonCode::TopicAliasInvalid
                        | ReasonCode::ReceiveMaximumExceeded
                        | ReasonCode::UnspecifiedError
                );
                // An earlier session that is back has messages open of its own.
                let is_full = disconnect.reason == ReasonCode::ReceiveMaximumExceeded
                    && self.slots[at].may_be_another;
                assert!(!wrong || is_full, "{at}: {disconnect:?}");
                let Some(peer) = &mut self.slots[at].peer else { return };
                peer.is_told = true;
            }
            other => panic!("{at}: no server says {other:?}"),
        }
    }

    fn take_connack(&mut self, at: usize, connack: &ConnAck) {
        let expected = self.expected[at];
        let slot = &mut self.slots[at];
        let Some(peer) = &mut slot.peer else { return };
        if connack.reason != ReasonCode::Success {
            let full =
                matches!(connack.reason, ReasonCode::QuotaExceeded | ReasonCode::ServerUnavailable);
            assert!(full && self.setup.is_tight, "{at}: {connack:?}");
            return;
        }
        peer.is_in = true;
        let properties = &connack.properties;
        peer.receive_maximum =
            properties.receive_maximum.map_or(usize::from(u16::MAX), usize::from);
        peer.topic_alias_maximum = properties.topic_alias_maximum.unwrap_or(0);
        let mut present = connack.session_present;
        if peer.version() == V31 {
            present = !peer.hello.clean && expected == Exists::Sure;
        }
        // [MQTT-3.2.2-2], [MQTT-3.2.2-3]
        let is_wrong = match present {
            true => peer.hello.clean || expected == Exists::No,
            false => !peer.hello.clean && expected == Exists::Sure,
        };
        assert!(!is_wrong, "{at}: session present: {present}, though {expected:?}");
        let expiry = expiry(&peer.hello);
        // A store that cannot write takes no new session: MQTT 5 is told.
        let is_told = properties.session_expiry_interval;
        let told = is_told.map_or(expiry, |seconds| u64::from(seconds) * 1000);
        assert!(told == expiry || self.setup.disk.is_some(), "{at}: {connack:?}");
        let least = if slot.has_no_place && peer.version() != V5 { 0 } else { told };
        let since = peer.since;
        let in_doubt = std::mem::take(&mut slot.is_in_doubt);
        slot.asks_in_doubt = false;
        if !present {
            slot.begin_life();
        } else if in_doubt {
            slot.may_be_another = true;
            for open in slot.open.values() {
                self.messages[open.no as usize].may_come_again = true;
            }
        }
        slot.may_be_back = false;
        slot.expiry = (least, told);
        slot.link = Link::Up(since);
        self.send_again(at);
    }

    fn take_suback(&mut self, at: usize, id: u16, reasons: &[ReasonCode]) {
        let slot = &mut self.slots[at];
        let asked = slot.peer.as_mut().and_then(|peer| peer.asked.remove(&id));
        let (Some(Asked::Subscribe(number)), [reason]) = (asked, reasons) else {
            panic!("{at}: SUBACK {id} {reasons:?}");
        };
        let subscription = &mut slot.subscriptions[number];
        if reason.is_error() {
            assert!(self.setup.is_tight || self.has_failed, "{at}: {reason:?}");
            subscription.ended = Some(self.tick);
            return;
        }
        assert_eq!(reason.code(), subscription.options.qos as u8);
        subscription.granted = true;
        let filter = subscription.filter;
        // It has replaced those before it.
        self.end_subscriptions(at, filter, number);
    }

    fn end_subscriptions(&mut self, at: usize, filter: usize, before: usize) {
        let tick = self.tick;
        let all = self.slots[at].subscriptions.iter_mut().take(before);
        for subscription in all.filter(|known| known.filter == filter && known.is_ending) {
            subscription.ended.get_or_insert(tick);
        }
    }

    /// What becomes of a message of QoS 0 is known by what came after it.
    fn confirm(&mut self, no: u32) {
        let message = &self.messages[no as usize];
        if message.qos == QoS::AtMostOnce && message.retain && self.takes_all() {
            let (topic, no) = (message.topic, message.no);
            self.kept.taken(topic, no, false);
        }
    }

    /// PUBACK or PUBREC.
    fn take_answer(&mut self, at: usize, id: u16, reason: ReasonCode, is_last: bool) {
        let slot = &mut self.slots[at];
        let version = slot.peer.as_ref().map_or(V5, |peer| peer.version());
        let Some(open) = slot.open.get_mut(&id) else { panic!("{at}: {id} is not open") };
        let no = open.no;
        assert_eq!(is_last, open.qos == QoS::AtLeastOnce, "{at}: {id}");
        let is_refused = reason.is_error();
        open.released = true;
        if is_last || is_refused {
            slot.close_open(id);
        } else {
            let id = latchlight_mqtt::PacketId::new(id).expect("not 0");
            slot.answers.push_back(Packet::PubRel(PubRel::new(id, ReasonCode::Success)));
        }
        let has_store = self.setup.disk.is_some();
        let takes_all = self.takes_all();
        let message = &mut self.messages[no as usize];
        if is_refused {
            // C14: over quota, and nothing else.
            assert_eq!(reason, ReasonCode::QuotaExceeded, "{at}: {message:?}");
            assert!(self.setup.is_tight || !takes_all, "{at}: {message:?}");
            // It may be retained: there was room for that, and none at its readers.
            message.taken = Taken::Refused;
            return;
        }
        // Before MQTT 5, it is not said that there was no room to retain it.
        if version == V5 || takes_all || !message.retain {
            message.taken = Taken::Yes;
        }
        if message.retain && (version == V5 || takes_all) {
            self.kept.taken(message.topic, no, has_store);
        }
        if reason == ReasonCode::NoMatchingSubscribers && self.messages[no as usize].sends == 1 {
            let owed = self.missing(no);
            assert!(owed.is_empty(), "nobody gets {:?}", self.messages[no as usize]);
        }
    }

    fn take_publish(&mut self, at: usize, publish: Publish) {
        self.note(format!("c{at} gets {publish:?}"));
        let slot = &mut self.slots[at];
        let Some(peer) = &mut slot.peer else { return };
        let topic = peer.topic_of(&publish);
        let no = Message::no_of(&publish.payload).filter(|_| !topic.starts_with("evil/"));
        let is_known = slot.take_packet_id(&publish, no.map(|no| no as u32));
        let Some(no) = no else {
            let is_evil = topic.starts_with("evil/");
            assert!(publish.payload.is_empty() || is_evil, "{at}: whose is {publish:?}?");
            return;
        };
        let message = &self.messages[no];
        assert_eq!(topic, TOPICS[message.topic]);
        assert_eq!(publish.payload, message.payload());
        assert!(publish.qos <= message.qos, "{at}: {:?} of {message:?}", publish.qos);
        let now = self.passed + self.running.still.now();
        // [MQTT-3.1.3-9]
        assert!(message.not_before <= Some(now), "{at}: too early: {message:?}");
        let left = publish.properties.message_expiry_interval;
        assert!(left.is_none() || message.expires.is_some());
        // [MQTT-3.3.2-5]: what had expired before the connection began was not on
        // its way already, unless it comes again.
        let is_over = slot.has_expired_before(message) && message.sends == 1 && !publish.dup;
        assert!(!is_over || self.setup.is_tight, "{at}: expired: {message:?}");
        if slot.may_be_another {
            // What an earlier session had subscribed to is not known any more.
            count(slot.received.entry(message.no).or_default(), &publish, is_known);
            return;
        }
        self.check_subscriptions(at, no, &publish);
        self.check_count_and_order(at, no, &publish, is_known);
    }

    /// Whether the client is subscribed to what it gets, and as it gets it.
    fn check_subscriptions(&self, at: usize, no: usize, publish: &Publish) {
        let (slot, message) = (&self.slots[at], &self.messages[no]);
        let (live, retained) = slot.ways(message);
        assert!(live + retained > 0, "{at}: not subscribed: {message:?}");
        let possible = || slot.possible(message);
        if retained == 0 {
            let most = possible().map(|sub| sub.options.qos).max();
            assert!(most >= Some(publish.qos), "{at}: {:?}, granted {most:?}", publish.qos);
            // A will is published by the broker.
            let is_own = message.sender == (at, slot.life) && !message.is_will;
            let wants_own = possible().any(|sub| !sub.options.no_local);
            // [MQTT-3.8.3-3]
            assert!(!is_own || wants_own, "{at}: its own {message:?}");
        }
        if publish.retain {
            let as_published = possible().any(|sub| sub.options.retain_as_published);
            assert!(
                message.retain && (as_published || retained > 0),
                "{at}: retain of {message:?}"
            );
        }
        for identifier in &publish.properties.subscription_identifiers {
            let known = slot.subscriptions.iter().any(|sub| sub.identifier == Some(*identifier));
            assert!(known, "{at}: identifier {identifier}");
        }
    }

    /// Whether it comes no more often than it may, and after those before it.
    fn check_count_and_order(&mut self, at: usize, no: usize, publish: &Publish, is_known: bool) {
        let now = self.now();
        let (slot, message) = (&mut self.slots[at], &self.messages[no]);
        let (live, retained) = slot.ways(message);
        let is_once = message.qos == QoS::ExactlyOnce
            && slot.possible(message).all(|sub| sub.options.qos == QoS::ExactlyOnce);
        let is_once = is_once && !message.may_come_again;
        let most = if is_once { live } else { live * message.sends } + retained;
        let has_shared = slot.subscriptions.iter().any(|sub| sub.is_shared());
        let received = slot.received.entry(message.no).or_default();
        count(received, publish, is_known);
        let received = *received;
        assert!(received.fresh <= most, "{at}: {received:?}, at most {most}, of {message:?}");
        let counts = !publish.retain && !message.is_will && message.sends == 1 && !has_shared;
        if counts && received.times == 1 && retained == 0 {
            let key = (message.sender.0, message.topic, publish.qos);
            let before = slot.order.insert(key, message.no);
            // [MQTT-4.6.0-5]
            assert!(before < Some(message.no), "{at}: {no} after {before:?}, at {now}");
        }
    }
}

fn count(received: &mut Received, publish: &Publish, is_known: bool) {
    received.times += 1;
    let is_fresh = match publish.qos {
        QoS::ExactlyOnce => !is_known,
        _ => !publish.dup,
    };
    received.fresh += u32::from(is_fresh);
}
