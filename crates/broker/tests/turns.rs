//! Clients that always have more to say, and those that share a thread with
//! them: each has its turn.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use async_trait::async_trait;
use latchlight_broker::{
    Access, ClientInfo, ConnectRequest, Options, PublishRequest, ReasonCode, Refusal,
};
use latchlight_mqtt::{
    Packet, PacketId, Properties, ProtocolVersion, Publish, QoS, Subscribe, SubscribeFilter,
    SubscriptionOptions,
};
use support::{Client, PATIENCE, TestBroker};

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

/// Holds the first message up until another one has come, and looks at the
/// second one who has received anything.
struct HoldsTheFirst {
    holds: Sender<()>,
    goes_on: Mutex<Receiver<()>>,
    readers: Arc<Mutex<Vec<TcpStream>>>,
    early: Sender<usize>,
}

#[async_trait]
impl Access for HoldsTheFirst {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        Ok(request.client_id.into())
    }

    fn authorize_publish(
        &self,
        _: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        if request.topic == "all/first" {
            self.holds.send(()).unwrap();
            self.goes_on.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        } else {
            let readers = self.readers.lock().unwrap();
            let has_some = |reader: &&TcpStream| reader.peek(&mut [0]).is_ok();
            self.early.send(readers.iter().filter(has_some).count()).unwrap();
        }
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
        Ok(())
    }
}

/// What counts as many readers.
const MANY: usize = 64;
/// What counts as much, in bytes of all that came.
const LITTLE: usize = 8 * 1024;

/// The first message, as a packet of so many bytes.
fn first(bytes: usize) -> Vec<u8> {
    let with = |payload: usize| {
        let payload = vec![b'x'; payload];
        repeat(&Packet::Publish(Publish::new("all/first", payload)), 1)
    };
    // Its length takes one or two bytes.
    let head = if bytes < 128 { with(0).len() } else { with(0).len() + 1 };
    let packet = with(bytes - head);
    assert_eq!(packet.len(), bytes);
    packet
}

/// A message for many readers, and one that comes while it is handled.
struct Two {
    broker: TestBroker,
    readers: Vec<Client>,
    is_held: Receiver<()>,
    go_on: Sender<()>,
    were_early: Receiver<usize>,
}

impl Two {
    /// For so many readers.
    fn start(readers: usize) -> Self {
        let ((holds, is_held), (go_on, goes_on), (early, were_early)) =
            (channel(), channel(), channel());
        let watched = Arc::new(Mutex::new(Vec::new()));
        let hook =
            HoldsTheFirst { holds, goes_on: Mutex::new(goes_on), readers: watched.clone(), early };
        let broker = TestBroker::build(|builder| {
            let options = Options { threads: 1, ..Options::default() };
            builder.options(options).access(hook)
        });
        let reader = |number| {
            let mut reader = Client::connect(broker.address(), V311, &format!("reader-{number}"));
            reader.subscribe("all/+", QoS::AtMostOnce);
            reader
        };
        let readers: Vec<Client> = (0..readers).map(reader).collect();
        *watched.lock().unwrap() =
            readers.iter().map(|reader| reader.stream().try_clone().unwrap()).collect();
        Self { broker, readers, is_held, go_on, were_early }
    }

    fn set_nonblocking(&self, nonblocking: bool) {
        for reader in &self.readers {
            reader.stream().set_nonblocking(nonblocking).unwrap();
        }
    }

    /// Sends the first one, which takes so many bytes, and while that is handled the second one and what
    /// `then` says; gives whether they went to the readers together.
    fn send(
        &mut self,
        publisher: &mut Client,
        bytes: usize,
        then: impl FnOnce(&mut Client),
    ) -> bool {
        self.set_nonblocking(true);
        publisher.send_bytes(&first(bytes));
        self.is_held.recv_timeout(PATIENCE).unwrap();
        publisher.send(Packet::Publish(Publish::new("all/second", "x")));
        then(publisher);
        self.go_on.send(()).unwrap();
        let early = self.were_early.recv_timeout(PATIENCE).unwrap();
        self.set_nonblocking(false);
        for reader in &mut self.readers {
            assert_eq!(reader.next_message().0, "all/first");
            assert_eq!(reader.next_message().0, "all/second");
        }
        early == 0
    }
}

/// What came while a message for many was handled goes with it: one write for
/// each of them in the place of two.
#[test]
fn what_comes_meanwhile_goes_with_a_message_for_many() {
    let mut two = Two::start(MANY);
    let mut publisher = Client::connect(two.broker.address(), V311, "publisher");
    // Where the machine is busy, the first one was held for longer than a turn.
    assert!((0..100).any(|_| two.send(&mut publisher, LITTLE - 1, |_| {})));
    // Much is written at once.
    assert!((0..20).all(|_| !two.send(&mut publisher, LITTLE, |_| {})));
}

#[test]
fn a_message_for_few_waits_for_nothing() {
    let mut two = Two::start(MANY - 1);
    let mut publisher = Client::connect(two.broker.address(), V311, "publisher");
    assert!((0..20).all(|_| !two.send(&mut publisher, 64, |_| {})));
}

/// An end of any kind that comes meanwhile is one, and nothing before it is
/// lost, or not counted.
#[test]
fn an_end_that_comes_meanwhile_is_seen() {
    let ends: [fn(&mut Client); 3] = [
        |publisher| publisher.finish_sending(),
        |publisher| publisher.send_bytes(&[0xE0, 0]),
        // No packet begins so.
        |publisher| publisher.send_bytes(&[0, 0]),
    ];
    let mut two = Two::start(MANY);
    for end in ends {
        for _ in 0..3 {
            let mut publisher = Client::connect(two.broker.address(), V311, "publisher");
            let before = two.broker.counters().received.bytes;
            two.send(&mut publisher, 64, end);
            publisher.expect_closed();
            assert!(two.broker.counters().received.bytes >= before + 64);
        }
    }
}

fn repeat(packet: &Packet, times: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.encode(V311, &mut bytes).unwrap();
    bytes.repeat(times)
}
