//! What a client is owed, driven by made-up packets and made-up time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use latchlight_mqtt::{
    AckView, ConnAck, Framing, Packet, PacketId, PacketType, Properties, ProtocolVersion, Publish,
    QoS, ReasonCode, frame,
};
use proptest::prelude::*;
use tokio::sync::mpsc;

use super::{Accepted, Answer, ConnectionLimits, Outbound, Receiver};
use crate::burst::{Burst, Together};
use crate::counters::Counters;
use crate::live::{LiveEvent, LiveStatus, Ticket};
use crate::message::{Forward, Message};
use crate::topics::Route;
use crate::{ClientInfo, DropReason, Options, Time};

/// A session and the client at its other end.
struct Scene {
    outbound: Outbound,
    options: Options,
    counters: Counters,
    now: Time,
}

impl Scene {
    fn new() -> Self {
        let (outbound, options) = (Outbound::default(), Options::default());
        Self { outbound, options, counters: Counters::default(), now: 1 }
    }

    fn connect(&mut self, receive_maximum: u16, durable: bool) -> Vec<Packet> {
        let limits = ConnectionLimits {
            version: ProtocolVersion::V5,
            receive_maximum,
            max_packet_size: 1000,
            topic_alias_maximum: 0,
            wants_problem_information: true,
        };
        let answer = Packet::ConnAck(Box::new(ConnAck::new(false, ReasonCode::Success)));
        let Self { outbound, options, counters, now } = self;
        let answer_now = Answer { packet: &answer, after: None };
        outbound.connect(limits, durable, answer_now, *now, options, counters);
        let mut packets = self.received();
        assert_eq!(packets.remove(0), answer, "it comes first");
        packets
    }

    fn deliver(&mut self, message: Message, qos: QoS) -> Accepted {
        let message = Arc::new(message);
        let forward = Forward::of_message(&message, self.now);
        let receiver = Receiver { qos, ..Receiver::default() };
        self.outbound.deliver(&forward, &receiver, false, &self.options, &self.counters)
    }

    /// Gives messages of one QoS as a burst does.
    fn deliver_together(&mut self, messages: Vec<Message>, qos: QoS) {
        let route = Arc::new(Route::new("topic", 0));
        let mut burst = Burst::new(route, messages[0].qos, 0, &self.options);
        let messages: Vec<_> = messages.into_iter().map(Arc::new).collect();
        messages.iter().for_each(|message| burst.push(message.clone(), self.now, None));
        let (together, receiver) = (Together::new(&burst), Receiver { qos, ..Receiver::default() });
        if !self.outbound.deliver_together(&together, &receiver, &self.options) {
            for message in &messages {
                let forward = Forward::of_message(message, self.now);
                let Self { outbound, options, counters, .. } = self;
                outbound.deliver(&forward, &receiver, false, options, counters);
            }
        }
    }

    fn deliver_live(&mut self, deadline: Time) -> mpsc::UnboundedReceiver<LiveEvent> {
        let (sender, events) = mpsc::unbounded_channel();
        let client = ClientInfo {
            client_id: "lock".into(),
            identity: "lock".into(),
            address: None,
            certificate: None,
            version: ProtocolVersion::V5,
            connected_at: std::time::SystemTime::UNIX_EPOCH,
        };
        let ticket = Ticket::new(Arc::new(client), sender);
        let message = Arc::new(message("unlock", QoS::AtLeastOnce));
        let receiver = Receiver { qos: QoS::AtLeastOnce, ..Receiver::default() };
        let Self { outbound, options, now, .. } = self;
        outbound.deliver_live(&message, &receiver, &ticket, deadline, *now, options);
        events
    }

    fn acknowledge(&mut self, packet_type: PacketType, packet_id: PacketId) {
        let ack = AckView { packet_type, packet_id, reason: ReasonCode::Success };
        self.outbound.acknowledge(ack, self.now, &self.options, &self.counters);
    }

