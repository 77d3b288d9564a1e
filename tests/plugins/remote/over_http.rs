//! Installed over HTTP, called, replaced while it is called, removed.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Signer, files, put, remembered, report, say_to, saying, speak};
use crate::libraries::in_rust;

#[tokio::test]
async fn c29_a_signed_plugin_is_installed_called_remembered_and_removed() {
    let signer = Signer::new();
    let server = signer.server();
    let far = signer.far("1.0.0");
    let (status, installed) = put(&server, "far", &far).await;
    assert_eq!(status, 201, "{installed}");
    assert_eq!(
        installed,
        json!({ "name": "far", "version": "1.0.0", "file": far.file("far"),
            "sha256": far.sha256(), "actions": ["far_speak"], "replaced": null })
    );
    assert_eq!(speak(&server).await, (200, json!("far 1.0.0")));
    let report = report(&server).await;
    assert_eq!((&report["installed"], &report["state"]), (&json!(true), &json!("started")));
    assert_eq!(files(&server.folder), [far.file("far")]);
    let file = server.folder.path().join("plugins").join(far.file("far"));
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        remembered(&server.folder),
        json!({ "far": { "version": "1.0.0", "sha256": far.sha256(), "signature": far.signature } })
    );

    assert_eq!(server.delete("/api/v1/plugins/far").await, 204);
    assert_eq!(speak(&server).await.0, 404);
    assert_eq!(super::report(&server).await, Value::Null);
    assert!(files(&server.folder).is_empty());
    assert_eq!(remembered(&server.folder), Value::Null);
    assert_eq!(server.delete("/api/v1/plugins/far").await, 404);
}

#[tokio::test]
async fn c29_a_newer_version_takes_its_place_and_calls_under_way_finish_on_the_old_one() {
    let signer = Signer::new();
    let server = signer.server();
    let (old, new) = (signer.far("1.0.0"), signer.far("1.10.0"));
    assert_eq!(put(&server, "far", &old).await.0, 201);
    let gate = tempfile::tempdir().unwrap();
    let (open, began) = (gate.path().join("open"), gate.path().join("open.began"));
    let words = format!("wait {}", open.display());
    let call = tokio::spawn(saying(&server, "far_speak", words).await.send());
    while !began.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (status, installed) = put(&server, "far", &new).await;
    assert_eq!((status, &installed["replaced"]), (200, &json!("1.0.0")), "{installed}");
    assert_eq!(speak(&server).await, (200, json!("far 1.10.0")));
    assert_eq!(files(&server.folder), [new.file("far")]);
    std::fs::write(&open, "").unwrap();
    let answer: Value = call.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(answer, json!({ "text": "far 1.0.0" }));
    assert_eq!(remembered(&server.folder)["far"]["version"], "1.10.0");
}

#[tokio::test]
async fn c29_an_installed_plugin_may_do_what_config_json_grants_it_by_name_and_nothing_else() {
    let signer = Signer::new();
    let rude = signer.package(&in_rust("rude"), "rude", env!("CARGO_PKG_VERSION"));
    let server = signer.server();
    assert_eq!(put(&server, "rude", &rude).await.0, 201);
    let mut front = crate::harness::Device::join(&server, "front", "lock").await;
    let unlock = "rude_unlock";
    let (status, problem) = say_to(&server, unlock, "front").await;
    assert_eq!(status, 403, "{problem}");
    front.hears_nothing_for(Duration::from_millis(200)).await;
    drop(front);
    let folder = server.stop();
    super::edit(&folder, |config| {
        config["settings"]["plugins"]["installed"] = json!({ "rude": { "grants": {
            "commands": [{ "actions": ["unlock"], "devices": ["front"] }] } } });
    });
    let server = crate::harness::Server::start_in(folder);
    let mut front =
        crate::harness::Device::join(&server, "front", r#"lock {"features": ["ack"]}"#).await;
    let (answer, ()) = tokio::join!(say_to(&server, unlock, "front"), async {
        let (_, id, _) = front.hear_command().await;
        front.say(&format!("ack {id} ok")).await;
    });
    assert_eq!(answer, (200, json!({ "text": "front confirmed" })));
}

#[tokio::test]
async fn c27_who_installed_and_removed_what_and_what_was_refused_is_on_record() {
    let (signer, other) = (Signer::new(), Signer::new());
    let server = signer.server();
    let far = signer.far("1.0.0");
    assert_eq!(put(&server, "far", &other.far("1.0.0")).await.0, 403);
    assert_eq!(put(&server, "far", &far).await.0, 201);
    assert_eq!(server.delete("/api/v1/plugins/far").await, 204);
    let events = loop {
        let (_, body) = server.get("/api/v1/events?kind=plugin").await;
        let events = body["events"].as_array().unwrap().clone();
        if events.len() == 3 {
            break events;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let of = |action: &str, result: &str| {
        let is_it = |event: &&Value| event["action"] == action && event["result"] == result;
        let event = events.iter().find(is_it).unwrap_or_else(|| panic!("{events:?}"));
        assert_eq!(event["through"], "http", "{event}");
        event["detail"].as_str().unwrap().to_owned()
    };
    let what = format!("far 1.0.0, SHA-256 {}", far.sha256());
    assert_eq!((of("install", "ok"), of("remove", "ok")), (what.clone(), what));
    assert_eq!(of("install", "refused"), "far: no key of `plugins.keys` has made this signature");
}
