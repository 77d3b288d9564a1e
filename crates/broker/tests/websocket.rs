//! MQTT over WebSocket: how it is packed, who may, and what ends it.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use latchlight_broker::{InlinePublish, Listener, LiveStatus, Options, ReasonCode, WebSocket};
use latchlight_mqtt::{Connect, Packet, ProtocolVersion, QoS};
use support::{
    Authority, Client, PATIENCE, Packing, TestBroker, WsClient, exchange, frame,
    large_messages_wait, patient, request, tls,
};

use ProtocolVersion::{V5, V311};

fn listen(broker: &TestBroker, settings: WebSocket) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let info = broker.add_listener(Listener::tcp(socket).websocket(settings)).unwrap();
    let address = info.address.socket().unwrap();
    assert_eq!(*info.name, *format!("ws {address}"));
    address
}

fn with(change: impl FnOnce(&mut Options)) -> TestBroker {
    let mut options = Options::default();
    change(&mut options);
    TestBroker::with_options(options)
}

fn connect(address: SocketAddr, packing: Packing, id: &str) -> Client<WsClient> {
    Client::connect_over(WsClient::connect(address).packed(packing), V5, id)
}

/// [MQTT-6.0.0-2]: packets may share a frame, or span several.
#[test]
fn websocket_carries_everything_however_it_is_packed() {
    let mut broker = TestBroker::start();
    let address = listen(&broker, WebSocket::new());
    for packing in [
        Packing::Whole,
        Packing::Frames(100),
        Packing::Frames(70_000),
        Packing::Fragments(200),
        Packing::Fragments(100_000),
    ] {
        let mut reader = connect(address, packing, "reader");
        let mut publisher = connect(address, packing, "publisher");
        exchange(&mut reader, &mut publisher);
    }
    let mut reader = connect(address, Packing::Whole, "reader");
    let mut plain = Client::connect(broker.address(), V311, "plain");
    exchange(&mut reader, &mut plain);
    let mut plain = Client::connect(broker.address(), V5, "plain");
    let mut publisher = connect(address, Packing::Whole, "publisher");
    exchange(&mut plain, &mut publisher);
    let mut reader = connect(address, Packing::Whole, "reader");
    broker.close();
    reader.expect_disconnect(ReasonCode::ServerShuttingDown);
    assert_eq!(broker.counters().upgrades_refused, 0);
}

#[test]
fn packets_cut_at_every_byte_and_many_packets_in_one_frame() {
    let broker = TestBroker::start();
    let address = listen(&broker, WebSocket::new());
    let mut client = connect(address, Packing::Frames(1), "client");
    for _ in 0..20 {
        client.expect_nothing();
        client.publish("a", "one byte after the other", QoS::ExactlyOnce);
    }
    let mut client = connect(address, Packing::Whole, "client");
    client.send_bytes(&[0xC0, 0x00].repeat(50_000));
    for _ in 0..50_000 {
        assert_eq!(client.next(), Packet::PingResp);
    }
}

#[test]
fn secure_websocket_carries_everything() {
    let authority = Authority::new();
    let broker = TestBroker::start();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let listener = Listener::tcp(socket).websocket(WebSocket::new()).tls(&tls(authority.server()));
    let info = broker.add_listener(listener).unwrap();
    let address = info.address.socket().unwrap();
    assert_eq!(*info.name, *format!("wss {address}"));
    let connect = |id: &str, packing: Packing| {
        let stream = WsClient::over(authority.wallet().connect(address).unwrap()).unwrap();
        Client::connect_over(stream.packed(packing), V5, id)
    };
    let mut reader = connect("reader", Packing::Whole);
    let mut publisher = connect("publisher", Packing::Fragments(5_000));
    exchange(&mut reader, &mut publisher);
    broker.disconnect("reader", ReasonCode::AdministrativeAction);
    reader.expect_disconnect(ReasonCode::AdministrativeAction);
    // Neither alone is enough.
    assert!(WsClient::over(patient(address)).is_err());
    let mut client = Client::new(authority.wallet().connect(address).unwrap(), V5);
    client.try_send(Packet::Connect(Box::new(Connect::new(V5, "no websocket"))));
    client.read_to_end();
    broker.until("both are counted", |broker| {
        let counted = broker.counters();
        (counted.handshakes_failed, counted.upgrades_refused) == (1, 1)
    });
}

#[test]
fn websocket_lies_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mqtt.sock");
    let broker = TestBroker::start();
    let listener = Listener::unix(&path, 0o600).unwrap().websocket(WebSocket::new());
    broker.add_listener(listener).unwrap();
    let connect = |id: &str| {
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client::connect_over(WsClient::over(stream).unwrap(), V5, id)
    };
    let (mut reader, mut publisher) = (connect("reader"), connect("publisher"));
    exchange(&mut reader, &mut publisher);
}

