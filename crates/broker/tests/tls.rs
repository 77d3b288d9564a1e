//! TLS: what it lies over, and handshakes that fail or never end.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use latchlight_broker::{AllowAll, InlinePublish, Listener, LiveStatus, Options, ReasonCode};
use latchlight_mqtt::{Connect, ProtocolVersion, QoS};
use support::{
    Authority, Client, PATIENCE, TLS_VERSIONS, TestBroker, Wallet, exchange, large_messages_wait,
    patient, tls, tls_client, tls_listener,
};

use ProtocolVersion::V5;

fn with(change: impl FnOnce(&mut Options)) -> TestBroker {
    let mut options = Options::default();
    change(&mut options);
    TestBroker::with_options(options)
}

#[test]
fn tls_carries_everything_in_both_of_its_versions() {
    let authority = Authority::new();
    let mut broker = TestBroker::start();
    let address = tls_listener(&broker, &tls(authority.server()));
    for version in TLS_VERSIONS {
        let wallet = Wallet { versions: version, ..authority.wallet() };
        let mut reader = tls_client(&wallet, address, "reader");
        let mut publisher = tls_client(&wallet, address, "publisher");
        exchange(&mut reader, &mut publisher);
        let mut plain = Client::connect(broker.address(), V5, "plain");
        exchange(&mut reader, &mut plain);
        publisher.disconnect();
    }
    // The end is said in both languages: without close_notify, this is an error.
    let mut client = tls_client(&authority.wallet(), address, "client");
    broker.close();
    client.expect_disconnect(ReasonCode::ServerShuttingDown);
    assert_eq!(broker.counters().handshakes_failed, 0);
}

#[test]
fn tls_lies_over_every_kind_of_listener() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mqtt.sock");
    let broker = TestBroker::start();
    let listener = Listener::unix(&path, 0o600).unwrap().tls(&tls(authority.server()));
    let info = broker.add_listener(listener).unwrap();
    assert_eq!(*info.name, *format!("tls unix {}", path.display()));
    let connect = |id: &str| {
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client::connect_over(authority.wallet().over(stream).unwrap(), V5, id)
    };
    let (mut reader, mut publisher) = (connect("reader"), connect("publisher"));
    exchange(&mut reader, &mut publisher);
}

/// A reader that takes nothing for a while, and a message that no buffer of
/// the way holds.
#[test]
fn large_messages_wait_for_who_reads_late() {
    let authority = Authority::new();
    let broker = TestBroker::start();
    let address = tls_listener(&broker, &tls(authority.server()));
    let mut reader = tls_client(&authority.wallet(), address, "reader");
    let mut publisher = tls_client(&authority.wallet(), address, "publisher");
    large_messages_wait(&mut reader, &mut publisher);
}

#[test]
fn packets_in_records_of_one_byte() {
    let authority = Authority::new();
    let broker = TestBroker::start();
    let address = tls_listener(&broker, &tls(authority.server()));
    let mut client = tls_client(&authority.wallet(), address, "client");
    for _ in 0..50 {
        for byte in [0xC0, 0x00] {
            client.send_bytes(&[byte]);
        }
        assert_eq!(client.next(), latchlight_mqtt::Packet::PingResp);
    }
    // Many packets in one record, too.
    client.send_bytes(&[0xC0, 0x00].repeat(4_000));
    for _ in 0..4_000 {
        assert_eq!(client.next(), latchlight_mqtt::Packet::PingResp);
    }
}

/// Sends its first bytes one by one.
struct Dribble {
    stream: TcpStream,
    slow: usize,
}

