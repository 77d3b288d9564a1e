//! The certificate's files: others, bad ones, none (C25).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use latchlight_client::Connection;
use latchlight_mqtt::ProtocolVersion;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authority::Authority;
use crate::harness::{Device, PATIENCE, Server, configured, program};
use crate::tls_client::{TlsClient, ask, with_tls};

const READ: &str = "the certificate was read again";
const NOT_TAKEN: &str = "the certificate was not taken; the one from before counts";

/// Files that an ACME client would replace.
struct Files {
    folder: TempDir,
}

impl Files {
    fn of(authority: &Authority) -> Self {
        let files = Self { folder: TempDir::new().unwrap() };
        files.renew(authority);
        files
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("fullchain.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("privkey.pem")
    }

    /// Others for the same name.
    fn renew(&self, authority: &Authority) {
        let (certificate, key) = authority.sign("localhost");
        self.put(&certificate, &self.certificate());
        self.put(&key, &self.key());
    }

    fn put(&self, from: &Path, to: &Path) {
        let aside = to.with_extension("new");
        fs::copy(from, &aside).unwrap();
        fs::rename(aside, to).unwrap();
    }

    fn settings(&self) -> Value {
        with_tls(&self.certificate(), &self.key())
    }
}

#[tokio::test]
async fn c25_a_new_certificate_is_shown_to_who_comes_and_nobody_is_dropped() {
    let authority = Authority::new();
    let files = Files::of(&authority);
    let server = Server::start_with(files.settings());
    let client = TlsClient::of(&authority);
    let mut app = client.connect(server.at("https")).unwrap();
    let mut device = client.connect(server.at("mqtts")).unwrap();
    for by_signal in [false, true] {
        let before = ["https", "mqtts"].map(|listener| client.certificate(server.at(listener)));
        assert_eq!(before[0], before[1]);
        files.renew(&authority);
        if by_signal {
            server.signal("HUP");
        }
        server.logged(READ).await;
        let after = ["https", "mqtts"].map(|listener| client.certificate(server.at(listener)));
        assert_eq!(after[0], after[1]);
        assert_ne!(before, after);
        assert!(ask(&mut app, "/hello").starts_with("HTTP/1.1 200"));
    }
    // It is still spoken with: what is no CONNECT ends it, without an alert.
    use std::io::{Read as _, Write as _};
    device.write_all(&[0xC0, 0]).unwrap();
    assert_eq!(device.read(&mut [0; 1]).unwrap(), 0);
}

#[tokio::test]
async fn c25_certificates_change_under_load_and_no_handshake_fails() {
    let authority = Authority::new();
    let files = Files::of(&authority);
    let server = Server::start_with(files.settings());
    let (over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for listener in ["https", "mqtts"] {
            let address = server.at(listener);
            let (over, done, authority) = (&over, &done, &authority);
            scope.spawn(move || {
                let client = TlsClient::of(authority);
                while !over.load(Ordering::SeqCst) {
                    client.connect(address).unwrap();
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for _ in 0..10 {
            files.renew(&authority);
            server.signal("HUP");
            let seen = done.load(Ordering::SeqCst);
            while done.load(Ordering::SeqCst) < seen + 4 {
                std::thread::yield_now();
            }
        }
        over.store(true, Ordering::SeqCst);
    });
    let (status, _) = server.get("/hello").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn c25_a_bad_file_keeps_the_old_certificate_and_says_so() {
    let (authority, other) = (Authority::new(), Authority::new());
    let files = Files::of(&authority);
    let server = Server::start_with(files.settings());
    let client = TlsClient::of(&authority);
    let first = client.certificate(server.at("https"));
    let (_, another_key) = other.sign("another");
    let empty = files.folder.path().join("empty");
    fs::write(&empty, "").unwrap();
    let cut = files.folder.path().join("cut");
    let whole = fs::read(files.certificate()).unwrap();
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let (good, good_key) = (files.folder.path().join("good"), files.folder.path().join("good-key"));
    fs::copy(files.certificate(), &good).unwrap();
    fs::copy(files.key(), &good_key).unwrap();
    for (bad, instead_of, named) in [
        (&another_key, files.key(), "tls.key"),
        (&empty, files.certificate(), "tls.certificate"),
        (&cut, files.certificate(), "tls.certificate"),
        (&good_key, files.certificate(), "tls.certificate"),
        (&good, files.key(), "tls.key"),
    ] {
        files.put(bad, &instead_of);
        let line = server.logged(NOT_TAKEN).await;
        let why = line["error"].as_str().unwrap();
        assert!(why.contains(named), "{named}: {why}");
        assert!(!why.contains("PRIVATE"), "{why}");
        for listener in ["https", "mqtts"] {
            assert_eq!(client.certificate(server.at(listener)), first);
        }
        let (status, ready) = server.get("/readyz").await;
        assert_eq!(status, 200, "it is ready all the same");
        assert!(ready["tls"].as_str().unwrap().contains("from before counts"), "{ready}");
        let (_, metrics) = server.bytes("/metrics").await;
        let metrics = String::from_utf8(metrics.to_vec()).unwrap();
        assert!(metrics.contains("latchlight_tls_certificate_refused 1"), "{metrics}");
        files.put(&good, &files.certificate());
        files.put(&good_key, &files.key());
        server.logged(READ).await;
        let (_, ready) = server.get("/readyz").await;
        assert_eq!(ready["tls"], "ok");
    }
    // What is gone is no better than what is bad.
    fs::remove_file(files.key()).unwrap();
    server.logged(NOT_TAKEN).await;
    assert_eq!(client.certificate(server.at("https")), first);
}

#[tokio::test]
async fn c25_sighup_ends_nothing_where_there_is_no_certificate_either() {
    let server = Server::start();
    let connect = server.device("door").await;
    let connection = Connection::open(server.mqtt(), ProtocolVersion::V5).await.unwrap();
    let (mut door, _) = Device::over(connection, connect).await;
    server.signal("HUP");
    server.logged("nothing to read again: there is no certificate").await;
    door.listen(latchlight_mqtt::QoS::AtLeastOnce).await;
    let (status, _) = server.get("/hello").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_warned_of() {
    let authority = Authority::new();
    for (days, message) in [
        (10, "the certificate expires soon"),
        (-1, "the certificate has expired: nobody who looks at it connects"),
    ] {
        let end = std::time::SystemTime::now() + std::time::Duration::from_secs(86_400 * 30);
        let (certificate, key) = authority.sign_with("localhost", |params| {
            let now = rcgen::date_time_ymd(1970, 1, 1)
                + end.duration_since(std::time::UNIX_EPOCH).unwrap();
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = now - std::time::Duration::from_secs(86_400 * (30 - days) as u64);
        });
        let server = Server::start_with(with_tls(&certificate, &key));
        server.logged(message).await;
        let (_, metrics) = server.bytes("/metrics").await;
        let metrics = String::from_utf8(metrics.to_vec()).unwrap();
        let name = "latchlight_tls_certificate_expiry_timestamp_seconds ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        let expires: f64 = line.unwrap().parse().unwrap();
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let left = (expires - since_1970.unwrap().as_secs_f64()) / 86_400.0;
        assert!((left - days as f64).abs() < 1.0, "{left}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_good_stops_the_start_and_its_setting_is_named() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (certificate, key) = authority.sign("localhost");
    let (_, another_key) = other.sign("another");
    let ca = authority.ca();
    let nowhere = PathBuf::from("nowhere.pem");
    for (certificate, key, client_ca, client_crl, named) in [
        (&nowhere, &key, None, None, "tls.certificate"),
        (&key, &key, None, None, "tls.certificate"),
        (&certificate, &nowhere, None, None, "tls.key"),
        (&certificate, &certificate, None, None, "tls.key"),
        (&certificate, &another_key, None, None, "tls.key"),
        (&certificate, &key, Some(&key), None, "tls.client_ca"),
        (&certificate, &key, Some(&ca), Some(&ca), "tls.client_crl"),
    ] {
        let mut settings = with_tls(certificate, key);
        settings["tls"]["client_ca"] = json!(client_ca);
        settings["tls"]["client_crl"] = json!(client_crl);
        let folder = configured(settings);
        let mut program =
            tokio::process::Command::from(program(&folder.path().join("config.json")));
        let ended = tokio::time::timeout(PATIENCE, program.kill_on_drop(true).output()).await;
        let ended = ended.expect("it does not start").unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        let last = said.lines().last().unwrap();
        assert!(!ended.status.success() && last.contains(named), "{named}: {last}");
        assert!(!said.contains("PRIVATE KEY"), "{said}");
    }
}

#[tokio::test]
async fn files_are_found_beside_config_json() {
    let authority = Authority::new();
    let folder = configured(with_tls(Path::new("tls/server.pem"), Path::new("tls/server.key")));
    let (certificate, key) = authority.sign("localhost");
    fs::create_dir(folder.path().join("tls")).unwrap();
    fs::copy(certificate, folder.path().join("tls/server.pem")).unwrap();
    fs::copy(key, folder.path().join("tls/server.key")).unwrap();
    let server = Server::start_in(folder);
    let mut app = TlsClient::of(&authority).connect(server.at("https")).unwrap();
    assert!(ask(&mut app, "/hello").starts_with("HTTP/1.1 200"));
}
