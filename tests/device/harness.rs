//! A server of each test's own, devices that speak to it, and an app.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use latchlight_client::Connection;
use latchlight_mqtt::{
    Connect, Packet, PacketId, ProtocolVersion, PubAck, Publish, QoS, ReasonCode, Subscribe,
    SubscribeFilter, SubscriptionOptions,
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, timeout};

use crate::{leaks, secrets};

/// Longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The password of `owner`.
pub(crate) const PASSWORD: &str = "a door of one's own";

/// The program, serving on free ports from a folder of its own.
pub(crate) struct Server {
    child: Child,
    pub(crate) folder: TempDir,
    pub(crate) http: String,
    pub(crate) mqtt: Option<String>,
    /// Where else it listens, by `https`, `mqtts`, `ws`, `wss`.
    ready: Value,
    log: Mutex<mpsc::UnboundedReceiver<Value>>,
    /// Everything that it has logged, to be searched for secrets.
    whole_log: Arc<std::sync::Mutex<String>>,
    close_log: Arc<AtomicBool>,
    app: reqwest::Client,
    token: Mutex<Option<String>>,
}

impl Server {
    /// A server on its own broker.
    pub(crate) fn start() -> Self {
        Self::start_with(json!({}))
    }

    /// The same with more settings.
    pub(crate) fn start_with(settings: Value) -> Self {
        Self::start_in(configured(settings))
    }

    /// A server on what an earlier one left.
    pub(crate) fn start_in(folder: TempDir) -> Self {
        Self::start_by(program(&folder.path().join("config.json")), folder)
    }