    /// What the client was sent since it last looked.
    fn received(&mut self) -> Vec<Packet> {
        let Some(output) = self.outbound.output() else { return Vec::new() };
        let bytes = Bytes::from(output.take());
        let mut packets = Vec::new();
        let mut rest = bytes;
        while let Framing::Complete(header) = frame(&rest, usize::MAX).expect("whole packets") {
            let packet = rest.split_to(header.total_len());
            packets.push(Packet::decode(packet, ProtocolVersion::V5).expect("well formed"));
        }
        assert!(rest.is_empty(), "no packet is cut");
        packets
    }

    fn received_publishes(&mut self) -> Vec<Publish> {
        let publish = |packet| match packet {
            Packet::Publish(publish) => publish,
            other => panic!("unexpected {other:?}"),
        };
        self.received().into_iter().map(publish).collect()
    }
}

fn message(payload: &str, qos: QoS) -> Message {
    Message {
        topic: "a".into(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        qos,
        retain: false,
        properties: Properties::new(),
        expires_at: None,
    }
}

fn payloads(publishes: &[Publish]) -> Vec<&str> {
    publishes.iter().map(|p| std::str::from_utf8(&p.payload).expect("text")).collect()
}

#[test]
fn the_window_is_kept_and_filled_as_it_opens() {
    let mut scene = Scene::new();
    scene.connect(2, false);
    for payload in ["1", "2", "3"] {
        assert_eq!(
            scene.deliver(message(payload, QoS::AtLeastOnce), QoS::AtLeastOnce),
            Accepted::Yes(None)
        );
    }
    let first = scene.received_publishes();
    assert_eq!(payloads(&first), ["1", "2"]);
    scene.acknowledge(PacketType::PubAck, first[0].packet_id.expect("QoS 1"));
    assert_eq!(payloads(&scene.received_publishes()), ["3"]);
}

#[test]
fn what_is_not_to_be_sent_any_more_makes_no_room_in_the_window() {
    for expires in [true, false] {
        let mut scene = Scene::new();
        // One at a time goes out, so that the next ones wait.
        scene.options.high_water = 0;
        scene.connect(1, false);
        scene.deliver(message("1", QoS::AtLeastOnce), QoS::AtLeastOnce);
        let expires_at = expires.then_some(scene.now + 10);
        let retained = Arc::new(Message { expires_at, ..message("0", QoS::AtMostOnce) });
        scene.outbound.queue_retained(vec![retained.clone()], QoS::AtMostOnce, &[]);
        scene.deliver(message("2", QoS::AtLeastOnce), QoS::AtLeastOnce);
        let first = scene.received_publishes();
        // It has expired, or another one has taken its place.
        let _retained = expires.then_some(retained);
        scene.now += 20;
        scene.outbound.pump(scene.now, &scene.options, &scene.counters);
        assert_eq!(payloads(&scene.received_publishes()), [""; 0]);
        scene.acknowledge(PacketType::PubAck, first[0].packet_id.expect("QoS 1"));
        assert_eq!(payloads(&scene.received_publishes()), ["2"]);
    }
}

#[test]
fn a_message_expires_in_the_queue_and_its_interval_shrinks() {
    let mut scene = Scene::new();
    scene.connect(1, true);
    scene.outbound.disconnect();
    for (payload, seconds) in [("short", 10), ("long", 20)] {
        let mut message = message(payload, QoS::AtLeastOnce);
        message.properties.make_mut().message_expiry_interval = Some(seconds);
        message.expires_at = Some(scene.now + u64::from(seconds) * 1000);
        scene.deliver(message, QoS::AtLeastOnce);
    }
    scene.now += 15_000;
    let packets = scene.connect(1, true);
    let [Packet::Publish(publish)] = &packets[..] else { panic!("unexpected {packets:?}") };
    assert_eq!(publish.payload, "long");
    // [MQTT-3.3.2-6]
    assert_eq!(publish.properties.message_expiry_interval, Some(5));
    assert_eq!(scene.counters.snapshot().dropped_expired, 1);
}

#[test]
fn a_reader_that_takes_nothing_is_not_waited_for() {
    let mut scene = Scene::new();
    scene.options.high_water = 10;
    scene.connect(10, false);
    // Long silence before does not count against it.
    scene.now += 1_000_000;
    scene.deliver(message("longer than the mark", QoS::AtMostOnce), QoS::AtMostOnce);
    assert!(scene.outbound.is_worth_waiting_for(scene.now, &scene.options));
    let stalled_after = u64::try_from(scene.options.stalled_after.as_millis()).expect("short");
    scene.now += stalled_after;
    assert!(scene.outbound.is_worth_waiting_for(scene.now, &scene.options));
    scene.now += 1;
    assert!(!scene.outbound.is_worth_waiting_for(scene.now, &scene.options));
    let dropped = scene.deliver(message("2", QoS::AtMostOnce), QoS::AtMostOnce);
    assert_eq!(dropped, Accepted::Full(DropReason::Stalled));
    // It takes something again.
    scene.outbound.progressed(0, scene.now);
    assert!(scene.outbound.is_worth_waiting_for(scene.now, &scene.options));
}

#[test]
fn a_client_that_acknowledges_slowly_is_waited_for_while_it_does() {
    let mut scene = Scene::new();
    scene.options.max_queued_messages = 2;
    scene.connect(1, false);
    for payload in ["1", "2", "3"] {
        scene.deliver(message(payload, QoS::AtLeastOnce), QoS::AtLeastOnce);
    }
    let id = scene.received_publishes()[0].packet_id.expect("QoS 1");
    scene.now += 1000;
    assert!(!scene.outbound.is_worth_waiting_for(scene.now, &scene.options));
    scene.acknowledge(PacketType::PubAck, id);
    scene.received();
    scene.deliver(message("4", QoS::AtLeastOnce), QoS::AtLeastOnce);
    assert!(scene.outbound.is_worth_waiting_for(scene.now, &scene.options));
}

#[test]
fn a_live_publish_goes_before_what_waits_and_ends_with_its_connection() {
    let mut scene = Scene::new();
    scene.connect(1, true);
    for payload in ["1", "2"] {
        scene.deliver(message(payload, QoS::AtLeastOnce), QoS::AtLeastOnce);
    }
    let mut events = scene.deliver_live(10_000);
    let first = scene.received_publishes();
    assert_eq!(payloads(&first), ["1"]);
    assert!(events.try_recv().is_err(), "it waits");
    scene.acknowledge(PacketType::PubAck, first[0].packet_id.expect("QoS 1"));
    assert_eq!(payloads(&scene.received_publishes()), ["unlock"]);
    assert_eq!(events.try_recv().map(|event| event.what), Ok(LiveStatus::Sent));
    let lost = scene.outbound.disconnect();
    assert_eq!(lost.len(), 1);
    let packets = scene.connect(10, true);
    let [Packet::Publish(second)] = &packets[..] else { panic!("unexpected {packets:?}") };
    assert_eq!((&second.payload[..], second.dup), (&b"2"[..], false));
}

#[test]
fn a_live_publish_is_not_sent_after_its_deadline() {
    let mut scene = Scene::new();
    scene.connect(1, true);
    scene.deliver(message("1", QoS::AtLeastOnce), QoS::AtLeastOnce);
    let id = scene.received_publishes()[0].packet_id.expect("QoS 1");
    let mut events = scene.deliver_live(scene.now + 10_000);
    scene.now += 10_000;
    scene.acknowledge(PacketType::PubAck, id);
    assert!(scene.received().is_empty());
    assert_eq!(events.try_recv().map(|event| event.what), Ok(LiveStatus::Expired));
}

/// One step of a random life.
#[derive(Debug, Clone)]
enum Step {
    Deliver(QoS),
    /// The client acknowledges the oldest of what it has not.
    Acknowledge,
    Disconnect,
    Connect(u16),
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let qos = prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)];
    prop_oneof![
        8 => qos.prop_map(Step::Deliver),
        6 => Just(Step::Acknowledge),
        1 => Just(Step::Disconnect),
        2 => (1_u16..5).prop_map(Step::Connect),
        1 => Just(Step::Wait),
    ]
}

