//! The real program, and mosquitto's clients to talk to it.
#![allow(dead_code, unreachable_pub, unused_imports, clippy::unwrap_used)]

mod authority;
#[path = "../../../client/tests/support/free_port.rs"]
mod free_port;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

pub use authority::Authority;
use free_port::free_port;

/// Longer than anything takes that works.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The program.
pub fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_latchlight-broker"));
    program.env("NO_COLOR", "1");
    program
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Output {
    program().args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Runs the program to its end with this on its standard input.
pub fn run_with_input(arguments: &[&str], input: &str) -> Output {
    let mut child = program()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The hash that the program makes of a password.
pub fn hash(password: &str) -> String {
    let output = run_with_input(&["hash-password"], &format!("{password}\n"));
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder with files in it; gone when it is dropped.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file; gives its path as an argument.
    pub fn write(&self, name: &str, content: &str) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.argument(name)
    }

    pub fn argument(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

/// A running broker; ended when it is dropped.
pub struct Running {
    child: Child,
    log: Receiver<String>,
    /// Every line of the log that was read so far.
    pub seen: Vec<String>,
    /// The ports of its listeners.
    pub ports: Vec<u16>,
}

impl Running {
    /// Starts it, and waits until it is ready.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_by(&mut program(), arguments)
    }

    /// The same by this command.
    pub fn start_by(program: &mut Command, arguments: &[&str]) -> Self {
        let mut child = program
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, log) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
        let mut running = Self { child, log, seen: Vec::new(), ports: Vec::new() };
        running.until("ready");
        let listening = running
            .seen
            .iter()
            .filter(|line| line.contains("listening") && line.contains("127.0.0.1:"));
        running.ports = listening.map(|line| port_of(line)).collect();
        running
    }

    /// With a configuration.
    pub fn with_config(file: &str) -> Self {
        Self::start(&["--config", file])
    }

    /// The line of the log that has this in it, from its start on.
    pub fn said(&mut self, what: &str) -> String {
        match self.seen.iter().find(|line| line.contains(what)) {
            Some(line) => line.clone(),
            None => self.until(what),
        }
    }

    /// Waits for a line of the log that has this in it.
    pub fn until(&mut self, what: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.log.recv_timeout(left) else {
                panic!("{what}: was not said, but: {:#?}", self.seen);
            };
            self.seen.push(line.clone());
            if line.contains(what) {
                return line;
            }
        }
    }

    /// How much memory it has, in KiB.
    pub fn resident(&self) -> u64 {
        self.memory("status", "VmRSS:")
    }

    /// How much of it is in huge pages, in KiB.
    pub fn in_huge_pages(&self) -> u64 {
        self.memory("smaps_rollup", "AnonHugePages:")
    }

    fn memory(&self, file: &str, of: &str) -> u64 {
        let file = format!("/proc/{}/{file}", self.child.id());
        let text = std::fs::read_to_string(file).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(of)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([format!("-{name}"), pid]).status().unwrap().success());
    }

    /// Waits for its end; gives its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < end, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Publishes a message; gives whether that was taken.
    pub fn publish(&self, arguments: &[&str]) -> bool {
        let port = self.ports[0].to_string();
        let output = Command::new("mosquitto_pub")
            .args(["-h", "127.0.0.1", "-p", &port, "-V", "mqttv5", "-q", "1"])
            .args(arguments)
            .output()
            .expect("mosquitto's clients are needed: run script/bootstrap");
        // It ends well also when its message is refused, but says so.
        output.status.success() && output.stderr.is_empty()
    }

    /// Subscribes, and waits until that is answered.
    pub fn subscribe(&self, arguments: &[&str]) -> Subscriber {
        let port = self.ports[0].to_string();
        Subscriber::start(&[&["-h", "127.0.0.1", "-p", &port, "-V", "mqttv5"], arguments].concat())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn port_of(line: &str) -> u16 {
    let address = line.split("127.0.0.1:").nth(1).unwrap();
    address.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

/// A running mosquitto_sub; ended when it is dropped.
pub struct Subscriber {
    child: Child,
    lines: BufReader<ChildStdout>,
    messages: Vec<String>,
    /// What it says that its subscription was answered with.
    pub answer: String,
}

impl Subscriber {
    fn start(arguments: &[&str]) -> Self {
        // Into a pipe it would write what it says of itself only by the page.
        let mut child = Command::new("stdbuf")
            .args(["-oL", "mosquitto_sub", "-d", "-v"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("mosquitto's clients are needed: run script/bootstrap");
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut subscriber = Self { child, lines, messages: Vec::new(), answer: String::new() };
        subscriber.answer = subscriber.until("Subscribed");
        subscriber
    }

    /// The next message, as `topic payload`.
    pub fn next(&mut self) -> String {
        while self.messages.is_empty() {
            self.line();
        }
        self.messages.remove(0)
    }

    /// Waits for what it says of itself.
    fn until(&mut self, what: &str) -> String {
        loop {
            let line = self.line();
            if line.contains(what) {
                return line;
            }
        }
    }

    /// Waits for its end; gives what it said before.
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        rest
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.lines.read_line(&mut line).unwrap() > 0, "mosquitto_sub ended");
        let line = line.trim_end().to_owned();
        // What it tells of itself begins so.
        if !["Client ", "Subscribed ", "Received "].iter().any(|own| line.starts_with(own)) {
            self.messages.push(line.clone());
        }
        line
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Redis server that keeps nothing on disk; ended when it is dropped.
pub struct Redis {
    child: Child,
    scheme: &'static str,
    port: u16,
}

impl Redis {
    /// Starts it, and waits until it answers.
    pub fn start() -> Self {
        let port = free_port();
        Self::serve("redis", port, &["--port", &port.to_string()])
    }

    /// The same over TLS alone, with this certificate of the folder.
    pub fn start_with_tls(folder: &Folder, certificate: &str) -> Self {
        let port = free_port();
        let file = |end: &str| folder.argument(&format!("{certificate}.{end}"));
        let ours = ["--tls-cert-file", &file("pem"), "--tls-key-file", &file("key")];
        let theirs = ["--tls-auth-clients", "no", "--tls-ca-cert-file", &folder.argument("ca.pem")];
        let ports = ["--port", "0", "--tls-port", &port.to_string()];
        Self::serve("rediss", port, &[ports, ours, theirs].concat())
    }

    fn serve(scheme: &'static str, port: u16, arguments: &[&str]) -> Self {
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", ""])
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is needed: run script/bootstrap");
        let end = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { child, scheme, port }
    }

    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
