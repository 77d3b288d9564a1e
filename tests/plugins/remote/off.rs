//! Where config.json does not let plugins be installed from afar.

use latchlight_mqtt::QoS;
use serde_json::{Value, json};

use super::{Signer, edit, files, folder, put, remembered, report, speak};
use crate::harness::{Device, Server};

#[tokio::test]
async fn c29_nothing_is_installed_or_removed_unless_config_json_says_so() {
    let signer = Signer::new();
    let server = Server::start_in(folder(json!({ "plugins": { "keys": [signer.public()] } })));
    let (status, problem) = put(&server, "far", &signer.far("1.0.0")).await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(status == 403 && detail.contains("`plugins.remote_install` is off"), "{problem}");
    assert_eq!(server.delete("/api/v1/plugins/far").await, 403);
    for action in ["install_plugin", "load_plugin"] {
        let (status, problem) = server.post(&format!("/api/v1/actions/{action}")).await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(status == 403 && detail.contains("is off in config.json"), "{problem}");
    }
    let mut owner = Device::connect(server.mqtt(), server.app("owner-app").await).await;
    owner.subscribe("latchlight/apps/owner-app/down", QoS::AtLeastOnce).await;
    for words in ["install_plugin {}", "load_plugin far"] {
        owner.publish("latchlight/apps/owner-app/up", words, false).await;
        let said = owner.hear().await;
        assert!(said.starts_with("error ") && said.contains("is off in config.json"), "{said}");
    }
    // It stands once in the record: as what was wished of plugins.
    let of_app = async |kind: &str| {
        let path = format!("/api/v1/events?kind={kind}&actor=app:owner-app");
        let (_, body) = server.get(&path).await;
        body["events"].as_array().unwrap_or_else(|| panic!("{body}")).clone()
    };
    while of_app("plugin").await.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let twice = of_app("refusal").await;
    assert!(twice.is_empty(), "{twice:?}");
    assert!(files(&server.folder).is_empty());
    assert_eq!(remembered(&server.folder), Value::Null);
}

#[tokio::test]
async fn c29_what_was_installed_is_not_loaded_when_it_is_off_or_its_key_is_gone() {
    let signer = Signer::new();
    let server = signer.server();
    let far = signer.far("1.0.0");
    assert_eq!(put(&server, "far", &far).await.0, 201);
    let folder = server.stop();
    edit(&folder, |config| config["settings"]["plugins"]["remote_install"] = false.into());
    let server = Server::start_in(folder);
    assert_eq!(speak(&server).await.0, 404);
    let error = report(&server).await["error"].to_string();
    assert!(error.contains("`plugins.remote_install` is off"), "{error}");
    assert_eq!(files(&server.folder), [far.file("far")]);
    let folder = server.stop();
    let other = Signer::new().public();
    edit(&folder, |config| {
        config["settings"]["plugins"]["remote_install"] = true.into();
        config["settings"]["plugins"]["keys"] = json!([other]);
    });
    let server = Server::start_in(folder);
    assert_eq!(speak(&server).await.0, 404);
    let error = report(&server).await["error"].to_string();
    assert!(error.contains("no key of `plugins.keys`"), "{error}");
    assert_eq!(remembered(&server.folder)["far"]["version"], "1.0.0");
}
