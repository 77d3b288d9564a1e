//! Who dawdles before CONNECT is let go, whatever lies between its socket and
//! MQTT: each byte that comes buys no more time (C13).
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use latchlight_broker::{Listener, ListenerAddress, Options, Tls, WebSocket};
use latchlight_mqtt::ProtocolVersion;
use support::{Authority, Client, PATIENCE, TestBroker, WsClient, request, tls};

/// How long a client waits before its next byte.
const LULL: Duration = Duration::from_millis(20);

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// A CONNECT that takes long: all of it is a client id.
fn connect() -> Vec<u8> {
    let mut bytes = vec![0x10, 0x8B, 0x4E, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0x27, 0x01];
    bytes.resize(10_000, b'x');
    bytes
}

/// A request of HTTP that does.
fn head() -> Vec<u8> {
    request("localhost", &format!("Cookie: {}\r\n", "x".repeat(10_000))).into_bytes()
}

/// A first record of TLS that does.
fn hello() -> Vec<u8> {
    let mut bytes = vec![22, 3, 1, 0x27, 0x10, 1, 0, 0x27, 0x0C, 3, 3];
    bytes.resize(10_000, 0);
    bytes
}

/// Sends byte after byte, until the server has closed.
fn dawdle(name: &str, mut stream: Box<dyn Stream>, bytes: &[u8]) {
    let since = Instant::now();
    for byte in bytes {
        if stream.write_all(&[*byte]).and_then(|()| stream.flush()).is_err() {
            return;
        }
        match stream.read(&mut [0; 256]) {
            Ok(0) => return,
            Ok(_) => panic!("{name}: nothing was to be answered"),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
        assert!(since.elapsed() < PATIENCE, "{name}: it may go on");
    }
    panic!("{name}: all of it was taken");
}

struct Ways {
    broker: TestBroker,
    authority: Authority,
    folder: tempfile::TempDir,
}

impl Ways {
    fn new() -> Self {
        // Long enough for handshakes on a busy machine.
        let brief = Duration::from_secs(3);
        let broker = TestBroker::with_options(Options {
            connect_timeout: brief,
            handshake_timeout: brief,
            ..Options::default()
        });
        Self { broker, authority: Authority::new(), folder: tempfile::tempdir().unwrap() }
    }

    fn tls(&self) -> Tls {
        tls(self.authority.server())
    }

    fn listen(&self, change: impl FnOnce(Listener) -> Listener) -> TcpStream {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let info = self.broker.add_listener(change(Listener::tcp(socket))).unwrap();
        let ListenerAddress::Tcp(address) = info.address else { panic!("{info:?}") };
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    fn unix(&self) -> UnixStream {
        let path = self.folder.path().join("mqtt.sock");
        self.broker.add_listener(Listener::unix(&path, 0o600).unwrap()).unwrap();
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(LULL)).unwrap();
        stream
    }
}

#[test]
fn each_byte_buys_no_more_time_on_no_transport() {
    let ways = Ways::new();
    let mut bystander = Client::connect(ways.broker.address(), ProtocolVersion::V5, "bystander");
    let websocket = |listener: Listener| listener.websocket(WebSocket::new());
    let secure = |listener: Listener| listener.tls(&ways.tls());
    let both = |listener: Listener| secure(websocket(listener));
    // From here on, reads give up after a lull.
    let lulled = |stream: TcpStream| {
        stream.set_read_timeout(Some(LULL)).unwrap();
        stream
    };
    let shaken = |stream: TcpStream| {
        let tls = ways.authority.wallet().over(stream).unwrap();
        tls.sock.set_read_timeout(Some(LULL)).unwrap();
        tls
    };
    let upgraded = |stream: TcpStream| {
        let upgraded = WsClient::over(stream).unwrap();
        upgraded.stream.set_read_timeout(Some(LULL)).unwrap();
        upgraded
    };
    let wss = |stream: TcpStream| {
        let wss = WsClient::over(ways.authority.wallet().over(stream).unwrap()).unwrap();
        wss.stream.sock.set_read_timeout(Some(LULL)).unwrap();
        wss
    };
    // All at the same time: each takes as long as it may.
    std::thread::scope(|scope| {
        let dawdle = |name: &'static str, stream: Box<dyn Stream>, bytes: Vec<u8>| {
            scope.spawn(move || dawdle(name, stream, &bytes));
        };
        let plain = lulled(TcpStream::connect(ways.broker.address()).unwrap());
        dawdle("tcp", Box::new(plain), connect());
        dawdle("unix", Box::new(ways.unix()), connect());
        dawdle("hello", Box::new(lulled(ways.listen(secure))), hello());
        dawdle("tls", Box::new(shaken(ways.listen(secure))), connect());
        dawdle("head", Box::new(lulled(ways.listen(websocket))), head());
        dawdle("ws", Box::new(upgraded(ways.listen(websocket))), connect());
        dawdle("secure head", Box::new(shaken(ways.listen(both))), head());
        dawdle("wss", Box::new(wss(ways.listen(both))), connect());
    });
    bystander.expect_nothing();
    ways.broker.until("only one is left", |broker| broker.counters().connections == 1);
}