/// One step of a connection's life.
#[derive(Debug, Clone)]
enum Turn {
    Deliver(QoS),
    /// So many at once.
    Together(QoS, u8),
    Acknowledge,
    /// What waits is looked through, and then goes on.
    Sift(bool),
}

fn turn() -> impl Strategy<Value = Turn> {
    let qos = prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)];
    let few = prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce)];
    prop_oneof![
        3 => qos.prop_map(Turn::Deliver),
        3 => (few, 1_u8..5).prop_map(|(qos, count)| Turn::Together(qos, count)),
        9 => Just(Turn::Acknowledge),
        1 => any::<bool>().prop_map(Turn::Sift),
    ]
}

/// A client that keeps to the standard, and checks that the session does.
#[derive(Default)]
struct Model {
    connected: bool,
    window: usize,
    /// Packets of this connection that the client has not answered.
    open: VecDeque<Packet>,
    /// Packet ids that take a place in the window.
    taken: BTreeMap<PacketId, ()>,
    /// QoS 2 messages between PUBLISH and PUBREL, over all connections.
    unreleased: BTreeMap<PacketId, ()>,
    at_least_once: Vec<u32>,
    exactly_once: Vec<u32>,
}

impl Model {
    fn receive(&mut self, packets: Vec<Packet>) {
        for packet in packets {
            match &packet {
                Packet::Publish(publish) => self.receive_publish(publish),
                Packet::PubRel(pubrel) => {
                    self.taken.insert(pubrel.packet_id, ());
                }
                other => panic!("unexpected {other:?}"),
            }
            // [MQTT-3.3.4-9]
            assert!(self.taken.len() <= self.window, "more than the window");
            self.open.push_back(packet);
        }
    }

