//! `latchlight tls`: what it makes, for whom, and who may read it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Server, configured};
use crate::tls_client::{TlsClient, ask, is_let_on};

/// What the command said, or why not.
fn tls(arguments: &[&str], folder: &Path) -> Result<String, String> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_latchlight"));
    let config = folder.join("config.json");
    let output = program.arg("tls").args(arguments).arg("--config").arg(config).output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

/// What is in a folder, by its files' names.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

/// The settings that `tls init` says are to be added, on free ports.
fn printed(said: &str) -> Value {
    let mut settings: Value = serde_json::from_str(&said[said.find("\n{").unwrap()..]).unwrap();
    for section in ["http", "mqtt"] {
        settings[section]["tls_listen"] = "127.0.0.1:0".into();
    }
    settings
}

/// A server on what `tls init` has made and printed.
fn house() -> (Server, PathBuf) {
    let folder = TempDir::new().unwrap();
    let settings = printed(&tls(&["init"], folder.path()).unwrap());
    let serving = configured(settings);
    let made = serving.path().join("tls");
    fs::rename(folder.path().join("tls"), &made).unwrap();
    (Server::start_in(serving), made)
}

#[tokio::test]
async fn what_it_makes_and_prints_is_all_that_a_server_and_its_clients_need() {
    let (server, made) = house();
    let client = TlsClient::trusting(made.join("authority.pem"));
    let mut app = client.connect(server.at("https")).unwrap();
    assert!(ask(&mut app, "/hello").starts_with("HTTP/1.1 200"));
    assert!(is_let_on(&client, server.at("mqtts")));
    let shown = tls(&["show"], server.folder.path()).unwrap();
    assert!(
        shown.contains("for localhost, 127.0.0.1, ::1") && shown.contains("until 20"),
        "{shown}"
    );

    // The server takes the next one by itself.
    let before = client.certificate(server.at("https"));
    tls(&["renew", "--name", "localhost"], server.folder.path()).unwrap();
    server.logged("the certificate was read again").await;
    assert_ne!(client.certificate(server.at("https")), before);
    let shown = tls(&["show"], server.folder.path()).unwrap();
    assert!(shown.contains("for localhost; until"), "{shown}");
}

#[tokio::test]
async fn a_certificate_counts_for_what_it_was_made_for() {
    let (server, made) = house();
    tls(&["device", "front"], server.folder.path()).unwrap();
    let pair = |name: &str| (made.join(format!("{name}.pem")), made.join(format!("{name}.key")));
    let showing = |name| TlsClient::trusting(made.join("authority.pem")).shows(pair(name));
    assert!(is_let_on(&showing("device-front"), server.at("mqtts")));
    // A server's certificate is no device's, nor is the authority's own.
    assert!(!is_let_on(&showing("server"), server.at("mqtts")));
    assert!(!is_let_on(&showing("authority"), server.at("mqtts")));
    // Nor is a device's one a server's: what it shows is for no name.
    let (certificate, key) = pair("device-front");
    fs::copy(certificate, made.join("server.pem")).unwrap();
    fs::copy(key, made.join("server.key")).unwrap();
    server.logged("the certificate was read again").await;
    let refused = TlsClient::trusting(made.join("authority.pem")).connect(server.at("https"));
    assert!(refused.is_err());
}

#[tokio::test]
async fn c25_a_certificate_that_is_taken_back_opens_nothing_within_seconds() {
    let (server, made) = house();
    let sign = |id: &str| {
        tls(&["device", id], server.folder.path()).unwrap();
        // What the device has of it, wherever it is.
        let kept = TempDir::new().unwrap();
        for ending in ["pem", "key"] {
            let name = format!("device-{id}.{ending}");
            fs::copy(made.join(&name), kept.path().join(format!("own.{ending}"))).unwrap();
        }
        kept
    };
    let opens = |kept: &TempDir| {
        let own = (kept.path().join("own.pem"), kept.path().join("own.key"));
        let client = TlsClient::trusting(made.join("authority.pem")).shows(own);
        is_let_on(&client, server.at("mqtts"))
    };
    let (front, garden, shed) = (sign("front"), sign("garden"), sign("shed"));
    assert!(opens(&front) && opens(&garden) && opens(&shed));
    for (id, opened) in [("front", [false, true, true]), ("shed", [false, true, false])] {
        tls(&["revoke", id], server.folder.path()).unwrap();
        server.logged("the certificate was read again").await;
        assert_eq!([opens(&front), opens(&garden), opens(&shed)], opened);
    }
    assert!(tls(&["revoke", "front"], server.folder.path()).is_err());
    assert!(opens(&sign("front")) && !opens(&front));
    // A list that is none is not begun anew.
    fs::write(made.join("revoked.pem"), "torn").unwrap();
    let why = tls(&["revoke", "garden"], server.folder.path()).unwrap_err();
    assert!(why.contains("no list of the revoked"), "{why}");
    assert!(made.join("device-garden.pem").exists());
}

#[test]
fn keys_are_for_their_owner_alone_and_nothing_is_overwritten() {
    let folder = TempDir::new().unwrap();
    let said = tls(&["init", "--name", "home.example"], folder.path()).unwrap();
    assert!(said.contains("for home.example, localhost") && !said.contains("PRIVATE"), "{said}");
    tls(&["device", "front"], folder.path()).unwrap();
    let made = folder.path().join("tls");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&made), 0o700);
    let before = contents(&made);
    assert_eq!(before.len(), 7);
    for file in before.keys().filter(|file| file.extension().unwrap() == "key") {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    for again in [&["init"][..], &["device", "front"]] {
        let why = tls(again, folder.path()).unwrap_err();
        assert!(why.contains("there already"), "{why}");
    }
    // Half of a pair is in the way, too.
    fs::remove_file(made.join("device-front.pem")).unwrap();
    assert!(tls(&["device", "front"], folder.path()).is_err());
    fs::write(made.join("device-front.pem"), &before[&made.join("device-front.pem")]).unwrap();
    assert_eq!(contents(&made), before);
}

#[test]
fn what_it_cannot_do_it_says() {
    let folder = TempDir::new().unwrap();
    for (arguments, why) in [
        (&["device", "front"][..], "latchlight tls init"),
        (&["renew"], "latchlight tls init"),
        (&["device", "../front"], "../front"),
        (&["device", "Front Door"], "Front Door"),
        (&["init", "--name", "not a host"], "neither a host's name nor an address"),
    ] {
        let said = tls(arguments, folder.path()).unwrap_err();
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
    assert!(!folder.path().join("tls").exists());
}
