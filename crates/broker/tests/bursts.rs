//! Messages that come together and reach many: every reader gets what it would
//! get if they were few.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use latchlight_broker::{
    Access, ClientInfo, ConnectRequest, Options, PublishRequest, ReasonCode, Refusal,
};
use latchlight_mqtt::{
    Connect, Packet, PacketId, Properties, ProtocolVersion, Publish, QoS, Subscribe,
    SubscribeFilter, SubscriptionOptions, Unsubscribe,
};
use support::{Client, TestBroker, values};

use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce};

/// What counts as many readers.
const MANY: usize = 64;

/// The last message of the readers.
const END: &str = "end";

fn message(payload: impl Into<Vec<u8>>) -> Publish {
    Publish::new("t", payload.into())
}

/// Everything that a publisher may say, with messages for many before and behind
/// each.
fn script() -> Vec<Packet> {
    let with = |properties: Properties, payload: &str| Publish { properties, ..message(payload) };
    let id = |number| PacketId::new(number).unwrap();
    let subscribe = |filter: &str, options, number| {
        let filters = vec![SubscribeFilter { filter: filter.try_into().unwrap(), options }];
        let properties = values(|values| values.subscription_identifiers = vec![9]);
        Packet::Subscribe(Subscribe { packet_id: id(number), filters, properties })
    };
    let unsubscribe = |filter: &str, number| {
        let (filters, properties) = (vec![filter.try_into().unwrap()], Properties::new());
        Packet::Unsubscribe(Unsubscribe { packet_id: id(number), filters, properties })
    };
    let others = [
        Packet::Publish(Publish::new("u", "another topic")),
        Packet::Publish(Publish::new("nobody/listens", "x")),
        Packet::Publish(Publish {
            qos: AtLeastOnce,
            packet_id: Some(id(1)),
            ..message("at least once")
        }),
        Packet::Publish(Publish { retain: true, ..message("kept") }),
        Packet::Publish(with(
            values(|values| {
                values.content_type = Some("text/plain".into());
                values.message_expiry_interval = Some(1000);
                values.user_properties = vec![
                    ("b".into(), "1".into()),
                    ("a".into(), "2".into()),
                    ("b".into(), "3".into()),
                ];
            }),
            "with properties",
        )),
        Packet::Publish(with(
            values(|values| values.message_expiry_interval = Some(0)),
            "nobody gets this",
        )),
        Packet::Publish(with(values(|values| values.topic_alias = Some(1)), "an alias")),
        Packet::Publish(Publish {
            topic: "".into(),
            ..with(values(|values| values.topic_alias = Some(1)), "by its alias")
        }),
        Packet::Publish(message("")),
        Packet::Publish(message(vec![b'x'; 200])),
        Packet::Publish(message(vec![b'x'; 8 * 1024 - 1])),
        Packet::Publish(message(vec![b'x'; 8 * 1024])),
        Packet::PingReq,
        subscribe("t", SubscriptionOptions::qos(AtMostOnce), 2),
        subscribe("t", SubscriptionOptions { no_local: true, ..Default::default() }, 3),
        subscribe("+", SubscriptionOptions::qos(AtMostOnce), 4),
        unsubscribe("t", 5),
        unsubscribe("+", 6),
    ];
    let mut script = Vec::new();
    for (number, other) in others.into_iter().enumerate() {
        script.push(Packet::Publish(message(format!("{number} before"))));
        script.push(other);
        script.push(Packet::Publish(message(format!("{number} behind"))));
        script.push(Packet::Publish(message(format!("{number} once more"))));
    }
    script.push(Packet::Publish(message(END)));
    script
}