    fn receive_publish(&mut self, publish: &Publish) {
        let number = std::str::from_utf8(&publish.payload).expect("text").parse().expect("number");
        let Some(id) = publish.packet_id else { return };
        assert!(self.taken.insert(id, ()).is_none(), "the packet id is in use");
        match publish.qos {
            QoS::AtLeastOnce => self.at_least_once.push(number),
            // [MQTT-4.3.3-10]: a copy of what was received counts once.
            _ if self.unreleased.insert(id, ()).is_none() => self.exactly_once.push(number),
            _ => assert!(publish.dup),
        }
    }

    fn answer(&mut self) -> Option<(PacketType, PacketId)> {
        loop {
            match self.open.pop_front()? {
                Packet::Publish(Publish { packet_id: Some(id), qos: QoS::AtLeastOnce, .. }) => {
                    self.taken.remove(&id);
                    return Some((PacketType::PubAck, id));
                }
                Packet::Publish(Publish { packet_id: Some(id), .. }) => {
                    return Some((PacketType::PubRec, id));
                }
                Packet::PubRel(pubrel) => {
                    self.unreleased.remove(&pubrel.packet_id);
                    self.taken.remove(&pubrel.packet_id);
                    return Some((PacketType::PubComp, pubrel.packet_id));
                }
                _ => {}
            }
        }
    }

    fn disconnect(&mut self) {
        self.connected = false;
        self.open.clear();
        self.taken.clear();
    }
}