impl Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Dribble {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.slow == 0 {
            return self.stream.write(bytes);
        }
        self.slow -= 1;
        std::thread::sleep(Duration::from_millis(2));
        self.stream.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

#[test]
fn a_client_hello_in_pieces() {
    let authority = Authority::new();
    let broker = TestBroker::start();
    let address = tls_listener(&broker, &tls(authority.server()));
    for versions in TLS_VERSIONS {
        let wallet = Wallet { versions, ..authority.wallet() };
        let mut stream = wallet.over(Dribble { stream: patient(address), slow: 50 }).unwrap();
        // PINGREQ is no CONNECT, and ends what was begun.
        stream.write_all(&[0xC0, 0]).unwrap();
        assert!(matches!(stream.read(&mut [0; 1]), Ok(0)));
    }
    assert_eq!(broker.counters().handshakes_failed, 0);
}

#[test]
fn the_cipher_suite_is_the_servers_choice_but_for_who_has_chacha20_first() {
    use rustls::crypto::ring::cipher_suite::{
        TLS13_AES_128_GCM_SHA256 as AES_128, TLS13_AES_256_GCM_SHA384 as AES_256,
        TLS13_CHACHA20_POLY1305_SHA256 as CHACHA,
    };

    let authority = Authority::new();
    let broker = TestBroker::start();
    let address = tls_listener(&broker, &tls(authority.server()));
    let cases = [
        (vec![AES_256, AES_128], AES_128),
        (vec![AES_256], AES_256),
        (vec![CHACHA, AES_128, AES_256], CHACHA),
    ];
    for (suites, expected) in cases {
        let wallet = Wallet { suites, versions: TLS_VERSIONS[1], ..authority.wallet() };
        let stream = wallet.connect(address).unwrap();
        assert_eq!(stream.conn.negotiated_cipher_suite(), Some(expected), "{:?}", wallet.suites);
    }
}

#[test]
fn nothing_older_than_tls_1_2_is_spoken() {
    let authority = Authority::new();
    let broker = TestBroker::start();
    let address = tls_listener(&broker, &tls(authority.server()));
    for minor in 0..=2 {
        // A ClientHello of SSL 3.0, TLS 1.0 or 1.1 with a suite of that time.
        let mut hello = vec![3, minor];
        hello.extend([7; 32]);
        hello.extend([0, 0, 2, 0xC0, 0x14, 1, 0]);
        let mut record = vec![22, 3, minor, 0, hello.len() as u8 + 4, 1, 0, 0, hello.len() as u8];
        record.extend(hello);
        let mut stream = patient(address);
        stream.write_all(&record).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        // An alert, and the end: nothing was agreed on.
        assert_eq!((answer[0], answer.len()), (21, 7), "{answer:?}");
    }
    broker.until("they are counted", |broker| broker.counters().handshakes_failed == 3);
}

#[test]
fn who_speaks_no_tls_is_turned_away_and_harms_nobody() {
    let authority = Authority::new();
    let broker = TestBroker::start();
    let address = tls_listener(&broker, &tls(authority.server()));
    let mut bystander = tls_client(&authority.wallet(), address, "bystander");
    let connect = Connect::new(V5, "plain");
    let mut bytes = Vec::new();
    latchlight_mqtt::Packet::Connect(Box::new(connect)).encode(V5, &mut bytes).unwrap();
    let http = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    for said in [bytes, http, vec![0; 70_000], vec![22; 70_000]] {
        let mut stream = patient(address);
        let _ = stream.write_all(&said);
        // An alert at the most, and the end.
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.len() <= 7, "{answer:?}");
        bystander.expect_nothing();
    }
    // TLS where none is spoken does not get far either.
    assert!(authority.wallet().connect(broker.address()).is_err());
    bystander.expect_nothing();
    broker.until("only one is left", |broker| broker.counters().connections == 1);
}

