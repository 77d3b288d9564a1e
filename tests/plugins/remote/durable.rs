//! What is there after a restart, and after a kill at a bad moment.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Signer, claim, edit, files, put, putting, remembered, report, speak};
use crate::harness::Server;
use crate::libraries::versioned;

#[tokio::test]
async fn c29_what_was_installed_is_there_after_kill_9_and_what_was_removed_is_not() {
    let signer = Signer::new();
    let server = signer.server();
    let far = signer.far("1.0.0");
    assert_eq!(put(&server, "far", &far).await.0, 201);
    let server = Server::start_in(server.kill());
    assert_eq!(speak(&server).await, (200, json!("far 1.0.0")));
    assert_eq!(report(&server).await["installed"], true);
    assert_eq!(server.delete("/api/v1/plugins/far").await, 204);
    let server = Server::start_in(server.kill());
    assert_eq!(speak(&server).await.0, 404);
    assert!(files(&server.folder).is_empty());
}

#[tokio::test]
async fn c29_kill_9_in_the_middle_of_an_install_leaves_nothing_behind() {
    let signer = Signer::new();
    let server = signer.server();
    let old = signer.far("1.0.0");
    assert_eq!(put(&server, "far", &old).await.0, 201);
    let gate = tempfile::tempdir().unwrap();
    let hold = gate.path().join("hold");
    let words = [
        ("NAME", "far"),
        ("VERSION", "2.0.0"),
        ("ACTION", "far_speak"),
        ("HOLD", hold.to_str().unwrap()),
    ];
    let library = versioned(&format!("held-{}.so", std::process::id()), &words);
    let new = signer.sign(&std::fs::read(library).unwrap(), &claim("far", "2.0.0"));
    let sent = tokio::spawn(putting(&server, "far", &new).await.send());
    while !gate.path().join("hold.began").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // It is written, and being started; nobody was told that it is installed.
    assert_eq!(files(&server.folder).len(), 2);
    let folder = server.kill();
    assert!(sent.await.unwrap().is_err());
    assert!(files(&folder).contains(&new.file("far")));
    // And one that was killed while it was written.
    std::fs::write(folder.path().join("plugins/.plugin-x.unfinished"), "half").unwrap();
    let server = Server::start_in(folder);
    assert_eq!(files(&server.folder), [old.file("far")]);
    assert_eq!(remembered(&server.folder)["far"]["version"], "1.0.0");
    assert_eq!(speak(&server).await, (200, json!("far 1.0.0")));
}

#[tokio::test]
async fn c29_a_restart_loads_exactly_what_was_installed() {
    let signer = Signer::new();
    let server = signer.server();
    let (old, new) = (signer.far("1.0.0"), signer.far("1.1.0"));
    assert_eq!(put(&server, "far", &new).await.0, 201);
    let mut folder = server.stop();
    let file = folder.path().join("plugins").join(new.file("far"));
    let mut altered = new.bytes.clone();
    altered.push(0);
    for other in [&altered, &old.bytes] {
        std::fs::write(&file, other).unwrap();
        let server = Server::start_in(folder);
        assert_eq!(speak(&server).await.0, 404);
        let report = report(&server).await;
        let error = report["error"].to_string();
        assert!(error.contains("changed after it was installed"), "{error}");
        assert_eq!(report["state"], "declared");
        folder = server.stop();
    }
    // The older one by its own name, passed off as the newer.
    std::fs::write(folder.path().join("plugins").join(old.file("far")), &old.bytes).unwrap();
    edit(&folder, |config| {
        let far = &mut config["state"]["plugins"]["far"];
        far["sha256"] = old.sha256().into();
        far["signature"] = old.signature.clone().into();
    });
    let server = Server::start_in(folder);
    assert_eq!(speak(&server).await.0, 404);
    let error = report(&server).await["error"].to_string();
    assert!(error.contains("it is version 1.0.0"), "{error}");
    // Installed anew, it is whole again.
    let (status, answer) = put(&server, "far", &new).await;
    assert_eq!(status, 422, "{answer}");
    assert_eq!(server.delete("/api/v1/plugins/far").await, 204);
    assert_eq!(put(&server, "far", &new).await.0, 201);
    assert_eq!(speak(&server).await, (200, json!("far 1.1.0")));
    assert_eq!(files(&server.folder), [new.file("far")]);
}

#[tokio::test]
async fn c28_a_state_that_cannot_be_saved_is_an_error_and_nothing_is_installed() {
    let signer = Signer::new();
    let server = signer.server();
    // What cannot be parsed is not overwritten; but what the start has to save
    // may be under way.
    let config = server.folder.path().join("config.json");
    let whole = loop {
        let whole = std::fs::read_to_string(&config).unwrap();
        if whole.contains("load_plugin") {
            break whole;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    std::fs::write(&config, "{ torn").unwrap();
    let (status, problem) = put(&server, "far", &signer.far("1.0.0")).await;
    assert_eq!(status, 503, "{problem}");
    assert_eq!(speak(&server).await.0, 404);
    assert!(files(&server.folder).is_empty());
    std::fs::write(&config, whole).unwrap();
    assert_eq!(put(&server, "far", &signer.far("1.0.0")).await.0, 201);
    assert_ne!(remembered(&server.folder), Value::Null);
}
