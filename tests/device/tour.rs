//! The README's tour, run as it stands there, on this test's own ports.

use std::io::{BufRead as _, BufReader, Seek as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use serde_json::Value;

use crate::harness::{PASSWORD, PATIENCE, Server};

const README: &str = include_str!("../../README.md");

/// The README's blocks with this mark, one after the other.
fn blocks(mark: &str) -> String {
    let fence = format!("```{mark}\n");
    let blocks = README.split(&fence).skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).collect()
}

/// A shell with these commands of the README, on the server's ports.
fn shell(commands: &str, server: &Server) -> Command {
    let port = server.mqtt().rsplit_once(':').unwrap().1;
    let commands = commands
        .replace("var/config.json", &server.config_path().display().to_string())
        .replace("target/release/latchlight", env!("CARGO_BIN_EXE_latchlight"))
        .replace("http://127.0.0.1:8080", &server.http)
        .replace("-p 1883", &format!("-p {port}"))
        .replace("curl ", "curl --silent --show-error --write-out '\\n' ");
    let mut bash = Command::new("timeout");
    bash.env("PASSWORD", PASSWORD);
    bash.args(["60", "bash", "-euc", &commands]);
    bash
}

/// What goes on in another terminal, line by line.
struct Terminal {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Terminal {
    fn open(commands: &str, server: &Server) -> Self {
        let mut shell = shell(commands, server);
        let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (say, lines) = mpsc::channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|l| say.send(l))
        });
        Self { child, lines }
    }

    fn type_in(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for a line with this in it.
    fn shows(&self, part: &str) {
        let shown = || self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {part}"));
        while !shown().contains(part) {}
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // `timeout` passes it on.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// Whether what was answered is what the README shows of it; `…` stands there
/// for what differs each time.
fn is_like(answered: &Value, shown: &Value) -> bool {
    match (answered, shown) {
        (Value::Object(answered), Value::Object(shown)) => {
            shown.iter().all(|(key, shown)| answered.get(key).is_some_and(|a| is_like(a, shown)))
        }
        (Value::Array(answered), Value::Array(shown)) => {
            answered.len() == shown.len() && answered.iter().zip(shown).all(|(a, s)| is_like(a, s))
        }
        (Value::String(answered), Value::String(shown)) => match shown.strip_suffix('…') {
            // An id differs, and so does a time; a path before an id does not.
            Some(shown) => {
                shown.rsplit_once('/').is_none_or(|(path, _)| answered.starts_with(path))
            }
            None => answered == shown,
        },
        (answered, shown) => answered == shown,
    }
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn the_tour_works_as_the_readme_says() {
    let server = Server::start();
    let mut simulator = Terminal::open(&blocks("sh simulator"), &server);
    for device in ["lock-1", "lock-2", "light-1", "camera-1"] {
        server.device_when(device, |device| device["online"] == true).await;
    }
    let watch = Terminal::open(&blocks("sh watch"), &server);
    watch.shows("latchlight/server/online online");

    let commands = blocks("sh tour");
    assert!(commands.matches("curl").count() >= 5, "{commands}");
    let mut tour = shell(&commands, &server);
    let mut typed = tempfile::tempfile().unwrap();
    writeln!(typed, "{PASSWORD}").unwrap();
    typed.rewind().unwrap();
    tour.stdin(typed);
    let output = tokio::task::spawn_blocking(move || tour.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // One unlocked, all locked (two locks and a light), one unlocked by /test.
    assert_eq!(said.matches("\"outcome\":\"confirmed\"").count(), 5, "{said}");
    assert!(said.contains("\nok lock lock-2 confirmed "), "{said}");
    assert_eq!(said.matches("/state {\"kind\":").count(), 4, "{said}");
    let answered = json_lines(&said);
    let shown = json_lines(&blocks("json answer"));
    assert_eq!(shown.len(), 3);
    for shown in shown {
        assert!(answered.iter().any(|answered| is_like(answered, &shown)), "{shown}\n{said}");
    }
    let shed = server.device_when("shed", |shed| shed["state"] == "locked").await;
    assert_eq!(shed["kind"], "lock");

    for word in ["jam lock-2", "free lock-2", "unplug light-1", "plug light-1", "press camera-1"] {
        assert!(README.contains(&format!("`{word}`")), "{word}");
    }
    simulator.type_in("press camera-1");
    watch.shows("latchlight/alerts/stranger");
    simulator.type_in("jam lock-2");
    simulator.shows("jams from now on");
    simulator.type_in("unplug light-1");
    server.device_when("light-1", |light| light["online"] == false).await;
    simulator.type_in("plug light-1");
    server.device_when("light-1", |light| light["online"] == true).await;
}

#[tokio::test]
async fn the_readme_lists_every_action() {
    let server = Server::start();
    let table = README.split("## Actions").nth(1).unwrap().split("\n## ").next().unwrap();
    let (_, listed) = server.get("/api/v1/actions").await;
    let actions = listed["actions"].as_array().unwrap();
    assert!(actions.len() >= 9, "{listed}");
    for action in actions {
        let name = action["name"].as_str().unwrap();
        assert!(table.contains(&format!("`{name}`")), "the README does not list `{name}`");
    }
}

#[test]
fn the_readme_lists_every_command() {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_latchlight"));
    let help = program.arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let table = README.split("## Commands").nth(1).unwrap().split("\n## ").next().unwrap();
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let words = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let mut listed = 0;
    for command in words.filter(|word| !word.is_empty() && *word != "help") {
        let row = format!("`latchlight {command}`");
        assert!(table.contains(&row), "the README does not list {row}");
        listed += 1;
    }
    assert_eq!(table.matches("| `latchlight ").count(), listed, "and no other");
}

#[tokio::test]
async fn the_simulator_ends_where_nobody_knows_the_brokers_host() {
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_latchlight"));
    // Two dots: no name server need be asked.
    program.args(["simulate", "--broker", "no..host"]).kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, program.output()).await;
    let ended = ended.expect("it ends by itself").unwrap();
    assert!(!ended.status.success());
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains("--broker") && said.contains("no..host:1883"), "{said}");
}

#[tokio::test]
async fn the_simulator_says_what_to_type_only_where_somebody_types() {
    let server = Server::start();
    let mut program = Command::new(env!("CARGO_BIN_EXE_latchlight"));
    program.args(["simulate", "--config"]).arg(server.config_path()).stdin(Stdio::null());
    let mut simulator = program.stdout(Stdio::piped()).spawn().unwrap();
    server.device_when("camera-1", |device| device["online"] == true).await;
    let kill = Command::new("kill").arg(simulator.id().to_string()).status();
    assert!(kill.unwrap().success());
    let said = std::io::read_to_string(simulator.stdout.take().unwrap()).unwrap();
    assert!(simulator.wait().unwrap().success());
    assert!(said.contains("connected") && !said.contains("type:"), "{said}");
}
