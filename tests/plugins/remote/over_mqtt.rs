//! Sent in pieces over MQTT.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use latchlight::console::Console;
use latchlight_mqtt::{Connect, ProtocolVersion, QoS};
use serde_json::{Value, json};

use super::{Package, Signer, claim, files, remembered, speak};
use crate::harness::{Device, Server};

/// How many bytes go into a piece.
const PIECE: usize = 4000;

/// An owner's app over MQTT.
struct App {
    connection: Device,
    up: String,
}

impl App {
    async fn connect(server: &Server, name: &str) -> Self {
        Self::connect_with(server, name, server.app(name).await).await
    }

    async fn connect_with(server: &Server, name: &str, connect: Connect) -> Self {
        let mut connection = Device::connect(server.mqtt(), connect).await;
        connection.subscribe(&format!("latchlight/apps/{name}/down"), QoS::AtLeastOnce).await;
        Self { connection, up: format!("latchlight/apps/{name}/up") }
    }

    async fn say(&mut self, words: String) -> String {
        self.connection.publish(&self.up, words, false).await;
        self.connection.hear().await
    }

    async fn announce(&mut self, package: &Package) -> String {
        let size = package.bytes.len();
        self.announce_as(&package.sha256(), size, package).await
    }

    async fn announce_as(&mut self, sha256: &str, size: usize, package: &Package) -> String {
        let signature = &package.signature;
        let said = json!({ "name": "far", "sha256": sha256, "size": size, "signature": signature });
        self.say(format!("install_plugin {said}")).await
    }

    async fn piece(&mut self, sha256: &str, offset: usize, data: &[u8]) -> String {
        let data = STANDARD.encode(data);
        let said = json!({ "sha256": sha256, "offset": offset, "data": data });
        self.say(format!("install_plugin {said}")).await
    }

    /// Sends all pieces; gives what is said to the last one.
    async fn send(&mut self, sha256: &str, bytes: &[u8]) -> String {
        let mut said = String::new();
        for (number, piece) in bytes.chunks(PIECE).enumerate() {
            said = self.piece(sha256, number * PIECE, piece).await;
        }
        said
    }
}

#[tokio::test]
async fn c29_a_plugin_comes_in_pieces_and_is_loaded_when_it_is_said() {
    let signer = Signer::new();
    let server = signer.server();
    let far = signer.far("1.0.0");
    let (sha256, size) = (far.sha256(), far.bytes.len());
    let mut owner = App::connect(&server, "owner-app").await;
    assert_eq!(owner.announce(&far).await, format!("ok install_plugin far 0 of {size}"));
    let whole = format!("ok install_plugin far {size} of {size}: say load_plugin");
    assert_eq!(owner.send(&sha256, &far.bytes).await, whole);
    // A piece that comes twice does no harm, also after the last.
    assert_eq!(owner.piece(&sha256, 0, &far.bytes[..PIECE]).await, whole);
    assert_eq!(files(&server.folder), [far.file("far")]);
    assert_eq!(speak(&server).await.0, 404);
    let loaded = "ok load_plugin far 1.0.0: far_speak";
    assert_eq!(owner.say("load_plugin far".to_owned()).await, loaded);
    assert_eq!(owner.say("load_plugin far".to_owned()).await, loaded);
    assert_eq!(speak(&server).await, (200, json!("far 1.0.0")));
    assert_eq!(remembered(&server.folder)["far"]["version"], "1.0.0");
    let server = Server::start_in(server.kill());
    assert_eq!(speak(&server).await, (200, json!("far 1.0.0")));
}