#[test]
fn time_of_a_handshake() {
    let authority = Authority::new();
    let broker = with(|options| options.handshake_timeout = Duration::from_secs(2));
    let address = tls_listener(&broker, &tls(authority.server()));
    let mut silent = patient(address);
    let mut slow = patient(address);
    slow.write_all(&[22, 3, 1, 1, 0, 1, 0]).unwrap();
    for stream in [&mut silent, &mut slow] {
        assert!(matches!(stream.read(&mut [0; 1]), Ok(0)));
    }
    broker.until("they are counted", |broker| broker.counters().handshakes_failed == 2);
    // Who has shaken hands in time stays.
    let mut client = tls_client(&authority.wallet(), address, "client");
    std::thread::sleep(Duration::from_millis(2300));
    client.expect_nothing();
}

/// The time before CONNECT counts behind the handshake, too.
#[test]
fn time_between_handshake_and_connect() {
    let authority = Authority::new();
    let broker = with(|options| options.connect_timeout = Duration::from_millis(200));
    let address = tls_listener(&broker, &tls(authority.server()));
    let mut silent = authority.wallet().connect(address).unwrap();
    assert!(matches!(silent.read(&mut [0; 1]), Ok(0)));
}

#[test]
fn handshakes_at_once() {
    let authority = Authority::new();
    for per_address in [false, true] {
        let broker = with(|options| match per_address {
            true => options.max_handshakes_per_address = 2,
            false => options.max_handshakes = 2,
        });
        let address = tls_listener(&broker, &tls(authority.server()));
        // Who has finished does not count.
        let mut client = tls_client(&authority.wallet(), address, "client");
        let [one, _two] = [patient(address), patient(address)];
        broker.until("they are there", |broker| broker.counters().connections == 3);
        let mut one_more = patient(address);
        assert!(!matches!(one_more.read(&mut [0; 1]), Ok(1)));
        assert!(authority.wallet().connect(address).is_err());
        let counted = broker.counters();
        assert_eq!((counted.connections_refused, counted.handshakes_refused), (2, 2));
        // Plain connections pay nothing of the kind.
        Client::connect(broker.address(), V5, "plain").disconnect();
        client.expect_nothing();
        drop(one);
        broker.until("it is gone", |broker| broker.counters().connections == 2);
        tls_client(&authority.wallet(), address, "next").disconnect();
    }
}

/// C3: what waits in the layers is thrown away with the rest.
#[test]
fn a_live_publish_that_is_not_acknowledged_resets_the_connection() {
    let authority = Authority::new();
    let broker = TestBroker::start();
    let address = tls_listener(&broker, &tls(authority.server()));
    let mut lock = tls_client(&authority.wallet(), address, "lock");
    lock.subscribe("lock/down", QoS::AtLeastOnce);
    let unlock = InlinePublish::new("lock/down".try_into().unwrap(), "unlock");
    let mut live = broker.inline().publish_live(unlock, Duration::from_secs(3));
    let mut told = Vec::new();
    while let Some(event) = broker.wait(live.next()) {
        told.push(event.what);
    }
    assert_eq!(told, [LiveStatus::Sent, LiveStatus::Lost]);
    broker.until("it is gone", |broker| broker.counters().connections == 0);
    // No farewell: it was cut off.
    while let Some(packet) = lock.try_next_of_broken() {
        assert!(matches!(packet, latchlight_mqtt::Packet::Publish(_)), "{packet:?}");
    }
}

/// What is left of a large message in the layers goes out by itself, also when
/// nothing more is published.
#[test]
fn the_last_of_a_large_message_is_not_left_behind() {
    let authority = Authority::new();
    let broker = TestBroker::build(|builder| builder.access(AllowAll));
    let address = tls_listener(&broker, &tls(authority.server()));
    let mut reader = tls_client(&authority.wallet(), address, "reader");
    reader.subscribe("#", QoS::AtMostOnce);
    let inline = broker.inline();
    for size in (0..40).map(|step| 60_000 + step * 120_001) {
        let payload = vec![b'x'; size];
        inline.publish(InlinePublish::new("large".try_into().unwrap(), payload));
        assert_eq!(reader.next_publish().payload.len(), size);
    }
}
