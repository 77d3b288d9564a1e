//! TLS: certificates of both sides, handshakes that fail or never end, and
//! new certificates while sessions go on.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchlight_broker::{
    Access, AllowAll, ClientCertificate, ClientCertificates, ClientInfo, ConnectRequest,
    InlinePublish, Listener, LiveStatus, Options, PublishRequest, ReasonCode, Refusal, Tls,
    TlsConfig, TlsError, TlsProblem,
};
use latchlight_mqtt::{Connect, ProtocolVersion, QoS};
use rcgen::SanType;
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use support::{
    Authority, Client, PATIENCE, TestBroker, Wallet, exchange, large_messages_wait, patient, tls,
};

use ClientCertificates::{Optional, Required};
use ProtocolVersion::V5;

const EACH: [&[&SupportedProtocolVersion]; 2] = [&[&TLS12], &[&TLS13]];

fn local() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// A listener over TLS of a broker.
fn listen(broker: &TestBroker, tls: &Tls) -> SocketAddr {
    let info = broker.add_listener(Listener::tcp(local()).tls(tls)).unwrap();
    let address = info.address.socket().unwrap();
    assert_eq!(*info.name, *format!("tls {address}"));
    address
}

fn with(change: impl FnOnce(&mut Options)) -> TestBroker {
    let mut options = Options::default();
    change(&mut options);
    TestBroker::with_options(options)
}

fn connect(wallet: &Wallet<'_>, address: SocketAddr, id: &str) -> Client<support::TlsClient> {
    Client::connect_over(wallet.connect(address).unwrap(), V5, id)
}

#[test]
fn tls_carries_everything_in_both_of_its_versions() {
    let authority = Authority::new();
    let mut broker = TestBroker::start();
    let address = listen(&broker, &tls(authority.server()));
    for version in EACH {
        let wallet = Wallet { versions: version, ..authority.wallet() };
        let mut reader = connect(&wallet, address, "reader");
        let mut publisher = connect(&wallet, address, "publisher");
        exchange(&mut reader, &mut publisher);
        let mut plain = Client::connect(broker.address(), V5, "plain");
        exchange(&mut reader, &mut plain);
        publisher.disconnect();
    }
    // The end is said in both languages: without close_notify, this is an error.
    let mut client = connect(&authority.wallet(), address, "client");
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
    let address = listen(&broker, &tls(authority.server()));
    let mut reader = connect(&authority.wallet(), address, "reader");
    let mut publisher = connect(&authority.wallet(), address, "publisher");
    large_messages_wait(&mut reader, &mut publisher);
}

#[test]
fn packets_in_records_of_one_byte() {
    let authority = Authority::new();
    let broker = TestBroker::start();
    let address = listen(&broker, &tls(authority.server()));
    let mut client = connect(&authority.wallet(), address, "client");
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

/// Lets in who shows a certificate, by its common name, and remembers it.
#[derive(Clone, Default)]
struct ByCertificate(Arc<Mutex<Vec<ClientCertificate>>>);

#[async_trait::async_trait]
impl Access for ByCertificate {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        let certificate = request.certificate.ok_or(ReasonCode::NotAuthorized)?;
        self.0.lock().unwrap().push(certificate.clone());
        certificate.common_name.as_deref().map(Arc::from).ok_or(ReasonCode::NotAuthorized)
    }

    fn authorize_publish(
        &self,
        client: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        assert_eq!(client.certificate.as_ref().unwrap().dns_names, ["door.example", "localhost"]);
        if request.topic.starts_with(&*client.identity) {
            Ok(())
        } else {
            Err(Refusal::Ignore(ReasonCode::NotAuthorized))
        }
    }
}

#[test]
fn the_access_hook_sees_the_clients_certificate() {
    let authority = Authority::new();
    let door = authority.sign_with("door", |params| {
        params.subject_alt_names = vec![
            SanType::DnsName("door.example".try_into().unwrap()),
            SanType::DnsName("localhost".try_into().unwrap()),
            SanType::Rfc822Name("door@example.org".try_into().unwrap()),
            SanType::URI("urn:door".try_into().unwrap()),
            SanType::IpAddress([192, 0, 2, 7].into()),
        ];
    });
    let access = ByCertificate::default();
    let broker = TestBroker::with_access(access.clone());
    let address = listen(&broker, &tls(authority.server_for(Optional)));
    let mut client = connect(&authority.wallet_with(&door), address, "client");
    assert_eq!(client.publish("door/x", "x", QoS::AtLeastOnce), ReasonCode::NoMatchingSubscribers);
    assert_eq!(client.publish("other", "x", QoS::AtLeastOnce), ReasonCode::NotAuthorized);
    let seen = access.0.lock().unwrap().remove(0);
    assert_eq!(seen.common_name.as_deref(), Some("door"));
    assert_eq!(seen.email_addresses, ["door@example.org"]);
    assert_eq!(seen.uris, ["urn:door"]);
    assert_eq!(seen.ip_addresses, [std::net::IpAddr::from([192, 0, 2, 7])]);
    assert_eq!(&*broker.clients()[0].identity, "door");
    let output = std::process::Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in", &authority.argument("door.pem")])
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap().replace(':', "").to_lowercase();
    assert!(printed.trim_end().ends_with(&seen.fingerprint_hex()), "{printed}");
    // Who shows none is let on, and it is the hook that refuses.
    let stream = authority.wallet().connect(address).unwrap();
    let (_, connack) = Client::new(stream, V5).say_connect(Connect::new(V5, "nobody"));
    assert_eq!(connack.reason, ReasonCode::NotAuthorized);
}

