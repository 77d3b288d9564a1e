//! Clients that always have more to say, and those that share a thread with
//! them: each has its turn.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use latchlight_broker::Options;
use latchlight_mqtt::{
    Packet, PacketId, Properties, ProtocolVersion, Publish, QoS, Subscribe, SubscribeFilter,
    SubscriptionOptions,
};
use support::{Client, TestBroker};

use ProtocolVersion::{V5, V311};

#[test]
fn clients_that_flood_leave_the_others_of_their_thread_their_turn() {
    let broker = TestBroker::with_options(Options { threads: 1, ..Options::default() });
    let publish = Packet::Publish(Publish::new("nobody/listens", "x"));
    let floods: Vec<_> = (0..3).map(|_| Flood::start(&broker, &repeat(&publish, 1000))).collect();
    broker.until("they are read", |broker| broker.counters().received.all_messages() > 10_000);
    for _ in 0..10 {
        let mut other = Client::connect(broker.address(), V5, "other");
        other.subscribe("mine", QoS::AtLeastOnce);
        other.send(Packet::Publish(Publish::new("mine", "hello")));
        assert_eq!(other.next_publish().payload, "hello");
        other.disconnect();
    }
    floods.into_iter().for_each(Flood::stop);
}

/// What came in one read and takes long is not handled at one go; and nothing
/// of it is lost, or out of order.
#[test]
fn packets_that_take_long_are_handled_over_several_turns_in_their_order() {
    const RETAINED: usize = 2_000;
    const PACKETS: usize = 500;
    let broker = TestBroker::with_options(Options { threads: 1, ..Options::default() });
    let mut client = Client::connect(broker.address(), V311, "client");
    for number in 0..RETAINED {
        client.send(Packet::Publish(Publish {
            retain: true,
            ..Publish::new(format!("r/{number}"), "x")
        }));
    }
    client.expect_nothing();
    // Each looks at all that is retained, and finds nothing.
    let mut bytes = Vec::new();
    for number in 0..PACKETS {
        let subscribe = Packet::Subscribe(Subscribe {
            packet_id: PacketId::new(number as u16 + 1).unwrap(),
            filters: vec![SubscribeFilter {
                filter: "r/+/nothing".try_into().unwrap(),
                options: SubscriptionOptions::qos(QoS::AtMostOnce),
            }],
            properties: Properties::new(),
        });
        subscribe.encode(V311, &mut bytes).unwrap();
    }
    client.send_bytes(&bytes);
    for number in 0..PACKETS {
        match client.next() {
            Packet::SubAck(ack) => assert_eq!(ack.packet_id.get(), number as u16 + 1),
            other => panic!("expected SUBACK, received {other:?}"),
        }
    }
    client.expect_nothing();
}

/// A client that sends the same bytes over and over.
struct Flood {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Flood {
    fn start(broker: &TestBroker, bytes: &[u8]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut client = Client::connect(broker.address(), V311, "");
        let (stopped, bytes) = (stop.clone(), bytes.to_vec());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                client.send_bytes(&bytes);
            }
        });
        Self { stop, thread }
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

fn repeat(packet: &Packet, times: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.encode(V311, &mut bytes).unwrap();
    bytes.repeat(times)
}
