//! A store in a Redis server over TLS: a real one, whose certificate is signed
//! by an authority that the system trusts, or does not.
#![allow(clippy::unwrap_used)]

mod support;

use std::process::Command;

use support::{Authority, Folder, Redis, Running, program, text};

/// The program, in a system that trusts who signed the certificates in this
/// folder.
fn trusting(folder: &Folder) -> Command {
    let mut program = program();
    program.env("SSL_CERT_FILE", folder.path("ca.pem")).env_remove("SSL_CERT_DIR");
    program
}

#[test]
fn what_was_kept_over_tls_outlives_the_broker() {
    let folder = Folder::new();
    Authority::new(&folder).sign(&folder, "redis");
    let redis = Redis::start_with_tls(&folder, "redis");
    let arguments = ["--port", "0", "--allow-anonymous", "--store", &redis.url()];
    let mut running = Running::start_by(&mut trusting(&folder), &arguments);
    assert!(running.publish(&["-t", "door", "-m", "locked", "-r"]));
    running.signal("KILL");
    running.wait();
    let running = Running::start_by(&mut trusting(&folder), &arguments);
    assert_eq!(running.subscribe(&["-t", "door"]).next(), "door locked");
}

#[test]
fn nothing_is_said_to_one_whose_certificate_is_not_trusted_or_names_another() {
    let (folder, stranger) = (Folder::new(), Folder::new());
    let authority = Authority::new(&folder);
    authority.sign(&folder, "redis");
    Authority::new(&stranger);
    authority.sign_with(&folder, "other", |params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("other".try_into().unwrap())];
    });
    for (certificate, trusted) in [("redis", &stranger), ("other", &folder)] {
        let redis = Redis::start_with_tls(&folder, certificate);
        let store = redis.url().replace("rediss://", "rediss://:secret@");
        let arguments = ["--port", "0", "--allow-anonymous", "--store", &store];
        let output = trusting(trusted).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert!(said.contains("the broker's store") && said.contains("certificate"), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}
