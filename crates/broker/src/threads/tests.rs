//! Connections that go from thread to thread while messages come by them.
#![allow(clippy::unwrap_used)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use async_trait::async_trait;
use latchlight_mqtt::ReasonCode;

use super::orders::{self, Order, Who};
use super::{Hands, Threads};
use crate::broker::Prepared;
use crate::time::Clock;
use crate::{Access, Broker, ClientInfo, ConnectRequest, Options, PublishRequest, Refusal};

/// Lets everybody do everything; the thread of who publishes to `h` says so and
/// waits, where somebody listens.
struct Holding(Option<SyncSender<()>>);

#[async_trait]
impl Access for Holding {
    async fn authenticate(&self, _: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        Ok("".into())
    }

    fn authorize_publish(
        &self,
        _: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        if let Some(held) = self.0.as_ref().filter(|_| request.topic == "h") {
            // Taken when it holds, and when it is let go.
            held.send(()).unwrap();
            held.send(()).unwrap();
        }
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
        Ok(())
    }
}

/// A broker with two threads whose orders the test gives.
struct TwoThreads {
    broker: Broker,
    hands: Hands,
    address: SocketAddr,
}

impl TwoThreads {
    fn start() -> Self {
        Self::with_access(Holding(None))
    }

    fn with_access(access: Holding) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let options = Options { threads: 2, ..Options::default() };
        let builder = Broker::builder().options(options).access(access).listener(listener);
        let Prepared { core, listeners, .. } = builder.prepare(Clock::start()).unwrap();
        let (threads, hands) = Threads::start(&core, None).unwrap();
        let broker = Broker::begin(core, threads, hands.clone(), None, listeners).unwrap();
        Self { broker, hands, address }
    }

    fn order(&self, from: usize, to: usize) {
        self.give(from, Some(Order { to: self.hands.threads[to].clone(), who: Who::All }));
    }

    fn give(&self, on: usize, order: Option<Order>) {
        self.hands.threads[on].runtime.spawn(async { orders::give(order) });
    }

    fn connections(&self) -> [usize; 2] {
        [0, 1].map(|number| self.hands.threads[number].connections.len())
    }

    fn stop(self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.broker.close());
    }
}

/// A client of MQTT 3.1.1 that says what its test has encoded.
struct Client(TcpStream);

impl Client {
    fn connect(address: SocketAddr, id: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self(stream);
        let length = u8::try_from(id.len()).unwrap();
        let mut connect = vec![0x10, 12 + length];
        connect.extend_from_slice(b"\0\x04MQTT\x04\x02\0\0\0");
        connect.push(length);
        connect.extend_from_slice(id.as_bytes());
        client.says(&connect);
        assert_eq!(client.hears(4), [0x20, 2, 0, 0]);
        client
    }

    fn says(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    fn hears(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}

#[test]
#[cfg(unix)]
fn a_unix_socket_moves_as_well() {
    use std::os::unix::net::UnixStream;

    let broker = TwoThreads::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mqtt.sock");
    broker.broker.add_listener(crate::Listener::unix(&path, 0o600).unwrap()).unwrap();
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01u").unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    while !broker.hands.threads[0].connections.is_empty() {
        broker.order(0, 1);
        stream.write_all(b"\xc0\0").unwrap();
        stream.read_exact(&mut [0; 2]).unwrap();
    }
    stream.write_all(b"\xc0\0").unwrap();
    stream.read_exact(&mut [0; 2]).unwrap();
    broker.stop();
}

#[test]
fn messages_come_once_and_in_order_while_their_connections_move() {
    let broker = TwoThreads::start();
    let mut subscriber = Client::connect(broker.address, "subscriber");
    subscriber.says(b"\x82\x06\0\x01\0\x01t\x01");
    assert_eq!(subscriber.hears(5), [0x90, 3, 0, 1, 1]);
    let mut publisher = Client::connect(broker.address, "publisher");
    let (mut number, mut on, mut moves) = (0_u16, 0, 0);
    while moves < 100 {
        broker.order(on, 1 - on);
        broker.give(1 - on, None);
        number += 1;
        let [high, low] = number.to_be_bytes();
        publisher.says(&[0x32, 7, 0, 1, b't', high, low, high, low]);
        let delivered = subscriber.hears(9);
        assert_eq!(delivered[..5], [0x32, 7, 0, 1, b't']);
        assert_eq!(delivered[7..], [high, low]);
        subscriber.says(&[0x40, 2, delivered[5], delivered[6]]);
        assert_eq!(publisher.hears(4), [0x40, 2, high, low]);
        // A connection goes after what it has done; then the thread has none.
        if broker.hands.threads[on].connections.is_empty() {
            (on, moves) = (1 - on, moves + 1);
        }
    }
    // What is said while a connection is on its way is heard.
    for client in [&mut publisher, &mut subscriber] {
        client.says(b"\xc0\0\xc0\0\xc0\0");
        assert_eq!(client.hears(6), *b"\xd0\0\xd0\0\xd0\0");
    }
    broker.stop();
    // Nothing was lost on the way, nor is anything left: their end is in order.
    let mut rest = Vec::new();
    assert_eq!(publisher.0.read_to_end(&mut rest).unwrap(), 0);
    assert_eq!(subscriber.0.read_to_end(&mut rest).unwrap(), 0);
}

/// A publisher's thread has given a reader a message, and does something else
/// before it writes it; meanwhile the reader's thread closes the connection.
#[test]
fn what_another_thread_gave_a_client_goes_before_its_connection_is_closed() {
    let (held, holds) = sync_channel(0);
    let broker = TwoThreads::with_access(Holding(Some(held)));
    let mut subscriber = Client::connect(broker.address, "subscriber");
    subscriber.says(b"\x82\x06\0\x01\0\x01t\0");
    assert_eq!(subscriber.hears(5), [0x90, 3, 0, 1, 0]);
    let mut publisher = Client::connect(broker.address, "publisher");
    // One of two sessions in a row has an odd number.
    let steps = [(1, 0, Who::All, [2, 0]), (0, 1, Who::Half(0), [1, 1])];
    for (from, to, who, there) in steps {
        broker.give(from, Some(Order { to: broker.hands.threads[to].clone(), who }));
        broker.give(to, None);
        while broker.connections() != there {
            for client in [&mut subscriber, &mut publisher] {
                client.says(b"\xc0\0");
                assert_eq!(client.hears(2), *b"\xd0\0");
            }
        }
    }
    publisher.says(b"\x30\x04\0\x01tx\x30\x04\0\x01hx");
    holds.recv().unwrap();
    // No packet begins so.
    subscriber.says(b"\0\0");
    let mut heard = Vec::new();
    subscriber.0.read_to_end(&mut heard).unwrap();
    holds.recv().unwrap();
    assert_eq!(heard, b"\x30\x04\0\x01tx");
    broker.stop();
}

/// Where the system gives no more threads, say.
#[tokio::test]
async fn a_start_that_fails_half_way_is_no_panic() {
    let runtime = super::parking::runtime(Duration::ZERO).unwrap();
    runtime.spawn(std::future::pending::<()>());
    drop(super::Undriven(Some(runtime)));
}
