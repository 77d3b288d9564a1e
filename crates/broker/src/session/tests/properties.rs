//! What holds whatever happens: random lives against a client that keeps to the
//! standard.

use std::collections::{BTreeMap, VecDeque};

use latchlight_mqtt::{Packet, PacketId, PacketType, Publish, QoS};
use proptest::prelude::*;

use super::{Scene, message};

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
