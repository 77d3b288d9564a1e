//! The processes of a server under measurement.
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use socket2::{Domain, Socket, Type};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Processes that belong together and end with this value, the last first.
#[derive(Debug)]
pub struct Processes {
    logs: PathBuf,
    processes: Vec<Process>,
}

#[derive(Debug)]
struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Processes {
    /// None yet; what they will say goes to a file each in this folder.
    pub fn new(logs: impl Into<PathBuf>) -> Self {
        Self { logs: logs.into(), processes: Vec::new() }
    }

    /// Starts one more.
    ///
    /// # Errors
    /// The program or the file for its log is not to be had.
    pub fn spawn(&mut self, name: &'static str, mut command: Command) -> anyhow::Result<()> {
        let log = self.logs.join(format!("{name}.log"));
        let file = File::create(&log).context("create a log file")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("open the log twice")?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("start {name} ({:?})", command.get_program()))?;
        self.processes.push(Process { name, child, log });
        Ok(())
    }

    /// Their names and ids, in the order in which they were started.
    pub fn ids(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.processes.iter().map(|one| (one.name, one.child.id()))
    }

    /// Waits until something listens there.
    ///
    /// # Errors
    /// One of the processes ended instead, or it took too long.
    pub fn wait_for_port(&mut self, address: &str) -> anyhow::Result<()> {
        self.wait_until(&format!("something to listen on {address}"), || {
            TcpStream::connect(address).is_ok()
        })
    }

    /// Waits until the process that was started last has written a line so often.
    ///
    /// # Errors
    /// As of [`Processes::wait_for_port`].
    pub fn wait_for_lines(&mut self, wanted: &str, times: usize) -> anyhow::Result<()> {
        let log = self.processes.last().expect("something was started").log.clone();
        self.wait_until(&format!("the line \"{wanted}\""), || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            text.lines().filter(|line| *line == wanted).count() >= times
        })
    }

    /// Waits until that is so.
    ///
    /// # Errors
    /// As of [`Processes::wait_for_port`].
    pub fn wait_until(&mut self, what: &str, mut done: impl FnMut() -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !done() {
            for process in &mut self.processes {
                if let Some(status) = process.child.try_wait().context("look after a process")? {
                    bail!("{} ended with {status}:\n{}", process.name, tail(&process.log));
                }
            }
            if Instant::now() > deadline {
                let logs: Vec<String> = self
                    .processes
                    .iter()
                    .map(|one| format!("--- {}\n{}", one.name, tail(&one.log)))
                    .collect();
                bail!("waited {START_TIMEOUT:?} for {what}:\n{}", logs.join("\n"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        // Clients were started after their servers: no server's end makes them fail.
        while let Some(mut process) = self.processes.pop() {
            if matches!(process.child.try_wait(), Ok(Some(_))) {
                continue;
            }
            // Should it end just now, there is nothing left to stop.
            let _ = Command::new("kill").arg(process.child.id().to_string()).status();
            let deadline = Instant::now() + STOP_TIMEOUT;
            while matches!(process.child.try_wait(), Ok(None)) {
                if Instant::now() > deadline {
                    let _ = process.child.kill();
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// A port of 127.0.0.1 that nobody has just now, and that the kernel gives to nobody who asks for
/// any: until a server binds it, connections of others come and go.
///
/// # Errors
/// There is none.
pub fn free_port() -> anyhow::Result<u16> {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    // Below net.ipv4.ip_local_port_range. Processes that ask at once begin apart.
    let (first, count) = (10_000, 22_000);
    for _ in 0..count {
        let tried = TRIED.fetch_add(1, Ordering::Relaxed);
        let at = std::process::id().wrapping_mul(97).wrapping_add(tried) % count;
        let port = u16::try_from(first + at).context("count ports")?;
        // Bound, but not listening: a process that is being started beside has what we have for
        // a moment, and nobody must be able to connect to that.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).context("make a socket")?;
        socket.set_reuse_address(true).context("set up a socket")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if socket.bind(&address.into()).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port of 127.0.0.1 is free")
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