/// A reader that takes nothing for a while, and messages that no buffer of the
/// way holds.
#[test]
fn large_messages_wait_for_who_reads_late() {
    let broker = TestBroker::start();
    let address = listen(&broker, WebSocket::new());
    let mut reader = connect(address, Packing::Whole, "reader");
    let mut publisher = connect(address, Packing::Whole, "publisher");
    large_messages_wait(&mut reader, &mut publisher);
}

/// What came together with the request, before it was answered.
#[test]
fn who_does_not_wait_for_the_answer_is_served() {
    let broker = TestBroker::start();
    let address = listen(&broker, WebSocket::new());
    let mut connect = Vec::new();
    Packet::Connect(Box::new(Connect::new(V5, "hasty"))).encode(V5, &mut connect).unwrap();
    let mut stream = patient(address);
    let pings = frame(0x82, &[0xC0, 0x00].repeat(3_000));
    let all = [request("localhost", "").into_bytes(), frame(0x82, &connect), pings].concat();
    stream.write_all(&all).unwrap();
    let mut client = Client::new(WsClient::with_request(stream, "").unwrap(), V5);
    assert!(matches!(client.next(), Packet::ConnAck(_)));
    for _ in 0..3_000 {
        assert_eq!(client.next(), Packet::PingResp);
    }
}

#[test]
fn pings_are_answered_between_frames() {
    let broker = TestBroker::start();
    let address = listen(&broker, WebSocket::new());
    let mut stream = WsClient::connect(address);
    stream.stream.write_all(&frame(0x89, b"there?")).unwrap();
    stream.stream.write_all(&frame(0x8A, b"nobody asked")).unwrap();
    let mut connect = Vec::new();
    Packet::Connect(Box::new(Connect::new(V5, "client"))).encode(V5, &mut connect).unwrap();
    stream.write_all(&connect).unwrap();
    let mut answer = [0; 1];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!((answer[0], stream.pongs), (0x20, 1));
}

/// [MQTT-6.0.0-1], RFC 6455, 5: told why, and closed; nobody else is harmed.
#[test]
fn frames_that_no_client_may_send_end_the_connection() {
    let broker = TestBroker::start();
    let address = listen(&broker, WebSocket::new());
    let mut bystander = connect(address, Packing::Whole, "bystander");
    let ping = [0xC0, 0x00];
    let unmasked = [&[0x82, 2][..], &ping].concat();
    let reserved = frame(0xC2, &ping);
    let long = [&[0x82, 0xFF][..], &[0xFF; 12]].concat();
    for (bytes, code) in [
        (frame(0x81, &ping), 1003),
        (unmasked, 1002),
        (reserved, 1002),
        (long, 1002),
        (frame(0x80, &ping), 1002),
        (frame(0x83, &ping), 1002),
        (frame(0x09, &ping), 1002),
        (frame(0x89, &[0; 126]), 1002),
        ([frame(0x02, &ping), frame(0x82, &ping)].concat(), 1002),
        (frame(0x88, &[3, 232]), 1000),
    ] {
        for is_connected in [false, true] {
            let mut stream = WsClient::connect(address);
            if is_connected {
                let connect = Connect::new(V5, "attacker");
                let mut packet = Vec::new();
                Packet::Connect(Box::new(connect)).encode(V5, &mut packet).unwrap();
                stream.write_all(&packet).unwrap();
                stream.read_exact(&mut [0; 1]).unwrap();
            }
            stream.stream.write_all(&bytes).unwrap();
            let end = stream.read_to_end(&mut Vec::new());
            assert!(end.is_ok(), "{is_connected} {bytes:?}");
            assert_eq!(stream.close_code, Some(code), "{bytes:?}");
        }
        bystander.expect_nothing();
    }
    broker.until("only one is left", |broker| broker.counters().connections == 1);
}

#[test]
fn a_flood_of_pings_and_empty_frames_harms_nobody() {
    let broker = TestBroker::start();
    let address = listen(&broker, WebSocket::new());
    let mut bystander = connect(address, Packing::Whole, "bystander");
    let mut flood = WsClient::connect(address).stream;
    let bytes = [frame(0x89, b"there?"), frame(0x82, b"")].concat().repeat(1_000);
    for _ in 0..50 {
        flood.write_all(&bytes).unwrap();
        bystander.expect_nothing();
    }
}

