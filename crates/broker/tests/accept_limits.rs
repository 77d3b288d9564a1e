//! How fast connections may come, and who is banned for a while: before TLS,
//! before a password is looked at (C13, C15).
#![allow(clippy::unwrap_used)]

mod support;

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use latchlight_broker::{Access, AllowAll, ConnectRequest, Options, ReasonCode};
use latchlight_mqtt::{Connect, ProtocolVersion};
use socket2::{Domain, Socket, Type};
use support::{Client, PATIENCE, TestBroker, VERSIONS};

use ProtocolVersion::V5;

/// A broker for which loopback addresses are as good as others.
fn with(change: impl FnOnce(&mut Options)) -> TestBroker {
    let mut options = Options { limit_loopback: true, ..Options::default() };
    change(&mut options);
    TestBroker::build(|builder| builder.options(options).access(AllowAll))
}

/// A connection from 127.0.0.`host`.
fn from(host: u8, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, host], 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.into()
}

/// Whether somebody from there gets an answer.
fn is_served(broker: &TestBroker, host: u8, client_id: &str) -> bool {
    let mut client = Client::over(from(host, broker.address()), V5);
    let connect = Connect::new(V5, client_id);
    client.try_send(latchlight_mqtt::Packet::Connect(Box::new(connect)));
    client.try_next_of_broken().is_some()
}

/// How long a ban takes here: longer than a busy machine takes to come once more.
const BAN: Duration = Duration::from_secs(5);

/// Ten seconds' worth at once, and one more for each second that went by.
fn most_by_rate_of_one(since: Instant) -> usize {
    10 + since.elapsed().as_secs() as usize
}

#[test]
fn connections_per_second_from_one_address() {
    let broker = with(|options| options.max_accept_rate_per_address = 1);
    let since = Instant::now();
    let served = (0..30).filter(|_| is_served(&broker, 1, "client")).count();
    assert!((10..=most_by_rate_of_one(since)).contains(&served), "{served}");
    let counted = broker.counters();
    assert_eq!(counted.refused_rate as usize, 30 - served);
    assert_eq!(counted.connections_refused as usize, 30 - served);
    // Others do not wait for it.
    assert!(is_served(&broker, 2, "other"));
}

#[test]
fn connections_per_second_in_all() {
    let broker = with(|options| options.max_accept_rate = 1);
    let since = Instant::now();
    let served = (1..31).filter(|host| is_served(&broker, *host, "client")).count();
    assert!((10..=most_by_rate_of_one(since)).contains(&served), "{served}");
    assert_eq!(broker.counters().refused_rate as usize, 30 - served);
}

#[test]
fn none_of_it_holds_for_loopback_unless_asked_for() {
    let broker = TestBroker::with_options(Options {
        max_accept_rate: 1,
        max_accept_rate_per_address: 1,
        max_failures_per_address: 1,
        max_connects_per_client: 1,
        ..Options::default()
    });
    for _ in 0..30 {
        let mut client = Client::open(broker.address(), V5);
        client.send_bytes(&[0xC0, 0]);
        client.expect_closed();
        assert!(is_served(&broker, 1, "client"));
    }
    assert_eq!(broker.counters().connections_refused, 0);
    assert_eq!(broker.counters().bans, 0);
}

/// Lets in who has a password, and is too busy for who asks for that.
struct ByPassword;

#[async_trait::async_trait]
impl Access for ByPassword {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        match (request.client_id, request.password) {
            ("busy", _) => Err(ReasonCode::ServerBusy),
            (_, Some(_)) => Ok("somebody".into()),
            _ => Err(ReasonCode::BadUserNameOrPassword),
        }
    }
}

