//! The servers under comparison, each started on free ports with folders of its own.
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use latchlight_contest::{Processes, accounting, free_port};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::compare::CompareArgs;

/// Of `owner`, as it may stand in a form.
const PASSWORD: &str = "as-fast-as-it-goes";

const HELLO_TIMEOUT: Duration = Duration::from_secs(30);

/// One of the two ways to do the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contestant {
    Latchlight,
    /// With its folder in memory: what it costs to sync commands to a disk is the difference.
    LatchlightInMemory,
    /// As most people start it: one process with a thread for each caller.
    FlaskThreads,
    /// As wide as it goes: a process for each core. Each hears what all devices say.
    FlaskProcesses,
}

impl Contestant {
    pub fn name(self) -> &'static str {
        match self {
            Self::Latchlight => "Latchlight",
            Self::LatchlightInMemory => "Latchlight, its folder in memory",
            Self::FlaskThreads => "Flask gateway, one process",
            Self::FlaskProcesses => "Flask gateway, a process per core",
        }
    }

    /// Gunicorn's processes and threads for each: what served it best where it was tried.
    fn width(self) -> (usize, usize) {
        match self {
            Self::FlaskProcesses => {
                (std::thread::available_parallelism().map_or(2, usize::from).max(2), 16)
            }
            _ => (1, 64),
        }
    }
}

/// A running contestant: its processes, where it listens, and the folder that it may fill.
pub struct Running {
    pub http: String,
    pub broker: String,
    /// The access token of its owner, where it wants one.
    pub token: Option<String>,
    // Before the folder, which has their files.
    processes: Processes,
    folder: TempDir,
}

impl Running {
    pub fn start(contestant: Contestant, args: &CompareArgs) -> anyhow::Result<Self> {
        let run = match contestant {
            Contestant::LatchlightInMemory => PathBuf::from("/dev/shm"),
            _ => args.out.join("run"),
        };
        match contestant {
            Contestant::Latchlight | Contestant::LatchlightInMemory => {
                Self::latchlight(&args.latchlight, &run, &json!({}))
            }
            Contestant::FlaskThreads | Contestant::FlaskProcesses => {
                let mut running = Self::none(&run)?;
                running.start_flask(contestant, args)?;
                Ok(running)
            }
        }
    }

    fn none(run: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(run).context("create the folder for runs")?;
        let folder = TempDir::new_in(run).context("create a temporary folder")?;
        Ok(Self {
            http: format!("127.0.0.1:{}", free_port()?),
            broker: format!("127.0.0.1:{}", free_port()?),
            token: None,
            processes: Processes::new(folder.path()),
            folder,
        })
    }

    /// Starts a latchlight program with this `state` section, in a folder below `run`.
    pub fn latchlight(program: &Path, run: &Path, state: &Value) -> anyhow::Result<Self> {
        let mut running = Self::none(run)?;
        let config = running.folder.path().join("config.json");
        let settings = json!({
            "settings": {
                "http": { "listen": running.http },
                "mqtt": { "listen": running.broker },
                "data": running.folder.path().join("data"),
                "log": { "level": "warn" },
                // A bench gives more than anybody should.
                "commands": { "per_minute": 0 },
            },
            "state": state,
        });
        fs::write(&config, serde_json::to_string(&settings)?).context("write config")?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--config").arg(&config);
        command.env("LATCHLIGHT_OWNER_PASSWORD", PASSWORD);
        running.processes.spawn("latchlight", command)?;
        let broker = running.broker.clone();
        running.processes.wait_for_port(&broker)?;
        running.wait_for_answer()?;
        running.token = Some(sign_in(&running.http).context("sign in")?);
        Ok(running)
    }

    /// Starts the bare actix-web handler.
    pub fn bare(run: &Path) -> anyhow::Result<Self> {
        let mut running = Self::none(run)?;
        let mut command = Command::new(std::env::current_exe().context("find this program")?);
        command.args(["bare", "--listen", &running.http]);
        running.processes.spawn("bare", command)?;
        running.wait_for_answer()?;
        Ok(running)
    }

    fn start_flask(&mut self, contestant: Contestant, args: &CompareArgs) -> anyhow::Result<()> {
        let config = self.folder.path().join("mosquitto.conf");
        let port = port_of(&self.broker).to_owned();
        // Without the last line a caller waits 40 ms for each answer: Nagle's algorithm.
        let lines = format!(
            "user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"
        );
        fs::write(&config, lines).context("write mosquitto.conf")?;
        let mut command = Command::new(&args.mosquitto);
        command.arg("-c").arg(&config);
        self.processes.spawn("mosquitto", command)?;
        let broker = self.broker.clone();
        self.processes.wait_for_port(&broker)?;
        let (processes, threads) = contestant.width();
        let mut command = Command::new(args.venv.join("bin/gunicorn"));
        command
            .args(["--worker-class", "gthread", "--workers", &processes.to_string()])
            .args(["--threads", &threads.to_string(), "--bind", &self.http])
            .args(["--keep-alive", "60", "--log-level", "warning", "app:app"])
            .current_dir(&args.flask_app)
            .env("GATEWAY_BROKER_PORT", &port)
            // The bytecode would stand in the checkout.
            .env("PYTHONDONTWRITEBYTECODE", "1");
        self.processes.spawn("flask", command)?;
        self.processes.wait_for_lines("ready", processes)?;
        self.wait_for_answer()
    }

    /// Starts the devices and waits until all have joined.
    pub fn start_fleet(&mut self, devices: usize) -> anyhow::Result<()> {
        let mut command = Command::new(std::env::current_exe().context("find this program")?);
        command.arg("fleet").args(["--broker", &self.broker]);
        command.args(["--devices", &devices.to_string()]);
        let config = self.folder.path().join("config.json");
        if config.exists() {
            command.arg("--config").arg(config);
        }
        self.processes.spawn("devices", command)?;
        self.processes.wait_for_lines("ready", 1)
    }

    /// The most memory that the servers have had together, in MiB.
    pub fn peak_memory_mib(&self) -> f64 {
        let servers = self.processes.ids().filter(|(name, _)| *name != "devices");
        servers.map(|(_, id)| accounting::tree_peak_memory_mib(id)).sum()
    }

    /// The memory that the servers have now, in bytes.
    pub fn memory_bytes(&self) -> f64 {
        let servers = self.processes.ids().filter(|(name, _)| *name != "devices");
        servers.map(|(_, id)| accounting::tree_memory_mib(id) * 1024.0 * 1024.0).sum()
    }

    /// The processes to watch, as the `load` role takes them.
    pub fn watched(&self) -> Vec<String> {
        self.processes.ids().map(|(name, id)| format!("{name}={id}")).collect()
    }

    /// An open port is not enough: gunicorn listens before its application runs.
    fn wait_for_answer(&mut self) -> anyhow::Result<()> {
        let address = self.http.clone();
        self.processes
            .wait_until("GET /hello to be answered", || says_hello(&address).unwrap_or(false))
    }
}

fn says_hello(address: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(HELLO_TIMEOUT))?;
    write!(stream, "GET /hello HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

fn sign_in(address: &str) -> anyhow::Result<String> {
    let form = format!("grant_type=password&username=owner&password={PASSWORD}");
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "POST /oauth/token HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").context("an answer")?.1;
    let granted: Value = serde_json::from_str(body)?;
    Ok(granted["access_token"].as_str().context("a token")?.to_owned())
}

fn port_of(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(_, port)| port)
}