fn refusal(address: SocketAddr, request: &str) -> String {
    match WsClient::with_request(patient(address), request) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

/// C23a
#[test]
fn pages_from_elsewhere_are_kept_out() {
    let broker = TestBroker::start();
    let address = listen(&broker, WebSocket::new());
    let own = address.to_string();
    for (host, origin, status) in [
        (own.as_str(), "https://evil.example", "HTTP/1.1 403 "),
        (&own, "null", "HTTP/1.1 403 "),
        (&own, "http://127.0.0.1:1", "HTTP/1.1 403 "),
        ("rebound.example", "http://rebound.example", "HTTP/1.1 403 "),
        (&own, &format!("http://{own}"), ""),
    ] {
        let refused = refusal(address, &request(host, &format!("Origin: {origin}\r\n")));
        assert!(refused.starts_with(status), "{host} {origin}: {refused}");
        assert_eq!(refused.is_empty(), status.is_empty(), "{host} {origin}: {refused}");
    }
    assert!(refusal(address, &request("rebound.example", "")).starts_with("HTTP/1.1 403 "));
    broker.until("they are counted", |broker| broker.counters().upgrades_refused == 5);
    let settings = WebSocket::new().host("broker.example").origin("https://app.example");
    let address = listen(&broker, settings.path("/mqtt"));
    let app = request("broker.example", "Origin: https://app.example\r\n");
    assert_eq!(refusal(address, &app), "");
    assert!(refusal(address, &app.replace("app.", "evil.")).starts_with("HTTP/1.1 403 "));
    assert!(refusal(address, &app.replace("/mqtt", "/")).starts_with("HTTP/1.1 404 "));
}

/// [MQTT-6.0.0-3]
#[test]
fn what_is_no_websocket_of_mqtt_is_refused() {
    let broker = TestBroker::start();
    let address = listen(&broker, WebSocket::new());
    let good = request("localhost", "");
    for (request, status) in [
        (good.replace("Sec-WebSocket-Protocol: mqtt\r\n", ""), "HTTP/1.1 400 "),
        (good.replace(": mqtt", ": amqp"), "HTTP/1.1 400 "),
        (good.replace("Version: 13", "Version: 7"), "HTTP/1.1 426 "),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "HTTP/1.1 426 "),
        ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
    ] {
        let refused = refusal(address, &request);
        assert!(refused.starts_with(status), "{request}: {refused}");
    }
    // Who speaks plain MQTT is told in HTTP at once.
    let mut plain = patient(address);
    plain.write_all(&[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, 0]).unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    // TLS, too.
    let authority = Authority::new();
    assert!(authority.wallet().connect(address).is_err());
}

#[test]
fn bytes_of_a_request() {
    let broker = TestBroker::start();
    let address = listen(&broker, WebSocket::new());
    let with_cookie = |total: usize| {
        let bare = request("localhost", "Cookie: \r\n").len();
        request("localhost", &format!("Cookie: {}\r\n", "x".repeat(total - bare)))
    };
    assert_eq!(refusal(address, &with_cookie(16 * 1024)), "");
    let endless = with_cookie(17 * 1024);
    let cut = &endless[..16 * 1024 + 1];
    assert!(refusal(address, cut).starts_with("HTTP/1.1 431 "));
    let many = "A: b\r\n".repeat(65);
    assert!(refusal(address, &request("localhost", &many)).starts_with("HTTP/1.1 431 "));
}

#[test]
fn time_before_connect() {
    let broker = with(|options| options.connect_timeout = Duration::from_secs(2));
    let address = listen(&broker, WebSocket::new());
    let since = Instant::now();
    let mut silent = patient(address);
    let mut slow = patient(address);
    slow.write_all(b"GET /mqtt HTT").unwrap();
    // The request does not buy more time for CONNECT.
    let mut upgraded = WsClient::connect(address);
    for stream in [&mut silent, &mut slow, &mut upgraded.stream] {
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    assert!(since.elapsed() >= Duration::from_millis(1990));
    broker.until("they are gone", |broker| broker.counters().connections == 0);
}

#[test]
fn bytes_before_connect() {
    let broker = with(|options| options.max_connect_size = 100);
    let address = listen(&broker, WebSocket::new());
    let mut client = WsClient::connect(address);
    client.write_all(&[0x10, 101]).unwrap();
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
}

/// C3: what was begun and not taken never arrives.
#[test]
fn a_live_publish_that_is_not_acknowledged_resets_the_connection() {
    let broker = TestBroker::start();
    let address = listen(&broker, WebSocket::new());
    let mut lock = connect(address, Packing::Whole, "lock");
    lock.subscribe("lock/down", QoS::AtLeastOnce);
    let unlock = InlinePublish::new("lock/down".try_into().unwrap(), "unlock");
    let mut live = broker.inline().publish_live(unlock, Duration::from_secs(3));
    let mut told = Vec::new();
    while let Some(event) = broker.wait(live.next()) {
        told.push(event.what);
    }
    assert_eq!(told, [LiveStatus::Sent, LiveStatus::Lost]);
    while let Some(packet) = lock.try_next_of_broken() {
        assert!(matches!(packet, Packet::Publish(_)), "{packet:?}");
    }
}
