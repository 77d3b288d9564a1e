//! TLS: certificates of both sides, and new ones while sessions go on.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex};

use latchlight_broker::{
    Access, ClientCertificate, ClientCertificates, ClientInfo, ConnectRequest, PublishRequest,
    ReasonCode, Refusal, TlsConfig, TlsError, TlsProblem,
};
use latchlight_mqtt::{Connect, ProtocolVersion, QoS};
use rcgen::SanType;
use support::{
    Authority, Client, TLS_VERSIONS, TestBroker, Wallet, exchange, tls, tls_client, tls_listener,
};

use ClientCertificates::{Optional, Required};
use ProtocolVersion::V5;

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
    let address = tls_listener(&broker, &tls(authority.server_for(Optional)));
    let mut client = tls_client(&authority.wallet_with(&door), address, "client");
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
    let required = tls_listener(&broker, &tls(authority.server_for(Required)));
    let optional = tls_listener(&broker, &tls(authority.server_for(Optional)));
    let unasked = tls_listener(&broker, &tls(authority.server()));
    for versions in TLS_VERSIONS {
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
    let address = tls_listener(&broker, &tls(config));
    assert!(authority.wallet_with(&kept).is_let_on(address));
    assert!(!authority.wallet_with(&lost).is_let_on(address));
    let error = authority.server().revoked(list.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("not asked for certificates"), "{error}");
}

/// C25
#[test]
fn new_certificates_count_while_sessions_go_on() {
    let (old, new) = (Authority::new(), Authority::new());
    let broker = TestBroker::start();
    let tls = tls(old.server());
    let address = tls_listener(&broker, &tls);
    let mut held = tls_client(&old.wallet(), address, "held");
    held.subscribe("door", QoS::AtLeastOnce);
    tls.replace(new.server());
    assert!(old.wallet().connect(address).is_err());
    let mut publisher = tls_client(&new.wallet(), address, "publisher");
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
    let address = tls_listener(&broker, &handle);
    let mut held = tls_client(&authority.wallet(), address, "held");
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
    tls_client(&authority.wallet(), address, "next").disconnect();
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