    /// A server by this command, which serves from this folder.
    pub(crate) fn start_by(mut program: Command, folder: TempDir) -> Self {
        program.env("LATCHLIGHT_OWNER_PASSWORD", PASSWORD);
        let mut child = program.stderr(Stdio::piped()).spawn().unwrap();
        // What a plugin writes there by itself is no JSON.
        let whole = Arc::new(std::sync::Mutex::new(String::new()));
        let kept = whole.clone();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(move |line| {
            let line = line.unwrap();
            kept.lock().unwrap().extend([&*line, "\n"]);
            serde_json::from_str::<Value>(&line).unwrap_or(Value::String(line))
        });
        let (logged, log) = mpsc::unbounded_channel();
        let close_log = Arc::new(AtomicBool::new(false));
        let log_closed = close_log.clone();
        let ready = loop {
            let line = lines.next().expect("the server ended before it was ready");
            logged.send(line.clone()).unwrap();
            if line["message"] == "latchlight is ready" {
                break line;
            }
        };
        // The pipe must be drained, or the server would wait for it.
        std::thread::spawn(move || {
            for line in lines {
                let _ = logged.send(line);
                if log_closed.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
        leaks::note(folder.path(), PASSWORD);
        let http = ready["board"].as_str().unwrap().trim_end_matches('/').to_owned();
        Self {
            child,
            folder,
            http,
            mqtt: ready["mqtt"].as_str().map(str::to_owned),
            ready,
            log: Mutex::new(log),
            whole_log: whole,
            close_log,
            app: reqwest::Client::new(),
            token: Mutex::default(),
        }
    }

    /// Reads one more line of its log, then closes the pipe.
    pub(crate) fn close_log(&self) {
        self.close_log.store(true, Ordering::SeqCst);
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.folder.path().join("config.json")
    }

    /// The CONNECT of a device, with what it shows to be let in: its id stands
    /// before the first dot of the client id.
    pub(crate) async fn device(&self, client_id: &str) -> Connect {
        self.as_device(Connect::new(ProtocolVersion::V5, client_id)).await
    }

    /// The same of a CONNECT that is made already.
    pub(crate) async fn as_device(&self, mut connect: Connect) -> Connect {
        let id = connect.client_id.split('.').next().unwrap().to_owned();
        let secret = secrets::of_device(&self.config_path(), &id).await;
        connect.username = Some((*id).into());
        connect.password = Some(secret.into());
        connect
    }

    /// The CONNECT of an app, which is an account of this name that may do
    /// everything.
    pub(crate) async fn app(&self, name: &str) -> Connect {
        self.as_app(Connect::new(ProtocolVersion::V5, name)).await
    }

    /// The same of a CONNECT that is made already.
    pub(crate) async fn as_app(&self, mut connect: Connect) -> Connect {
        let name = connect.client_id.split('.').next().unwrap().to_owned();
        let secret = secrets::of_app(&self.config_path(), &name).await;
        connect.username = Some((*name).into());
        connect.password = Some(secret.into());
        connect
    }

    pub(crate) fn mqtt(&self) -> &str {
        self.mqtt.as_deref().expect("an embedded broker")
    }

    /// Where else it listens: `https`, `mqtts`, `ws`, `wss`; as `127.0.0.1:8443`.
    pub(crate) fn at(&self, what: &str) -> &str {
        self.ready[what].as_str().unwrap_or_else(|| panic!("no {what}: {}", self.ready))
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, as in `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(kill.unwrap().success());
    }

    /// How much memory it has, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        self.memory("status", "VmRSS:")
    }

    /// How much of it is in huge pages, in KiB.
    pub(crate) fn in_huge_pages(&self) -> u64 {
        self.memory("smaps_rollup", "AnonHugePages:")
    }

    fn memory(&self, file: &str, of: &str) -> u64 {
        let file = format!("/proc/{}/{file}", self.child.id());
        let text = std::fs::read_to_string(file).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(of)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Ends it as a power cut would; gives what it leaves.
    pub(crate) fn kill(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.look_for_secrets();
        std::mem::replace(&mut self.folder, TempDir::new().unwrap())
    }

    /// Tells it by SIGTERM to stop.
    pub(crate) fn begin_to_stop(&self) {
        let kill = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(kill.unwrap().success());
    }

    /// Ends it by SIGTERM, and gives the rest of its log.
    pub(crate) async fn stop_and_read_log(self) -> Vec<Value> {
        self.begin_to_stop();
        let mut rest = Vec::new();
        let mut log = self.log.lock().await;
        let read = async {
            while let Some(line) = log.recv().await {
                rest.push(line);
            }
        };
        timeout(PATIENCE, read).await.expect("the server stops");
        drop(log);
        self.look_for_secrets();
        rest
    }

    /// Ends it by SIGTERM, and gives what it leaves.
    pub(crate) fn stop(mut self) -> TempDir {
        leaks::look_in(self.folder.path());
        self.begin_to_stop();
        assert!(self.child.wait().unwrap().success(), "a graceful stop ends with 0");
        self.look_for_secrets();
        std::mem::replace(&mut self.folder, TempDir::new().unwrap())
    }

    /// Nothing that it wrote has a secret in it.
    #[track_caller]
    fn look_for_secrets(&self) {
        let folder = self.folder.path();
        leaks::look_in(folder);
        leaks::look_at(folder, "the log", self.whole_log.lock().unwrap().as_bytes());
    }

    /// A request that shows that it is the owner's.
    pub(crate) async fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let token = self.token().await;
        self.app.request(method, format!("{}{path}", self.http)).bearer_auth(token)
    }

    /// The owner's access token.
    pub(crate) async fn token(&self) -> String {
        let mut token = self.token.lock().await;
        if token.is_none() {
            *token = Some(self.new_token().await);
        }
        token.clone().unwrap()
    }

    /// Signs in anew, where the clock was set and the token has ended.
    pub(crate) async fn sign_in_anew(&self) {
        *self.token.lock().await = None;
    }

    async fn new_token(&self) -> String {
        let form = [("grant_type", "password"), ("username", "owner"), ("password", PASSWORD)];
        let request = self.app.post(format!("{}/oauth/token", self.http)).form(&form);
        let granted: Value = request.send().await.unwrap().json().await.unwrap();
        let token = granted["access_token"].as_str().unwrap_or_else(|| panic!("{granted}"));
        leaks::note(self.folder.path(), token);
        token.to_owned()
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.answer(self.request(Method::GET, path).await).await
    }

    pub(crate) async fn post(&self, path: &str) -> (u16, Value) {
        self.answer(self.request(Method::POST, path).await).await
    }

    /// The same with an Idempotency-Key.
    pub(crate) async fn post_once(&self, path: &str, key: &str) -> (u16, Value) {
        self.answer(self.request(Method::POST, path).await.header("idempotency-key", key)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> u16 {
        self.answer(self.request(Method::DELETE, path).await).await.0
    }

    pub(crate) async fn post_json(&self, path: &str, body: Value) -> (u16, Value) {
        self.answer(self.request(Method::POST, path).await.json(&body)).await
    }

    pub(crate) async fn patch_json(&self, path: &str, body: Value) -> (u16, Value) {
        self.answer(self.request(Method::PATCH, path).await.json(&body)).await
    }

    pub(crate) async fn bytes(&self, path: &str) -> (u16, Bytes) {
        let response = self.request(Method::GET, path).await.send().await.unwrap();
        (response.status().as_u16(), response.bytes().await.unwrap())
    }

    async fn answer(&self, request: RequestBuilder) -> (u16, Value) {
        let (app, request) = request.build_split();
        let request = request.unwrap();
        leaks::note_request(self.folder.path(), &request);
        let response = app.execute(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.unwrap_or_default();
        leaks::note_answer(self.folder.path(), status, &headers, &body);
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// Waits for the next line of the log with this message.
    pub(crate) async fn logged(&self, message: &str) -> Value {
        let mut log = self.log.lock().await;
        let line = async {
            loop {
                let line = log.recv().await.expect("the server has ended");
                if line["message"] == message {
                    return line;
                }
            }
        };
        timeout(PATIENCE, line).await.unwrap_or_else(|_| panic!("not logged: {message}"))
    }

    /// Waits until the server shows a device like this.
    pub(crate) async fn device_when(&self, id: &str, like: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let (status, device) = self.get(&format!("/api/v1/devices/{id}")).await;
            if status == 200 && like(&device) {
                return device;
            }
            assert!(Instant::now() < end, "{id} stays {device}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a command has come to its end.
    pub(crate) async fn ended(&self, command: &str) -> Value {
        self.command_when(command, |command| !command["ended_at"].is_null()).await
    }

    /// Waits until the server shows a command like this.
    pub(crate) async fn command_when(&self, id: &str, like: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let (_, command) = self.get(&format!("/api/v1/commands/{id}")).await;
            if like(&command) {
                return command;
            }
            assert!(Instant::now() < end, "it stays {command}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder with a config.json: free ports, and these settings.
pub(crate) fn configured(settings: Value) -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut all = json!({
        "http": { "listen": "127.0.0.1:0" },
        "mqtt": { "listen": "127.0.0.1:0" },
        "log": { "format": "json", "level": "info,latchlight=trace" },
    });
    merge(&mut all, settings);
    let config = json!({ "settings": all, "state": {} });
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

/// Settings by which everybody may say and hear everything outside the prefix.
pub(crate) fn open_house() -> Value {
    json!({ "mqtt": { "ledger": concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/open.yaml") } })
}

/// The command that serves this configuration.
pub(crate) fn program(config: &Path) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_latchlight"));
    program.args(["serve", "--config"]).arg(config);
    program
}

/// Puts more settings into these.
pub(crate) fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

/// A device, packet by packet: it acknowledges when the test says so.
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) connection: Connection,
    next_id: PacketId,
    /// What came while something else was waited for.
    early: Vec<Publish>,
}

impl Device {
    /// A device that joined, with its features, and acknowledges deliveries.
    pub(crate) async fn join(server: &Server, id: &str, hand_shake: &str) -> Self {
        let mut device = Self::connect(server.mqtt(), server.device(id).await).await;
        device.listen(QoS::AtLeastOnce).await;
        device.say(&format!("hand_shake {hand_shake}")).await;
        assert_eq!(device.hear().await, "ok hand_shake");
        device
    }

    /// A connection that has not said anything yet.
    pub(crate) async fn connect(address: &str, connect: Connect) -> Self {
        Self::resume(address, connect).await.0
    }

    /// The same, and whether its session was there.
    pub(crate) async fn resume(address: &str, connect: Connect) -> (Self, bool) {
        let connection = Connection::open(address, connect.version).await.unwrap();
        Self::over(connection, connect).await
    }

    /// The same over a connection that is open.
    pub(crate) async fn over(mut connection: Connection, connect: Connect) -> (Self, bool) {
        let id = connect.client_id.split('.').next().unwrap().to_owned();
        let answer = connection.handshake(connect, PATIENCE).await.unwrap();
        assert!(!answer.reason.is_error(), "{:?}", answer.reason);
        connection.set_auto_acknowledge(true);
        let device = Self { id, connection, next_id: PacketId::MIN, early: Vec::new() };
        (device, answer.session_present)
    }

    /// Subscribes to its `down`.
    pub(crate) async fn listen(&mut self, qos: QoS) {
        let filter = format!("latchlight/devices/{}/down", self.id);
        self.subscribe(&filter, qos).await;
    }

    pub(crate) async fn subscribe(&mut self, filter: &str, qos: QoS) {
        let packet_id = self.id();
        let filters = vec![SubscribeFilter {
            filter: filter.try_into().unwrap(),
            options: SubscriptionOptions::qos(qos),
        }];
        let properties = Default::default();
        let subscribe = Packet::Subscribe(Subscribe { packet_id, filters, properties });
        self.connection.send(&subscribe).await.unwrap();
        loop {
            match self.connection.receive_within(PATIENCE).await.unwrap() {
                Packet::SubAck(ack) => {
                    assert!(!ack.reasons[0].is_error(), "{:?}", ack.reasons);
                    return;
                }
                Packet::Publish(publish) => self.early.push(publish),
                other => panic!("expected SUBACK, received {other:?}"),
            }
        }
    }

    /// Says words on its `up`; gives what PUBACK says.
    pub(crate) async fn say(&mut self, words: &str) -> ReasonCode {
        let topic = format!("latchlight/devices/{}/up", self.id);
        self.publish(&topic, words.to_owned(), false).await
    }

    pub(crate) async fn publish(
        &mut self,
        topic: &str,
        payload: impl Into<Bytes>,
        retain: bool,
    ) -> ReasonCode {
        let packet_id = self.id();
        let publish = Publish {
            qos: QoS::AtLeastOnce,
            packet_id: Some(packet_id),
            retain,
            ..Publish::new(topic, payload)
        };
        self.connection.send(&Packet::Publish(publish)).await.unwrap();
        loop {
            match self.connection.receive_within(PATIENCE).await.unwrap() {
                Packet::PubAck(PubAck { packet_id: id, reason, .. }) if id == packet_id => {
                    return reason;
                }
                Packet::Publish(publish) => self.early.push(publish),
                other => panic!("expected PUBACK, received {other:?}"),
            }
        }
    }

    /// Publishes all of these with one write, and waits for nothing.
    pub(crate) async fn publish_at_once(&mut self, publishes: Vec<(String, Bytes)>) {
        for (topic, payload) in publishes {
            let packet_id = Some(self.id());
            let publish = Publish::new(&*topic, payload);
            let publish = Publish { qos: QoS::AtLeastOnce, packet_id, ..publish };
            self.connection.queue(&Packet::Publish(publish)).unwrap();
        }
        self.connection.flush().await.unwrap();
    }

    /// The next words that it is told, beside the wish to report, which comes
    /// to whoever listens while the server starts.
    pub(crate) async fn hear(&mut self) -> String {
        loop {
            let publish = self.hear_publish().await;
            assert!(!publish.retain, "nothing that a device is told is retained (C2)");
            if publish.payload != "report" {
                return String::from_utf8(publish.payload.to_vec()).unwrap();
            }
        }
    }

    pub(crate) async fn hear_publish(&mut self) -> Publish {
        if !self.early.is_empty() {
            return self.early.remove(0);
        }
        loop {
            match self.connection.receive_within(PATIENCE).await.unwrap() {
                Packet::Publish(publish) => return publish,
                Packet::PubAck(_) => {}
                other => panic!("expected PUBLISH, received {other:?}"),
            }
        }
    }

    /// Asserts that it is told nothing for a while: what may not come would
    /// come at once.
    pub(crate) async fn hears_nothing_for(&mut self, long: Duration) {
        let is_report = |publish: &Publish| publish.payload == "report";
        assert!(self.early.iter().all(is_report), "{:?}", self.early);
        let nothing = async {
            while let Ok(packet) = self.connection.receive().await {
                match packet {
                    Packet::Publish(publish) if is_report(&publish) => {}
                    packet => panic!("heard {packet:?}"),
                }
            }
        };
        let _ = timeout(long, nothing).await;
    }

    /// The next command: its verb, its id, and when it expires.
    pub(crate) async fn hear_command(&mut self) -> (String, String, i64) {
        let words = self.hear().await;
        let parts: Vec<&str> = words.split(' ').collect();
        assert_eq!(parts.len(), 3, "{words}");
        (parts[0].to_owned(), parts[1].to_owned(), parts[2].parse().unwrap())
    }

    fn id(&mut self) -> PacketId {
        let id = self.next_id;
        self.next_id = id.next();
        id
    }
}

/// The id of the only command in an answer.
pub(crate) fn command_of(answer: &Value) -> String {
    answer["devices"][0]["command"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// The outcome of the only command in an answer.
pub(crate) fn outcome_of(answer: &Value) -> &str {
    answer["devices"][0]["outcome"].as_str().unwrap_or_else(|| panic!("{answer}"))
}