/// What readers of all kinds, and the publisher itself, get of the script while
/// so many others read.
fn received(others: usize, in_pieces_of: usize) -> Vec<Vec<Packet>> {
    let broker = TestBroker::with_options(Options { threads: 1, ..Options::default() });
    let connect = |id: &str, version, change: fn(&mut Connect)| {
        let mut connect = Connect::new(version, id);
        change(&mut connect);
        Client::connect_with(broker.address(), connect).0
    };
    let plain = |id: &str, version| connect(id, version, |_| {});
    let mut publisher = plain("publisher", V5);
    let mut readers = [
        plain("old", V311),
        plain("new", V5),
        plain("identified", V5),
        plain("everything", V5),
        connect("aliases", V5, |connect| {
            connect.properties.make_mut().topic_alias_maximum = Some(5);
        }),
        connect("small", V5, |connect| {
            connect.properties.make_mut().maximum_packet_size = Some(100);
        }),
    ];
    for (number, reader) in readers.iter_mut().enumerate() {
        let (filter, options) = match number {
            3 => ("#", SubscriptionOptions { retain_as_published: true, ..Default::default() }),
            _ => ("t", SubscriptionOptions::qos(AtMostOnce)),
        };
        let properties = match number {
            2 => values(|values| values.subscription_identifiers = vec![7]),
            _ => Properties::new(),
        };
        reader.subscribe_with(filter, options, properties);
    }
    let other = |number| {
        let mut other = plain(&format!("other-{number}"), V311);
        other.subscribe("t", AtMostOnce);
        other
    };
    let mut others: Vec<_> = (0..others).map(other).collect();
    let mut bytes = Vec::new();
    for packet in script() {
        packet.encode(V5, &mut bytes).unwrap();
    }
    for piece in bytes.chunks(in_pieces_of) {
        publisher.send_bytes(piece);
    }
    let until_end = |reader: &mut Client| {
        let mut packets = Vec::new();
        loop {
            let packet = reader.next();
            let is_end = matches!(&packet, Packet::Publish(publish) if publish.payload == END);
            packets.push(packet);
            if is_end {
                return packets;
            }
        }
    };
    let mut all: Vec<_> = readers.iter_mut().map(until_end).collect();
    for other in &mut others {
        assert_eq!(until_end(other), all[0]);
    }
    // The publisher's answers stand behind what it gets itself, or before it.
    publisher.send(Packet::Publish(Publish {
        qos: AtLeastOnce,
        packet_id: PacketId::new(99),
        ..message("")
    }));
    let mut own = Vec::new();
    loop {
        match publisher.next() {
            Packet::PubAck(ack) if ack.packet_id.get() == 99 => break,
            Packet::Publish(publish) => own.push(Packet::Publish(publish)),
            _ => {}
        }
    }
    all.push(own);
    all
}

#[test]
fn what_reaches_many_is_what_reaches_few() {
    let few = received(0, usize::MAX);
    // 9 of the others are of the topic, and not expired; 2 more of another one.
    // 3 are larger than a hundred bytes. Of its own, the publisher gets 9 while
    // it is subscribed, and what is kept with each subscription.
    let counts: Vec<_> = few.iter().map(Vec::len).collect();
    assert_eq!(counts, [64, 64, 64, 66, 64, 61, 12]);
    for in_pieces_of in [usize::MAX, 1_000, 50] {
        let many = received(MANY, in_pieces_of);
        for (few, many) in few.iter().zip(&many) {
            assert_eq!(many, few, "in pieces of {in_pieces_of}");
        }
    }
}

/// Refuses some readers, and looks at the last message who has something.
#[derive(Clone, Default)]
struct Watching {
    readers: Arc<Mutex<Vec<TcpStream>>>,
    had_some: Arc<Mutex<Option<usize>>>,
}

#[async_trait]
impl Access for Watching {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        Ok(request.client_id.into())
    }

    fn authorize_publish(
        &self,
        _: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        if request.topic == "last" {
            let readers = self.readers.lock().unwrap();
            let has_some = |reader: &&TcpStream| {
                reader.set_nonblocking(true).unwrap();
                let has_some = reader.peek(&mut [0]).is_ok();
                reader.set_nonblocking(false).unwrap();
                has_some
            };
            *self.had_some.lock().unwrap() = Some(readers.iter().filter(has_some).count());
        }
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
        Ok(())
    }

    fn checks_delivery(&self) -> bool {
        true
    }

    fn authorize_receive(&self, client: &ClientInfo, _: &str) -> bool {
        !client.client_id.starts_with("refused")
    }
}