#[tokio::test]
async fn c29_pieces_that_are_cut_missing_or_anothers_are_refused() {
    let signer = Signer::new();
    let server = signer.server();
    let far = signer.far("1.0.0");
    let (sha256, size) = (far.sha256(), far.bytes.len());
    let mut owner = App::connect(&server, "owner-app").await;
    let mut other = App::connect(&server, "other").await;
    let said = owner.piece(&sha256, 0, &far.bytes[..PIECE]).await;
    assert!(said.contains("no such library was announced"), "{said}");
    owner.announce(&far).await;
    let first = format!("ok install_plugin far {PIECE} of {size}");
    assert_eq!(owner.piece(&sha256, 0, &far.bytes[..PIECE]).await, first);
    assert_eq!(owner.piece(&sha256, 0, &far.bytes[..PIECE]).await, first);
    // The announcement again says how far it came: an app goes on from there.
    assert_eq!(owner.announce(&far).await, first);
    let said = owner.piece(&sha256, PIECE * 2, &far.bytes[..PIECE]).await;
    assert!(said.ends_with(&format!("the next begins at {PIECE}")), "{said}");
    let said = owner.piece(&sha256, 1, &far.bytes[..PIECE]).await;
    assert!(said.contains("other bytes came at 1"), "{said}");
    let said = owner.piece(&sha256, PIECE, &vec![0; size]).await;
    assert!(said.contains(&format!("more than the {size} bytes")), "{said}");
    let said = owner.say(r#"install_plugin {"sha256": "00", "offset": 1, "data": "AA=="}"#.into());
    assert!(said.await.contains("64 hexadecimal digits"));
    let data = json!({ "sha256": sha256, "offset": PIECE, "data": "!" });
    assert!(owner.say(format!("install_plugin {data}")).await.contains("no base64"));
    // Neither goes on with it nor loads it who has not begun it.
    let said = other.piece(&sha256, PIECE, &far.bytes[PIECE..PIECE + 1]).await;
    assert!(said.contains("no such library was announced"), "{said}");
    // Half of it is nothing that can be loaded.
    let said = owner.say("load_plugin far".to_owned()).await;
    assert!(said.starts_with("error load_plugin no far has come"), "{said}");
    assert!(files(&server.folder).is_empty());
    for (number, piece) in far.bytes.chunks(PIECE).enumerate().skip(1) {
        owner.piece(&sha256, number * PIECE, piece).await;
    }
    let said = other.say("load_plugin far".to_owned()).await;
    assert!(said.starts_with("error load_plugin no far has come"), "{said}");
    assert_eq!(
        owner.say("load_plugin far".to_owned()).await,
        "ok load_plugin far 1.0.0: far_speak"
    );
}

#[tokio::test]
async fn c29_what_comes_in_pieces_is_checked_as_what_comes_whole() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let server = signer.server();
    let far = signer.far("1.0.0");
    let size = far.bytes.len();
    let mut owner = App::connect(&server, "owner-app").await;
    // Known before a byte has come.
    let other = signer.sign(&far.bytes, &claim("near", "1.0.0"));
    assert!(owner.announce(&other).await.contains("signed as near, not as far"));
    let said = owner.announce_as(&far.sha256(), 100_000_000, &far).await;
    assert!(said.contains("more than 16777216 bytes"), "{said}");
    // Known when all have.
    let foreign = stranger.far("1.0.0");
    owner.announce(&foreign).await;
    let said = owner.send(&foreign.sha256(), &foreign.bytes).await;
    assert!(said.contains("no key of `plugins.keys`"), "{said}");
    let wrong = "00".repeat(32);
    owner.announce_as(&wrong, size, &far).await;
    let said = owner.send(&wrong, &far.bytes).await;
    assert!(said.contains("another one was announced"), "{said}");
    owner.announce_as(&far.sha256(), size - 1, &far).await;
    let said = owner.send(&far.sha256(), &far.bytes[..size - 1]).await;
    assert!(said.contains("is not of these bytes"), "{said}");
    assert!(files(&server.folder).is_empty());
    let said = owner.say("load_plugin far".to_owned()).await;
    assert!(said.starts_with("error load_plugin"), "{said}");
    assert_eq!(remembered(&server.folder), Value::Null);
    assert_eq!(speak(&server).await.0, 404);
}

#[tokio::test]
async fn c29_a_device_sends_no_plugin() {
    let signer = Signer::new();
    let server = signer.server();
    let mut front = Device::join(&server, "front", "lock").await;
    for words in ["install_plugin {}", "load_plugin far"] {
        front.say(words).await;
        let said = front.hear().await;
        assert!(said.starts_with("error ") && said.contains("a device may not"), "{said}");
    }
}

#[tokio::test]
async fn c29_an_app_without_the_scope_admin_sends_no_plugin() {
    let signer = Signer::new();
    let server = signer.server();
    let console = Console::connect(&server.config_path()).await.unwrap();
    let body = json!({ "name": "helper", "scopes": "devices:read locks:operate lights:operate" });
    let key = console.post("/api/v1/api-keys", &body).await.unwrap();
    let mut connect = Connect::new(ProtocolVersion::V5, "helper");
    connect.username = Some("helper".into());
    connect.password = Some(key["secret"].as_str().unwrap().to_owned().into());
    let mut helper = App::connect_with(&server, "helper", connect).await;
    let said = helper.announce(&signer.far("1.0.0")).await;
    assert_eq!(said, "error install_plugin helper lacks the scope `admin`");
    let said = helper.say("load_plugin far".to_owned()).await;
    assert_eq!(said, "error load_plugin helper lacks the scope `admin`");
    assert!(files(&server.folder).is_empty());
}