#[test]
fn an_address_whose_connections_fail_too_often_is_banned_for_a_while() {
    let options = Options {
        limit_loopback: true,
        max_failures_per_address: 4,
        max_accept_rate: 0,
        max_accept_rate_per_address: 0,
        ban_time: BAN,
        ..Options::default()
    };
    let broker = TestBroker::build(|builder| builder.options(options).access(ByPassword));
    let with_password = |host: u8, id: &str| {
        let mut connect = Connect::new(V5, id);
        connect.username = Some("somebody".into());
        connect.password = Some("right".into());
        let stream = from(host, broker.address());
        let mut client = Client::over(stream, V5);
        client.try_send(latchlight_mqtt::Packet::Connect(Box::new(connect)));
        client.try_next_of_broken().is_some().then_some(client)
    };
    let mut held = with_password(1, "held").unwrap();
    // That the broker is busy is not the client's failure.
    for _ in 0..10 {
        assert!(is_served(&broker, 1, "busy"));
    }
    // A wrong password, no CONNECT, half a packet, nothing: each is one.
    assert!(is_served(&broker, 1, "no password"));
    for bytes in [&[0xC0, 0][..], &[0x10, 200, 200, 200, 200, 200], b"GET / HTTP/1.1\r\n"] {
        let mut client = Client::over(from(1, broker.address()), V5);
        client.try_send_bytes(bytes);
        client.finish_sending_if_open();
        client.read_to_end();
    }
    assert!(with_password(1, "client").is_some());
    assert!(is_served(&broker, 1, "no password"));
    broker.until("it is banned", |broker| broker.counters().bans == 1);
    assert!(with_password(1, "client").is_none());
    assert!(broker.counters().refused_banned >= 1);
    assert!(with_password(2, "other").is_some());
    // Who is connected stays, and after a while all is well.
    held.expect_nothing();
    broker.until("it is over", |_| with_password(1, "client").is_some());
}

#[test]
fn a_client_that_connects_too_often_is_banned_for_a_while() {
    // Each takes as long as the ban.
    std::thread::scope(|scope| {
        for version in VERSIONS {
            scope.spawn(move || a_client_is_banned_for_a_while(version));
        }
    });
}

fn a_client_is_banned_for_a_while(version: ProtocolVersion) {
    let broker = with(|options| {
        options.max_connects_per_client = 3;
        (options.max_accept_rate, options.max_accept_rate_per_address) = (0, 0);
        options.ban_time = BAN;
    });
    let connect = |host: u8, id: &str| {
        let client = Client::over(from(host, broker.address()), version);
        client.say_connect(Connect::new(version, id)).1.reason
    };
    // The fourth is let in, and is the one too many.
    for _ in 0..4 {
        assert_eq!(connect(1, "flapping"), ReasonCode::Success);
    }
    broker.until("it is banned", |broker| broker.counters().bans == 1);
    let refused = connect(1, "flapping");
    assert!(refused.is_error(), "{refused:?}");
    if version == V5 {
        assert_eq!(refused, ReasonCode::Banned);
    }
    let counted = broker.counters();
    assert_eq!((counted.bans, counted.connects_refused_banned), (1, 1));
    // Neither others there, nor its name elsewhere.
    assert_eq!(connect(1, "other"), ReasonCode::Success);
    assert_eq!(connect(2, "flapping"), ReasonCode::Success);
    broker.until("it is over", |_| connect(1, "flapping") == ReasonCode::Success);
}

/// What is refused costs no handshake.
#[cfg(feature = "tls")]
#[test]
fn rates_and_bans_come_before_tls() {
    use latchlight_broker::Listener;
    use support::{Authority, tls};

    let authority = Authority::new();
    let broker = with(|options| {
        options.max_failures_per_address = 2;
        options.ban_time = Duration::from_secs(600);
    });
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listener = Listener::tcp(socket).tls(&tls(authority.server()));
    let address = broker.add_listener(listener).unwrap().address.socket().unwrap();
    // Failed handshakes count, too.
    for _ in 0..3 {
        assert!(Authority::new().wallet().over(from(3, address)).is_err());
    }
    broker.until("it is banned", |broker| broker.counters().bans == 1);
    assert!(authority.wallet().over(from(3, address)).is_err());
    assert_eq!(broker.counters().handshakes_failed, 3);
    assert_eq!(broker.counters().refused_banned, 1);
    assert!(authority.wallet().over(from(4, address)).is_ok());
}
