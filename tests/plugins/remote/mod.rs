//! Plugins from afar [C29]: who may install which, what is refused, and what
//! is there after a restart; over the real surfaces, with real libraries.

mod command_line;
mod durable;
mod off;
mod over_http;
mod over_mqtt;
mod owners;
mod refused;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use latchlight::config::Sha256Hex;
use minisign::KeyPair;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Server, configured};

/// Somebody with a key that config.json names, or does not.
pub(super) struct Signer(KeyPair);

/// A library and its signature.
#[derive(Clone)]
pub(super) struct Package {
    pub(super) bytes: Vec<u8>,
    pub(super) signature: String,
}

impl Signer {
    pub(super) fn new() -> Self {
        Self(KeyPair::generate_unencrypted_keypair().unwrap())
    }

    /// As it stands in `plugins.keys`.
    pub(super) fn public(&self) -> String {
        self.0.pk.to_base64()
    }

    /// Signs bytes with a trusted comment of any kind.
    pub(super) fn sign(&self, bytes: &[u8], comment: &str) -> Package {
        let signed = minisign::sign(None, &self.0.sk, bytes, Some(comment), None).unwrap();
        Package { bytes: bytes.to_owned(), signature: signed.into_string() }
    }

    /// Signs a library as it should be.
    pub(super) fn package(&self, library: &Path, name: &str, version: &str) -> Package {
        self.sign(&std::fs::read(library).unwrap(), &claim(name, version))
    }

    /// The plugin `far` of this version.
    pub(super) fn far(&self, version: &str) -> Package {
        self.package(&crate::libraries::far(version), "far", version)
    }

    /// Settings that let plugins of this key be installed.
    pub(super) fn settings(&self) -> Value {
        json!({ "plugins": {
            "remote_install": true, "keys": [self.public()], "time_limit_ms": 20_000 } })
    }

    /// A server with these settings.
    pub(super) fn server(&self) -> Server {
        Server::start_with(self.settings())
    }
}

impl Package {
    pub(super) fn sha256(&self) -> String {
        Sha256Hex::of(&self.bytes).as_str().to_owned()
    }

    /// The name that its file has in the plugin folder.
    pub(super) fn file(&self, name: &str) -> String {
        format!("{name}-{}.so", self.sha256())
    }
}

pub(super) fn claim(name: &str, version: &str) -> String {
    let (machine, system) = (std::env::consts::ARCH, std::env::consts::OS);
    format!("latchlight-plugin name={name} version={version} target={machine}-{system} api=1")
}

/// A request of the owner's.
async fn request(server: &Server, method: Method, path: &str) -> RequestBuilder {
    server.request(method, path).await
}

/// A package on its way to `/api/v1/plugins/<name>`.
pub(super) async fn putting(server: &Server, name: &str, package: &Package) -> RequestBuilder {
    let header = STANDARD.encode(&package.signature);
    let request = request(server, Method::PUT, &format!("/api/v1/plugins/{name}")).await;
    request.header("plugin-signature", header).body(package.bytes.clone())
}

/// Sends a package there.
pub(super) async fn put(server: &Server, name: &str, package: &Package) -> (u16, Value) {
    answer(putting(server, name, package).await).await
}

/// These words on their way to an action.
pub(super) async fn saying(server: &Server, action: &str, words: String) -> RequestBuilder {
    let request = request(server, Method::POST, &format!("/api/v1/actions/{action}")).await;
    request.header("content-type", "text/plain").body(words)
}

/// Has an action performed, with these words.
pub(super) async fn say_to(server: &Server, action: &str, words: &str) -> (u16, Value) {
    answer(saying(server, action, words.to_owned()).await).await
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or(Value::Null))
}

/// What the plugin `far` says.
pub(super) async fn speak(server: &Server) -> (u16, Value) {
    let (status, body) = server.post("/api/v1/actions/far_speak").await;
    (status, body["text"].clone())
}

/// The files of the plugin folder, by name; none where there is no folder.
pub(super) fn files(folder: &TempDir) -> Vec<String> {
    let Ok(files) = folder.path().join("plugins").read_dir() else { return Vec::new() };
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// The plugins that the state remembers.
pub(super) fn remembered(folder: &TempDir) -> Value {
    let config = std::fs::read(folder.path().join("config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    config["state"]["plugins"].clone()
}

/// Changes config.json of a server that does not run.
pub(super) fn edit(folder: &TempDir, change: impl FnOnce(&mut Value)) {
    let path: PathBuf = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    std::fs::write(path, config.to_string()).unwrap();
}

/// What the server says of the plugin `far`.
pub(super) async fn report(server: &Server) -> Value {
    let (_, body) = server.get("/api/v1/plugins").await;
    let plugins = body["plugins"].as_array().unwrap();
    plugins.iter().find(|plugin| plugin["name"] == "far").cloned().unwrap_or(Value::Null)
}

/// A server's folder, where no plugin was installed yet.
pub(super) fn folder(settings: Value) -> TempDir {
    configured(settings)
}