proptest! {
    /// Whatever happens, a durable session delivers every message of QoS 1 at
    /// least once and of QoS 2 exactly once, each kind in its order, and never
    /// more at once than the client allows.
    #[test]
    fn nothing_is_lost_doubled_or_out_of_order(steps in prop::collection::vec(step(), 1..200)) {
        let mut scene = Scene::new();
        let mut model = Model::default();
        scene.connect(5, true);
        scene.outbound.disconnect();
        let (mut wanted_1, mut wanted_2) = (Vec::new(), Vec::new());
        let ending = [Step::Disconnect, Step::Connect(3)]
            .into_iter()
            .chain(std::iter::repeat_n(Step::Acknowledge, 3000));
        for (number, step) in steps.into_iter().chain(ending).enumerate() {
            let number = u32::try_from(number).expect("few");
            match step {
                Step::Deliver(qos) => {
                    scene.deliver(message(&number.to_string(), qos), QoS::ExactlyOnce);
                    match qos {
                        QoS::AtMostOnce => {}
                        QoS::AtLeastOnce => wanted_1.push(number),
                        QoS::ExactlyOnce => wanted_2.push(number),
                    }
                }
                Step::Acknowledge => {
                    if let Some((packet, id)) = model.answer() {
                        scene.acknowledge(packet, id);
                    }
                }
                Step::Disconnect => {
                    scene.outbound.disconnect();
                    model.disconnect();
                }
                Step::Connect(window) => {
                    if model.connected {
                        scene.outbound.disconnect();
                        model.disconnect();
                    }
                    model.connected = true;
                    model.window = usize::from(window);
                    let packets = scene.connect(window, true);
                    model.receive(packets);
                }
                Step::Wait => scene.now += 1000,
            }
            let packets = scene.received();
            model.receive(packets);
        }
        prop_assert_eq!(model.exactly_once, wanted_2);
        let mut firsts = Vec::new();
        for number in model.at_least_once {
            if !firsts.contains(&number) {
                firsts.push(number);
            }
        }
        prop_assert_eq!(firsts, wanted_1);
    }

    /// Whether they come one by one or together, a connection gets every
    /// message of QoS 1 and 2 once, each kind in its order, and never more at
    /// once than it allows.
    #[test]
    fn what_goes_together_keeps_to_the_window_and_the_order(
        turns in prop::collection::vec(turn(), 1..200),
        window in 1_u16..8,
    ) {
        let mut scene = Scene::new();
        let mut model = Model { window: window.into(), ..Model::default() };
        scene.connect(window, false);
        let (mut wanted_1, mut wanted_2, mut next) = (Vec::new(), Vec::new(), 0_u32);
        let ending = [Turn::Sift(false)].into_iter().chain(std::iter::repeat_n(Turn::Acknowledge, 3000));
        for turn in turns.into_iter().chain(ending) {
            let mut numbered = |qos| {
                next += 1;
                match qos {
                    QoS::AtMostOnce => {}
                    QoS::AtLeastOnce => wanted_1.push(next),
                    QoS::ExactlyOnce => wanted_2.push(next),
                }
                message(&next.to_string(), qos)
            };
            match turn {
                Turn::Deliver(qos) => {
                    scene.deliver(numbered(qos), QoS::ExactlyOnce);
                }
                Turn::Together(qos, count) => {
                    let messages = (0..count).map(|_| numbered(qos)).collect();
                    scene.deliver_together(messages, QoS::ExactlyOnce);
                }
                Turn::Acknowledge => {
                    if let Some((packet, id)) = model.answer() {
                        scene.acknowledge(packet, id);
                    }
                }
                Turn::Sift(true) => scene.outbound.begin_sifting(),
                Turn::Sift(false) => {
                    scene.outbound.go_on();
                    scene.outbound.pump(scene.now, &scene.options, &scene.counters);
                }
            }
            let packets = scene.received();
            model.receive(packets);
        }
        prop_assert_eq!(model.at_least_once, wanted_1);
        prop_assert_eq!(model.exactly_once, wanted_2);
    }
}
