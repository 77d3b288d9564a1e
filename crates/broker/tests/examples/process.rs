//! An example as a process, and the commands that its head says.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that runs, and the lines that it says.
pub struct Process {
    name: String,
    child: Child,
    pub input: ChildStdin,
    lines: Receiver<String>,
    said: Vec<String>,
}

/// An example that runs.
pub struct Example {
    pub process: Process,
    /// Where it listens, in the order in which it says it.
    pub addresses: Vec<SocketAddr>,
    source: PathBuf,
    folder: Option<PathBuf>,
}

/// What came of one of the commands.
#[derive(Debug, PartialEq, Eq)]
pub struct Done {
    pub success: bool,
    pub said: String,
}

impl Process {
    /// Starts a program that is stopped when this is dropped.
    pub fn start(name: &str, command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().unwrap_or_else(|error| {
            panic!("{name}: {error}: script/bootstrap installs what the tests need")
        });
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { name: name.to_owned(), child, input, lines, said: Vec::new() }
    }

    /// Waits for a line that has this in it.
    pub fn until(&mut self, what: &str) -> String {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("{} did not say {what:?}, but: {:#?}", self.name, self.said);
            };
            self.said.push(line.clone());
            if line.contains(what) {
                return line;
            }
        }
    }

    /// Sends a signal, as soon as the program catches it: it may say that it
    /// listens a moment before.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let end = Instant::now() + PATIENCE;
        while !self.catches(signal) {
            assert!(Instant::now() < end, "{} does not catch {signal:?}", self.name);
            std::thread::sleep(Duration::from_millis(2));
        }
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).unwrap();
    }

    fn catches(&self, signal: rustix::process::Signal) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
        // Where that is not told, it is sent at once.
        caught.is_none_or(|set| set >> (signal.as_raw() - 1) & 1 == 1)
    }

    /// Presses Ctrl-C; gives all that it has said and not been waited for.
    pub fn interrupt(&mut self) -> Vec<String> {
        self.signal(rustix::process::Signal::INT);
        let mut rest = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => rest.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("{} does not end: {rest:#?}", self.name),
            }
        }
        assert!(self.child.wait().unwrap().success(), "{} ends well", self.name);
        rest
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Example {
    /// Starts an example of this package, which `cargo test` has built.
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let source = folder.join(name).with_extension("rs");
        let source = if source.exists() { source } else { folder.join(name).join("main.rs") };
        let built = std::env::current_exe().unwrap();
        let built = built.parent().and_then(Path::parent).unwrap().join("examples").join(name);
        let age = |file: &Path| file.metadata().and_then(|file| file.modified()).ok();
        assert!(
            age(&built) >= age(&source),
            "{} is not there or out of date, as only a whole `cargo test` builds examples: \
             cargo build -p {} --examples --all-features",
            built.display(),
            env!("CARGO_PKG_NAME"),
        );
        Self::run(&built, &source, arguments)
    }

    pub fn run(program: &Path, source: &Path, arguments: &[&str]) -> Self {
        let name = program.file_name().unwrap().to_string_lossy();
        let mut process = Process::start(&name, Command::new(program).args(arguments));
        let line = process.until("Ctrl-C");
        let words = line.split(|c: char| c != '.' && c != ':' && !c.is_ascii_digit());
        let addresses = words.filter_map(|word| word.parse().ok()).collect();
        Self { process, addresses, source: source.to_owned(), folder: None }
    }

    /// Runs the commands in this folder.
    pub fn within(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The commands of the head's blocks, one after the other.
    pub fn commands(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.source).unwrap();
        let head = text.lines().map_while(|line| line.strip_prefix("//!"));
        let mut within = false;
        head.map(|line| line.strip_prefix(' ').unwrap_or(line))
            .filter(|line| {
                within ^= line.starts_with("```");
                within && !line.starts_with("```")
            })
            .map(str::to_owned)
            .collect()
    }

    /// The same command, to where this example listens.
    fn aimed(&self, command: &str) -> String {
        let Some(mqtt) = self.addresses.first() else { return command.to_owned() };
        // npx would stand between a signal and the program.
        let mut aimed = command.replace("npx ", "node_modules/.bin/");
        if let Some(other) = self.addresses.get(1) {
            let path = format!("/dev/tcp/127.0.0.1/{}", other.port());
            aimed = aimed.replace("/dev/tcp/127.0.0.1/7000", &path);
            for told in ["127.0.0.1:8080", "127.0.0.1:8084"] {
                aimed = aimed.replace(told, &other.to_string());
            }
        }
        let port = format!("-p {}", mqtt.port());
        if aimed.contains("-p ") {
            return aimed.replace("-p 8883", &port).replace("-p 8083", &port);
        }
        let aim = |all: String, name: &str| all.replace(name, &format!("{name} {port}"));
        ["mosquitto_pub", "mosquitto_sub"].into_iter().fold(aimed, aim)
    }

    fn shell(&self, command: &str) -> Command {
        let mut shell = Command::new("bash");
        // A signal is to reach the command itself.
        let redirects = command.contains('>');
        shell.arg("-c").arg(if redirects { command.to_owned() } else { format!("exec {command}") });
        if let Some(folder) = &self.folder {
            shell.current_dir(folder);
        }
        shell
    }

    /// Does what a command says, and waits until it has.
    pub fn done(&self, command: &str) -> Done {
        let mut child = self.shell(&self.aimed(command));
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        Done { success: child.wait().unwrap().success(), said }
    }

    /// Starts what goes on until it is stopped.
    pub fn background(&self, command: &str) -> Process {
        let command = self.aimed(command.trim_end_matches('&'));
        Process::start(&command, &mut self.shell(&command))
    }

    /// Starts a subscriber; gives it when it is subscribed.
    pub fn subscribed(&self, command: &str) -> Process {
        // Without stdbuf, it would not say so at once.
        let says_so = command.replace("mosquitto_sub", "stdbuf -oL mosquitto_sub -d");
        let mut process = self.background(&says_so);
        process.until("Subscribed (mid");
        process
    }

    pub fn types(&mut self, line: &str) {
        writeln!(self.process.input, "{line}").unwrap();
    }

    /// Presses Ctrl-C.
    pub fn stop(mut self) -> Vec<String> {
        self.process.interrupt()
    }
}