fn readers(broker: &TestBroker, name: &str, count: usize) -> Vec<Client> {
    let reader = |number| {
        let mut reader = Client::connect(broker.address(), V311, &format!("{name}-{number}"));
        reader.subscribe("t", AtMostOnce);
        reader
    };
    (0..count).map(reader).collect()
}

/// Numbered ones, of so many bytes of payload.
fn numbered(count: u32, payload: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 0..count {
        let mut content = number.to_be_bytes().to_vec();
        content.resize(payload, b'x');
        Packet::Publish(message(content)).encode(V311, &mut bytes).unwrap();
    }
    bytes
}

fn expect_numbered(reader: &mut Client, count: u32) {
    for number in 0..count {
        assert_eq!(reader.next_publish().payload[..4], number.to_be_bytes());
    }
}

#[test]
fn who_may_not_receive_gets_none_of_them_and_each_is_counted() {
    let broker = TestBroker::with_access(Watching::default());
    let mut allowed = readers(&broker, "allowed", MANY);
    let mut refused = readers(&broker, "refused", 3);
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    publisher.send_bytes(&numbered(20, 4));
    allowed.iter_mut().for_each(|reader| expect_numbered(reader, 20));
    refused.iter_mut().for_each(Client::expect_nothing);
    let counters = broker.counters();
    assert_eq!(counters.deliveries_refused, 3 * 20);
    assert_eq!(counters.received.messages[0], 20);
    assert_eq!(counters.sent.messages[0], 20 * MANY as u64);
}

/// Of very many, the first ones are there before the last ones are looked at.
#[test]
fn readers_do_not_wait_until_all_that_came_is_handled() {
    // 64 Ki deliveries are enough for a turn: the first 256 of these.
    const READERS: usize = 256;
    const MESSAGES: u32 = 300;
    let access = Watching::default();
    let watching = access.clone();
    let broker = TestBroker::build(|builder| {
        builder.options(Options { threads: 1, ..Options::default() }).access(access)
    });
    let mut readers = readers(&broker, "reader", READERS);
    *watching.readers.lock().unwrap() =
        readers.iter().map(|reader| reader.stream().try_clone().unwrap()).collect();
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    let mut bytes = numbered(MESSAGES, 4);
    Packet::Publish(Publish::new("last", "x")).encode(V311, &mut bytes).unwrap();
    publisher.send_bytes(&bytes);
    broker.until("the last one", |_| watching.had_some.lock().unwrap().is_some());
    readers.iter_mut().for_each(|reader| expect_numbered(reader, MESSAGES));
    assert_eq!(*watching.had_some.lock().unwrap(), Some(READERS));
}

/// Their publisher waits for one of them that is slower than the others.
#[test]
fn one_of_many_that_is_slow_loses_nothing() {
    const MESSAGES: u32 = 5_000;
    let broker = TestBroker::with_options(Options {
        high_water: 64 * 1024,
        stalled_after: support::PATIENCE,
        max_pause: support::PATIENCE,
        ..Options::default()
    });
    let mut readers = readers(&broker, "reader", MANY);
    let publisher = Client::connect(broker.address(), V311, "publisher");
    let mut writing = publisher.second_handle();
    let publishing = std::thread::spawn(move || writing.send_bytes(&numbered(MESSAGES, 2_000)));
    // The system takes some of what one of them does not read.
    let mut slow = readers.pop().unwrap();
    let socket = socket2::SockRef::from(slow.stream());
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let received = Arc::new(AtomicU64::new(0));
    let read = |mut reader: Client| {
        let received = received.clone();
        std::thread::spawn(move || {
            for number in 0..MESSAGES {
                assert_eq!(reader.next_publish().payload[..4], number.to_be_bytes());
                received.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let threads: Vec<_> = readers.into_iter().map(read).collect();
    // The others wait for it, too.
    let mut before = 0;
    loop {
        std::thread::sleep(Duration::from_millis(300));
        let now = received.load(Ordering::Relaxed);
        if now > 0 && now == before {
            break;
        }
        before = now;
    }
    expect_numbered(&mut slow, MESSAGES);
    publishing.join().unwrap();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(broker.counters().dropped_stalled, 0);
}
