//! What a client is owed, driven by made-up packets and made-up time.

mod properties;

use std::sync::Arc;

use bytes::Bytes;
use latchlight_mqtt::{
    AckView, ConnAck, Framing, Packet, PacketId, PacketType, Properties, ProtocolVersion, Publish,
    QoS, ReasonCode, frame,
};
use tokio::sync::mpsc;

use super::in_flight::{InFlight, Kept};
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

/// Of a shared subscription, what of QoS 2 was not brought whole may go to
/// another member, and what may have been brought goes to nobody [MQTT-4.8.2-5].
#[test]
fn a_shared_message_goes_on_where_its_last_byte_was_not_written() {
    for (written, goes_on) in [(99, true), (100, false)] {
        let kept = Kept {
            message: Arc::new(message("1", QoS::ExactlyOnce)),
            qos: QoS::ExactlyOnce,
            retain: false,
            identifiers: Box::default(),
            share: Some("$share/group/a".into()),
            stored: None,
            dup: false,
        };
        let mut in_flight = InFlight::default();
        let id = in_flight.open(QoS::ExactlyOnce, Some(kept), None);
        in_flight.appended(id, 100);
        in_flight.disconnect(written);
        assert_eq!(in_flight.take_shared().len(), usize::from(goes_on), "{written}");
    }
}
