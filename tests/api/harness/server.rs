//! A server of its own for each test.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use latchlight::config::Settings;
use latchlight::console::Console;
use latchlight::startup::Application;
use latchlight::state::ConfigFile;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{leaks, postgres_server, secrets};

use super::{Answer, Device, EventStream, Manner, PATIENCE, log};

/// The password of `owner`.
pub(crate) const PASSWORD: &str = "a door of one's own";

pub(crate) struct Server {
    folder: Arc<tempfile::TempDir>,
    pub(crate) http: SocketAddr,
    pub(crate) mqtt: SocketAddr,
    /// Signed in as the owner.
    pub(crate) client: reqwest::Client,
    /// Signed in as nobody.
    pub(crate) stranger: reqwest::Client,
    /// The owner's access token.
    pub(crate) token: String,
    logged: log::Since,
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(json!({})).await
    }

    /// With these settings over the ones that every test needs.
    pub(crate) async fn start_with(settings: Value) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let mut all = json!({
            "http": { "listen": "127.0.0.1:0" },
            "mqtt": { "listen": "127.0.0.1:0" },
        });
        // Where the run is to have its databases in PostgreSQL.
        if postgres_server::is_wanted() {
            let url = postgres_server::shared().new_database().await;
            merge(&mut all, json!({ "database": { "url": url } }));
        }
        merge(&mut all, settings);
        let config = folder.path().join("config.json");
        std::fs::write(&config, json!({ "settings": all, "state": {} }).to_string()).unwrap();
        Self::start_in(folder).await
    }

    /// On the config file and the data that stand in this folder.
    pub(crate) async fn start_in(folder: Arc<tempfile::TempDir>) -> Self {
        let file = ConfigFile::new(folder.path().join("config.json"));
        let settings = Settings::load(&file.read().unwrap().settings).unwrap();
        let logged = log::begin(&settings.log);
        let application = Application::build(settings, file, || {}, Some(PASSWORD.to_owned()));
        let application = application.await.unwrap();
        let http = application.http_address().expect("HTTP listens");
        let mqtt = application.mqtt_addresses().mqtt;
        let stop = CancellationToken::new();
        let running = tokio::spawn(application.run_until_stopped(stop.clone()));
        let stranger = client_with(None);
        let form = [("grant_type", "password"), ("username", "owner"), ("password", PASSWORD)];
        let request = stranger.post(format!("http://{http}/oauth/token")).form(&form);
        // It leaves no connection behind.
        let token = request.header("connection", "close").send();
        let token: Value = token.await.unwrap().json().await.unwrap();
        let token = token["access_token"].as_str().unwrap().to_owned();
        leaks::note(folder.path(), PASSWORD);
        leaks::note(folder.path(), &token);
        let client = client_with(Some(&token));
        // Nowhere, where the broker is an outside one.
        let mqtt = mqtt.unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
        Self { folder, http, mqtt, client, stranger, token, logged, stop, running }
    }

    /// What a device shows to be let in.
    pub(crate) async fn device_secret(&self, id: &str) -> String {
        secrets::of_device(&self.folder().join("config.json"), id).await
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops, and gives what it leaves behind.
    pub(crate) async fn stop_and_keep(self) -> Arc<tempfile::TempDir> {
        let folder = self.folder.clone();
        self.stop().await;
        folder
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.client.get(self.url(path))).await
    }

    pub(crate) async fn post(&self, path: &str) -> Answer {
        self.send(self.client.post(self.url(path))).await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.send(self.client.post(self.url(path)).json(body)).await
    }

    pub(crate) async fn post_form(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(self.stranger.post(self.url(path)).form(form)).await
    }

    /// What the token endpoint gives for the owner's password.
    pub(crate) async fn sign_in(&self) -> Value {
        self.sign_in_as("owner", PASSWORD).await
    }

    pub(crate) async fn sign_in_as(&self, name: &str, password: &str) -> Value {
        let form = [("grant_type", "password"), ("username", name), ("password", password)];
        let answer = self.post_form("/oauth/token", &form).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// GET with this as the bearer's token.
    pub(crate) async fn get_as(&self, token: &str, path: &str) -> Answer {
        self.send(self.stranger.get(self.url(path)).bearer_auth(token)).await
    }

    /// A stream of events with this query, as whoever shows this token.
    pub(crate) async fn stream_as(&self, token: &str, query: &str) -> EventStream {
        let url = self.url(&format!("/api/v1/events/stream{query}"));
        EventStream::open(self.stranger.get(url).bearer_auth(token)).await
    }

    /// The owner's.
    pub(crate) async fn stream(&self, query: &str) -> EventStream {
        self.stream_as(&self.token, query).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.client.delete(self.url(path))).await
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let (client, request) = request.build_split();
        let request = request.unwrap();
        leaks::note_request(self.folder(), &request);
        let is_record = request.url().path().starts_with("/api/v1/events");
        let answer = Answer::read(client.execute(request).await.unwrap()).await;
        leaks::note_answer(self.folder(), answer.status, &answer.headers, &answer.body);
        if is_record {
            leaks::look_at(self.folder(), "the record", &answer.body);
        }
        answer
    }

    /// A lock that has joined and said that it is unlocked.
    pub(crate) async fn lock(&self, id: &str, manner: Manner) -> Device {
        Device::join(self, id, "lock", "unlocked", manner).await
    }

    /// A light that has joined and said that it is off.
    pub(crate) async fn light(&self, id: &str, manner: Manner) -> Device {
        Device::join(self, id, "light", "off", manner).await
    }

    /// A camera that has joined.
    pub(crate) async fn camera(&self, id: &str) -> Device {
        Device::join(self, id, "camera", "watching", Manner::Obeys).await
    }

    /// Stops as a signal would, and waits until it has.
    pub(crate) async fn stop(self) {
        self.look_at_record().await;
        self.begin_to_stop();
        self.stopped().await;
    }

    pub(crate) fn begin_to_stop(&self) {
        self.stop.cancel();
    }

    pub(crate) async fn stopped(self) {
        // The database's newest is in its WAL, which the stop takes away.
        leaks::look_in(self.folder.path());
        let stopped = tokio::time::timeout(PATIENCE * 2, self.running).await;
        stopped.expect("the server stops").unwrap().unwrap();
        leaks::look_in(self.folder.path());
        leaks::look_at(self.folder.path(), "the log", &log::read(&self.logged));
    }

    /// The whole record, where the server can still be asked for it.
    async fn look_at_record(&self) {
        let config = self.folder().join("config.json");
        let Ok(console) = Console::connect(&config).await else { return };
        if let Ok(record) = console.get("/api/v1/events?limit=1000").await {
            leaks::look_at(self.folder(), "the record", record.to_string().as_bytes());
        }
    }
}

/// A client that shows this token with each request.
fn client_with(token: Option<&str>) -> reqwest::Client {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    }
    let client = reqwest::Client::builder().default_headers(headers).timeout(PATIENCE);
    client.no_proxy().build().unwrap()
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
