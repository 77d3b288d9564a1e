//! TLS to an outside broker, with an authority of the test's own (C24).

use std::fs;
use std::path::{Path, PathBuf};

use openssl::ssl::{SslConnector, SslMethod, SslVersion};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use crate::authority::Authority;
use crate::harness::{PATIENCE, Server, configured, program};
use crate::mosquitto::Mosquitto;
use crate::patient_stream::PatientStream;
use crate::real_clients::{operate, paho_door_over_tls};

trait Brokers {
    fn mosquitto(&self, name: &str, more: &str) -> Mosquitto;
    fn lines(&self, name: &str, more: &str) -> String;
}

impl Brokers for Authority {
    /// A mosquitto that shows a certificate for this name.
    fn mosquitto(&self, name: &str, more: &str) -> Mosquitto {
        Mosquitto::start_with(&self.lines(name, more), &[])
    }

    fn lines(&self, name: &str, more: &str) -> String {
        let (certificate, key) = self.sign(name);
        format!(
            "allow_anonymous true\ncertfile {}\nkeyfile {}\n{more}",
            certificate.display(),
            key.display()
        )
    }
}

fn settings(mosquitto: &Mosquitto, ca: &Path) -> Value {
    json!({ "mqtt": { "broker": format!("mqtts://{}", mosquitto.named_address()), "ca_file": ca } })
}

/// What the server says when it could not connect; it is not ready then.
async fn refusal(server: &Server) -> String {
    let line = server.logged("connect to the broker").await;
    let (status, _) = server.get("/readyz").await;
    assert_eq!(status, 503);
    line["error"].as_str().unwrap_or_else(|| panic!("{line}")).to_owned()
}

#[tokio::test]
async fn a_lock_joins_and_is_locked_over_tls() {
    let authority = Authority::new();
    let mosquitto = authority.mosquitto("localhost", "");
    let server = Server::start_with(settings(&mosquitto, &authority.ca()));
    let _door = paho_door_over_tls(&mosquitto.named_address(), &authority.ca());
    operate(&server).await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let (authority, other) = (Authority::new(), Authority::new());
    let mosquitto = authority.mosquitto("localhost", "");
    let server = Server::start_with(settings(&mosquitto, &other.ca()));
    let why = refusal(&server).await;
    assert!(why.contains("the certificate that localhost shows is refused"), "{why}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let mosquitto = authority.mosquitto("broker.example", "");
    let server = Server::start_with(settings(&mosquitto, &authority.ca()));
    let why = refusal(&server).await;
    assert!(why.contains("hostname mismatch"), "{why}");
}

#[tokio::test]
async fn a_broker_that_wants_a_certificate_gets_the_servers() {
    let authority = Authority::new();
    let more = format!("require_certificate true\ncafile {}\n", authority.ca().display());
    let mosquitto = authority.mosquitto("localhost", &more);

    let without = Server::start_with(settings(&mosquitto, &authority.ca()));
    let why = refusal(&without).await;
    assert!(why.contains("certificate required"), "{why}");
    assert!(why.contains("mqtt.cert_file is not set"), "{why}");

    let (certificate, key) = authority.sign("latchlight");
    let mut with = settings(&mosquitto, &authority.ca());
    with["mqtt"]["cert_file"] = json!(certificate);
    with["mqtt"]["key_file"] = json!(key);
    let server = Server::start_with(with);
    server.logged("connected to the broker").await;
    let (status, _) = server.get("/readyz").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn files_are_found_beside_config_json() {
    let authority = Authority::new();
    let more = format!("require_certificate true\ncafile {}\n", authority.ca().display());
    let mosquitto = authority.mosquitto("localhost", &more);
    let mut settings = settings(&mosquitto, Path::new("certificates/ca.pem"));
    settings["mqtt"]["cert_file"] = json!("certificates/own.pem");
    settings["mqtt"]["key_file"] = json!("certificates/own.key");
    let folder = configured(settings);
    let certificates = folder.path().join("certificates");
    let (certificate, key) = authority.sign("latchlight");
    fs::create_dir(&certificates).unwrap();
    fs::copy(authority.ca(), certificates.join("ca.pem")).unwrap();
    fs::copy(certificate, certificates.join("own.pem")).unwrap();
    fs::copy(key, certificates.join("own.key")).unwrap();
    let server = Server::start_in(folder);
    server.logged("connected to the broker").await;
}

#[tokio::test]
async fn a_file_that_is_not_good_stops_the_start_and_its_setting_is_named() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("latchlight");
    let (_, another_key) = authority.sign("another");
    let ca = authority.ca();
    let nowhere = Path::new("nowhere.pem");
    for (ca, certificate, key, named) in [
        (nowhere, &*certificate, &*key, "mqtt.ca_file"),
        (&*key, &*certificate, &*key, "mqtt.ca_file"),
        (&*ca, nowhere, &*key, "mqtt.cert_file"),
        (&*ca, &*key, &*key, "mqtt.cert_file"),
        (&*ca, &*certificate, nowhere, "mqtt.key_file"),
        (&*ca, &*certificate, &*ca, "mqtt.key_file"),
        (&*ca, &*certificate, &*another_key, "mqtt.key_file"),
    ] {
        let folder = configured(json!({ "mqtt": {
            "broker": "mqtts://localhost", "ca_file": ca, "cert_file": certificate, "key_file": key
        } }));
        let mut program = Command::from(program(&folder.path().join("config.json")));
        let ended = timeout(PATIENCE, program.kill_on_drop(true).output()).await;
        let ended = ended.expect("it starts").unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        let last = said.lines().last().unwrap();
        assert!(!ended.status.success() && last.contains(named), "{named}: {last}");
    }
}

#[tokio::test]
async fn tls_1_1_is_not_spoken_whatever_the_system_allows() {
    let authority = Authority::new();
    let old = openssl_conf(&authority, "MaxProtocol = TLSv1.1");
    let lax = openssl_conf(&authority, "");
    let lines = authority.lines("localhost", "");
    let mosquitto = Mosquitto::start_with(&lines, &[("OPENSSL_CONF", old.to_str().unwrap())]);

    // It does speak 1.1, to who would.
    let mut tls = SslConnector::builder(SslMethod::tls_client()).unwrap();
    tls.set_ca_file(authority.ca()).unwrap();
    tls.set_min_proto_version(Some(SslVersion::TLS1_1)).unwrap();
    tls.set_cipher_list("DEFAULT@SECLEVEL=0").unwrap();
    let stream = PatientStream::connect(&mosquitto.address()).unwrap();
    let stream = tls.build().connect("localhost", stream).unwrap();
    assert_eq!(stream.ssl().version_str(), "TLSv1.1");

    let folder = configured(settings(&mosquitto, &authority.ca()));
    let mut program = program(&folder.path().join("config.json"));
    program.env("OPENSSL_CONF", lax);
    let server = Server::start_by(program, folder);
    let why = refusal(&server).await;
    assert!(why.contains("protocol version"), "{why}");
}

/// A configuration of OpenSSL that allows what is long out of use.
fn openssl_conf(authority: &Authority, line: &str) -> PathBuf {
    let file = authority.file(&format!("{}.cnf", if line.is_empty() { "lax" } else { "old" }));
    let text = format!(
        "openssl_conf = start\n[start]\nssl_conf = tls\n[tls]\nsystem_default = all\n\
         [all]\nMinProtocol = TLSv1\nCipherString = DEFAULT@SECLEVEL=0\n{line}\n"
    );
    fs::write(&file, text).unwrap();
    file
}