#[test]
fn only_who_shows_a_good_certificate_is_let_on() {
    let (authority, other) = (Authority::new(), Authority::new());
    let good = authority.sign("door");
    let expired = authority.sign_with("expired", |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let early = authority.sign_with("early", |params| {
        params.not_before = rcgen::date_time_ymd(2090, 1, 1);
        params.not_after = rcgen::date_time_ymd(2091, 1, 1);
    });
    let foreign = other.sign("door");
    let broker = TestBroker::start();
    let required = listen(&broker, &tls(authority.server_for(Required)));
    let optional = listen(&broker, &tls(authority.server_for(Optional)));
    let unasked = listen(&broker, &tls(authority.server()));
    for versions in EACH {
        let wallet = |shows| Wallet { shows, versions, ..authority.wallet() };
        for address in [required, optional, unasked] {
            assert!(wallet(Some(&good)).is_let_on(address));
        }
        for bad in [&expired, &early, &foreign] {
            assert!(!wallet(Some(bad)).is_let_on(required));
            assert!(!wallet(Some(bad)).is_let_on(optional));
            assert!(wallet(Some(bad)).is_let_on(unasked));
        }
        assert!(!wallet(None).is_let_on(required));
        assert!(wallet(None).is_let_on(optional) && wallet(None).is_let_on(unasked));
    }
    broker.until("they are counted", |broker| broker.counters().handshakes_failed == 14);
    // A client that trusts somebody else does not speak to this server.
    assert!(other.wallet().connect(unasked).is_err());
    broker.until("it is counted", |broker| broker.counters().handshakes_failed == 15);
}

#[test]
fn a_certificate_that_was_revoked_is_refused() {
    let authority = Authority::new();
    let serial = rcgen::SerialNumber::from(4711);
    let [lost, kept] = [4711_u64, 4712].map(|number| {
        let name = format!("door{number}");
        authority.sign_with(&name, |params| params.serial_number = Some(number.into()))
    });
    let list = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2020, 1, 1),
        next_update: rcgen::date_time_ymd(2090, 1, 1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: vec![rcgen::RevokedCertParams {
            serial_number: serial,
            revocation_time: rcgen::date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let list = list.signed_by(authority.issuer()).unwrap().pem().unwrap();
    let broker = TestBroker::start();
    let config = authority.server_for(Required).revoked(list.as_bytes()).unwrap();
    let address = listen(&broker, &tls(config));
    assert!(authority.wallet_with(&kept).is_let_on(address));
    assert!(!authority.wallet_with(&lost).is_let_on(address));
    let error = authority.server().revoked(list.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("not asked for certificates"), "{error}");
}

#[test]
fn nothing_older_than_tls_1_2_is_spoken() {
    let authority = Authority::new();
    let broker = TestBroker::start();
    let address = listen(&broker, &tls(authority.server()));
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
    let address = listen(&broker, &tls(authority.server()));
    let mut bystander = connect(&authority.wallet(), address, "bystander");
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
    let address = listen(&broker, &tls(authority.server()));
    let mut silent = patient(address);
    let mut slow = patient(address);
    slow.write_all(&[22, 3, 1, 1, 0, 1, 0]).unwrap();
    for stream in [&mut silent, &mut slow] {
        assert!(matches!(stream.read(&mut [0; 1]), Ok(0)));
    }
    broker.until("they are counted", |broker| broker.counters().handshakes_failed == 2);
    // Who has shaken hands in time stays.
    let mut client = connect(&authority.wallet(), address, "client");
    std::thread::sleep(Duration::from_millis(2300));
    client.expect_nothing();
}

/// The time before CONNECT counts behind the handshake, too.
#[test]
fn time_between_handshake_and_connect() {
    let authority = Authority::new();
    let broker = with(|options| options.connect_timeout = Duration::from_millis(200));
    let address = listen(&broker, &tls(authority.server()));
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
        let address = listen(&broker, &tls(authority.server()));
        // Who has finished does not count.
        let mut client = connect(&authority.wallet(), address, "client");
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
        connect(&authority.wallet(), address, "next").disconnect();
    }
}

/// C25
#[test]
fn new_certificates_count_while_sessions_go_on() {
    let (old, new) = (Authority::new(), Authority::new());
    let broker = TestBroker::start();
    let tls = tls(old.server());
    let address = listen(&broker, &tls);
    let mut held = connect(&old.wallet(), address, "held");
    held.subscribe("door", QoS::AtLeastOnce);
    tls.replace(new.server());
    assert!(old.wallet().connect(address).is_err());
    let mut publisher = connect(&new.wallet(), address, "publisher");
    publisher.publish("door", "locked", QoS::AtLeastOnce);
    let publish = held.next_publish();
    held.acknowledge(&publish);
    exchange(&mut held, &mut publisher);
    // Whom the server lets in changes as well.
    tls.replace(new.server_for(Required));
    assert!(!new.wallet().is_let_on(address));
    let door = new.sign("door");
    assert!(new.wallet_with(&door).is_let_on(address));
    exchange(&mut held, &mut publisher);
}

/// C25: what is wrong is said, and nothing changes.
#[test]
fn bad_files_are_named_with_what_is_wrong() {
    let authority = Authority::new();
    authority.sign("server");
    authority.sign("other");
    let file = |name: &str| authority.file(name);
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----";
    for (name, content) in [
        ("empty.pem", ""),
        ("text.pem", "this is no PEM"),
        ("cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n"),
        ("zeros.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
        ("zeros.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"),
        ("encrypted.key", encrypted),
    ] {
        std::fs::write(file(name), content).unwrap();
    }
    let whole = std::fs::read_to_string(file("server.pem")).unwrap();
    let second = whole.lines().count() + 1;
    for (name, rest) in [
        ("second-cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n"),
        ("second-open.pem", "-----BEGIN CERTIFICATE---\nAAAA\n-----END CERTIFICATE-----\n"),
        ("second-text.pem", "-----BEGIN CERTIFICATE-----\n?!?!\n-----END CERTIFICATE-----\n"),
        ("second-zeros.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        std::fs::write(file(name), whole.clone() + rest).unwrap();
    }
    let broker = TestBroker::start();
    let handle = tls(TlsConfig::from_files(file("server.pem"), file("server.key")).unwrap());
    let address = listen(&broker, &handle);
    let mut held = connect(&authority.wallet(), address, "held");
    let read = |certificate: &str, key: &str| -> Result<(), TlsError> {
        handle.replace(TlsConfig::from_files(file(certificate), file(key))?);
        Ok(())
    };
    for (certificate, key, named, what) in [
        ("none.pem", "server.key", "none.pem", "cannot be read"),
        ("server.pem", "none.key", "none.key", "cannot be read"),
        ("empty.pem", "server.key", "empty.pem", "no certificate"),
        ("text.pem", "server.key", "text.pem", "no certificate"),
        ("server.key", "server.key", "server.key", "no certificate"),
        ("cut.pem", "server.key", "cut.pem", "section at line 1 has no end"),
        ("zeros.pem", "server.key", "zeros.pem", "cannot be used"),
        ("server.pem", "server.pem", "server.pem", "no private key"),
        ("server.pem", "zeros.key", "zeros.key", "cannot be used"),
        ("server.pem", "encrypted.key", "encrypted.key", "passphrase"),
        ("server.pem", "other.key", "other.key", "does not belong to the certificate"),
    ] {
        let error = read(certificate, key).unwrap_err();
        assert!(error.origin.ends_with(named), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    let second = format!("the section at line {second}");
    for (name, what) in [
        ("second-cut.pem", "has no end"),
        ("second-open.pem", "begins wrongly"),
        ("second-text.pem", "is no base64"),
        ("second-zeros.pem", "cannot be used"),
    ] {
        let own = read(name, "server.key").unwrap_err();
        let theirs = authority.server().clients_from_file(file(name), Required).unwrap_err();
        for error in [own.to_string(), theirs.to_string()] {
            assert!(error.contains(&second) && error.contains(what), "{error}");
        }
    }
    let error = authority.server().clients_from_file(file("text.pem"), Required).unwrap_err();
    assert!(matches!(error.problem, TlsProblem::NoCertificate), "{error}");
    let error = authority.server_for(Required).revoked_from_file(file("server.pem")).unwrap_err();
    assert!(matches!(error.problem, TlsProblem::NoRevocationList), "{error}");
    held.expect_nothing();
    connect(&authority.wallet(), address, "next").disconnect();
    read("other.pem", "other.key").unwrap();
    held.expect_nothing();
}

#[test]
fn when_a_certificate_expires_is_known() {
    let authority = Authority::new();
    let server = authority.sign_with("server", |params| {
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let config = TlsConfig::from_pem(server.certificate.as_bytes(), server.key.as_bytes()).unwrap();
    let since = config.expires().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(since.as_secs(), 1_609_459_200);
}

/// C3: what waits in the layers is thrown away with the rest.
#[test]
fn a_live_publish_that_is_not_acknowledged_resets_the_connection() {
    let authority = Authority::new();
    let broker = TestBroker::start();
    let address = listen(&broker, &tls(authority.server()));
    let mut lock = connect(&authority.wallet(), address, "lock");
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
    let address = listen(&broker, &tls(authority.server()));
    let mut reader = connect(&authority.wallet(), address, "reader");
    reader.subscribe("#", QoS::AtMostOnce);
    let inline = broker.inline();
    for size in (0..40).map(|step| 60_000 + step * 120_001) {
        let payload = vec![b'x'; size];
        inline.publish(InlinePublish::new("large".try_into().unwrap(), payload));
        assert_eq!(reader.next_publish().payload.len(), size);
    }
}
