//! The examples for who makes devices: docs/firmware, and the table of
//! docs/devices.md by which a check is checked.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use latchlight_client::{CommandKey, InvalidCommand};
use latchlight_mqtt::{Connect, ProtocolVersion, QoS};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;

use crate::harness::{Device, PATIENCE, Server, outcome_of};
use crate::mosquitto::Mosquitto;
use crate::real_clients::{host_and_port, operate, python};

const FIRMWARE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/firmware");
const BOARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/arduino");
const DOCS: &str = include_str!("../../docs/devices.md");
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const DOWN: &str = "latchlight/devices/front/down";

/// A row of the table: the last counter, the time, the payload, the verdict.
struct Row {
    last: i64,
    now: i64,
    payload: &'static str,
    verdict: &'static str,
}

fn table() -> Vec<Row> {
    assert!(DOCS.contains(&format!("with the key `{KEY}`")));
    let table = DOCS.split("| last | now | payload | verdict |\n").nth(1).unwrap();
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let rows = rows.map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [last, now, payload, verdict] = cells[..] else { panic!("{line}") };
        let (last, now) = (last.parse().unwrap(), now.parse().unwrap());
        Row { last, now, payload: payload.trim_matches('`'), verdict }
    });
    let rows: Vec<_> = rows.collect();
    assert!(rows.len() >= 14);
    rows
}

/// What a program says of the table, whose rows it gets without the verdicts.
fn verdicts(program: &mut Command) -> Vec<String> {
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut rows = child.stdin.take().unwrap();
    for Row { last, now, payload, .. } in table() {
        writeln!(rows, "{last} {now} {payload}").unwrap();
    }
    drop(rows);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn wanted() -> Vec<&'static str> {
    table().iter().map(|row| row.verdict).collect()
}

#[test]
fn the_table_of_the_docs_holds_for_the_client_library() {
    let key: CommandKey = KEY.parse().unwrap();
    for Row { last, now, payload, verdict } in table() {
        let found = match key.check(payload.as_bytes(), last, now) {
            Ok(_) => "good",
            Err(InvalidCommand::Form) => "form",
            Err(InvalidCommand::Signature) => "signature",
            Err(InvalidCommand::Replayed) => "replayed",
            Err(InvalidCommand::Expired) => "expired",
        };
        assert_eq!(found, verdict, "{payload}");
    }
}

#[test]
fn the_table_of_the_docs_holds_for_the_example_in_python_and_micropython() {
    let folder = TempDir::new().unwrap();
    let check = r#"
import sys
sys.path.insert(0, sys.argv[1])
from signed_lock import Refused, SignedCommands
for line in sys.stdin:
    last, now, payload = line.rstrip("\n").split(" ", 2)
    commands = SignedCommands(bytes.fromhex(sys.argv[2]), sys.argv[3])
    commands.last = int(last)
    try:
        verb, _ = commands.take(payload.encode(), int(now))
        print("good" if payload.startswith(verb + " ") else verb)
    except Refused as why:
        print(why)
"#;
    std::fs::write(folder.path().join("check.py"), check).unwrap();
    for mut python in [python(), micropython()] {
        python.arg(folder.path().join("check.py")).args([FIRMWARE, KEY]);
        python.env("PYTHONDONTWRITEBYTECODE", "1");
        assert_eq!(verdicts(python.arg(folder.path().join("last"))), wanted());
    }
}

#[test]
fn the_table_of_the_docs_holds_for_the_example_in_c() {
    let folder = TempDir::new().unwrap();
    let main = r#"
#include <stdio.h>
#include <stdlib.h>
#include "signed_commands.h"
int main(void) {
  static const char *const verdicts[] = {"good", "form", "signature", "replayed", "expired"};
  uint8_t key[32];
  for (int byte = 0; byte < 32; byte++) key[byte] = (uint8_t)byte;
  char line[512];
  while (fgets(line, sizeof line, stdin)) {
    char *rest;
    uint64_t last = strtoull(line, &rest, 10);
    uint64_t now = strtoull(rest, &rest, 10);
    struct signed_command command;
    rest[1 + strcspn(rest + 1, "\n")] = 0;
    puts(verdicts[signed_check(key, rest + 1, strlen(rest + 1), last, now, &command)]);
  }
}
"#;
    let source = folder.path().join("main.c");
    std::fs::write(&source, main).unwrap();
    let program = folder.path().join("check");
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined", "-I", FIRMWARE]);
    let compiled = gcc.arg(&source).arg("-o").arg(&program).arg("-lmbedcrypto").status().unwrap();
    assert!(compiled.success(), "it needs Mbed TLS: run script/bootstrap");
    assert_eq!(verdicts(&mut Command::new(program)), wanted());
}

/// The examples that run.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Example {
    /// signed_lock.py
    Python,
    /// signed_lock_board.py
    MicroPython,
    /// signed_lock.ino, which says what its motor does and nothing else.
    Arduino,
}

impl Example {
    /// The state that it says first.
    fn at_first(self) -> &'static str {
        if self == Self::Arduino { "unknown" } else { "locked" }
    }

    /// Puts into a folder what is to be there, by these credentials.
    fn install(self, address: &str, credentials: &Value, folder: &Path) {
        let (host, port) = host_and_port(address);
        let [password, key] =
            ["password", "command_key"].map(|it| credentials[it].as_str().unwrap());
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        let read = |name: &str| std::fs::read_to_string(format!("{FIRMWARE}/{name}")).unwrap();
        match self {
            Self::Python => {}
            Self::MicroPython => {
                let words =
                    [("BROKER", host), ("ID", "front"), ("PASSWORD", password), ("KEY", key)];
                let config = words.map(|(name, value)| format!("{name} = \"{value}\"\n")).concat();
                write("config.py", &format!("{config}PORT = {port}\n"));
                write("main.py", &read("signed_lock_board.py"));
                write("signed_lock.py", &read("signed_lock.py"));
                let find = "import importlib.util as i; print(i.find_spec('umqtt').origin)";
                let found = python().args(["-c", find]).output().unwrap().stdout;
                std::fs::create_dir_all(folder.join("umqtt")).unwrap();
                let found = String::from_utf8(found).unwrap();
                std::fs::copy(found.trim(), folder.join("umqtt/simple.py")).unwrap();
            }
            Self::Arduino => {
                let mut sketch = read("signed_lock.ino");
                for (there, here) in [
                    ("\"front-door\"", "\"front\""),
                    ("the password", password),
                    ("the key: 64 of 0-9a-f", key),
                    ("192.168.1.10", host),
                    ("BROKER, 1883", &format!("BROKER, {port}")),
                ] {
                    assert!(sketch.contains(there), "{there}");
                    sketch = sketch.replace(there, here);
                }
                write("signed_lock.ino", &sketch);
                let mut compile = Command::new("g++");
                compile.args([
                    "-std=c++17",
                    "-Wall",
                    "-Wextra",
                    "-Werror",
                    "-Wno-unused-parameter",
                ]);
                compile.args(["-fsanitize=address,undefined", "-I", BOARD, "-I", FIRMWARE]);
                compile.args(["-include", "Arduino.h", "-x", "c++", "signed_lock.ino"]);
                compile.arg(format!("{BOARD}/board.cpp")).args(["-lmosquitto", "-lmbedcrypto"]);
                let compiled = compile.args(["-o", "sketch"]).current_dir(folder).status().unwrap();
                assert!(compiled.success(), "script/bootstrap installs what it needs");
            }
        }
    }

    fn command(self, address: &str, credentials: &Value, folder: &Path) -> Command {
        match self {
            Self::Python => {
                let (host, port) = host_and_port(address);
                let mut lock = python();
                lock.args([
                    "-B",
                    &format!("{FIRMWARE}/signed_lock.py"),
                    host,
                    port,
                    "front",
                    "last",
                ]);
                lock.env("LOCK_PASSWORD", credentials["password"].as_str().unwrap());
                lock.env("LOCK_KEY", credentials["command_key"].as_str().unwrap());
                lock
            }
            Self::MicroPython => {
                let mut lock = micropython();
                lock.env("MICROPYPATH", ".:.frozen").arg("main.py");
                lock
            }
            Self::Arduino => Command::new(folder.join("sketch")),
        }
    }
}

/// MicroPython's port for Unix.
fn micropython() -> Command {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/var/venv/bin/micropython"))
}

/// One of them, as it runs; what it remembers is in a folder.
struct Lock {
    child: Child,
    says: mpsc::Receiver<String>,
}

impl Lock {
    fn start(example: Example, address: &str, credentials: &Value, folder: &Path) -> Self {
        let mut lock = example.command(address, credentials, folder);
        let mut child = lock.current_dir(folder).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (say, says) = mpsc::channel();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).try_for_each(|line| {
                say.send(match &*line {
                    "pin 26: high" => "locked".to_owned(),
                    "pin 26: low" => "unlocked".to_owned(),
                    _ => line,
                })
            })
        });
        Self { child, says }
    }

    fn says(&self) -> String {
        self.says.recv_timeout(PATIENCE).expect("the lock says something")
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn credentials(server: &Server, id: &str) -> Value {
    let path = format!("/api/v1/devices/{id}/credentials");
    let asked = json!({ "kind": "lock", "signed": true });
    let (status, issued) = server.post_json(&path, asked).await;
    assert_eq!(status, 201, "{issued}");
    issued
}

/// A command as the server would sign it by this key.
fn signed(key: &str, words: &str) -> String {
    let key = data_encoding::HEXLOWER.decode(key.as_bytes()).unwrap();
    let mut hmac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    hmac.update(words.as_bytes());
    format!("{words} {}", data_encoding::HEXLOWER.encode(&hmac.finalize().into_bytes()))
}

async fn obeys_the_server(example: Example) {
    let server = Server::start();
    let memory = TempDir::new().unwrap();
    let credentials = credentials(&server, "front").await;
    example.install(server.mqtt(), &credentials, memory.path());
    let lock = Lock::start(example, server.mqtt(), &credentials, memory.path());
    let is_there = |front: &Value| front["online"] == true && front["state"] == example.at_first();
    // It may be known by its credentials alone.
    server
        .device_when("front", |front| is_there(front) && front["features"]["signed"] == true)
        .await;
    let (status, answer) = server.post("/unlock?device=front&wait=8").await;
    assert_eq!((status, outcome_of(&answer)), (200, "confirmed"));
    assert_eq!(lock.says(), "unlocked");
    operate(&server).await;
    assert_eq!(lock.says(), "locked");
}

#[tokio::test]
async fn the_lock_in_python_obeys_the_server_on_its_own_broker() {
    obeys_the_server(Example::Python).await;
}

#[tokio::test]
async fn the_lock_in_micropython_obeys_the_server_on_its_own_broker() {
    obeys_the_server(Example::MicroPython).await;
}

#[tokio::test]
async fn the_arduino_sketch_obeys_the_server_on_its_own_broker() {
    obeys_the_server(Example::Arduino).await;
}

#[tokio::test]
async fn c6_the_lock_in_python_obeys_nobody_else_on_a_broker_where_everybody_may_speak() {
    obeys_nobody_else(Example::Python).await;
}

#[tokio::test]
async fn c6_the_lock_in_micropython_obeys_nobody_else_on_a_broker_where_everybody_may_speak() {
    obeys_nobody_else(Example::MicroPython).await;
}

#[tokio::test]
async fn c6_the_arduino_sketch_obeys_nobody_else_on_a_broker_where_everybody_may_speak() {
    obeys_nobody_else(Example::Arduino).await;
}

async fn obeys_nobody_else(example: Example) {
    let mosquitto = Mosquitto::start();
    let address = mosquitto.address();
    let broker = format!("mqtt://{address}");
    let server = Server::start_with(json!({ "mqtt": { "broker": broker } }));
    let memory = TempDir::new().unwrap();
    let memory = memory.path();
    let front = credentials(&server, "front").await;
    let key = front["command_key"].as_str().unwrap();
    let foreign = credentials(&server, "back").await;
    let connect = Connect::new(ProtocolVersion::V5, "mallory");
    let mut mallory = Device::connect(&address, connect).await;
    example.install(&address, &front, memory);
    let mut lock = Lock::start(example, &address, &front, memory);
    let is_there =
        |front: &Value| front["features"]["signed"] == true && front["state"] == example.at_first();
    server.device_when("front", is_there).await;
    mallory.subscribe(DOWN, QoS::AtLeastOnce).await;
    let (status, answer) = server.post("/unlock?device=front&wait=8").await;
    assert_eq!((status, outcome_of(&answer)), (200, "confirmed"));
    assert_eq!(lock.says(), "unlocked");

    // The answer to the handshake may still come.
    let mut heard = mallory.hear().await;
    while heard.starts_with("ok ") {
        heard = mallory.hear().await;
    }
    let words: Vec<_> = heard.split(' ').collect();
    let [verb, id, expires, counter, hmac] = words[..] else { panic!("{heard}") };
    let later = counter.parse::<i64>().unwrap() + 1;
    let (past, future) = (Timestamp::now().as_second() - 60, Timestamp::now().as_second() + 3600);
    let other = format!("{}0", &id[..id.len() - 1]);
    let unlock = format!("unlock {other} {future} {later}");
    let attempts = [
        (heard.clone(), "replayed"),
        (format!("lock {id} {expires} {counter} {hmac}"), "signature"),
        (format!("{verb} {other}1 {expires} {counter} {hmac}"), "signature"),
        (format!("{verb} {id} {future} {counter} {hmac}"), "signature"),
        (format!("{verb} {id} {expires} {later} {hmac}"), "signature"),
        (format!("{verb} {id} {expires}"), "form"),
        (signed(key, &format!("unlock {other} {past} {later}")), "expired"),
        (signed(foreign["command_key"].as_str().unwrap(), &unlock), "signature"),
    ];
    for round in 0..2 {
        for (forged, why) in &attempts {
            mallory.publish(DOWN, forged.clone(), false).await;
            if example != Example::Arduino {
                assert_eq!(lock.says(), format!("refused: {why}"), "{forged}");
            }
        }
        if round == 0 {
            // It remembers over a loss of power.
            drop(lock);
            lock = Lock::start(example, &address, &front, memory);
            server.device_when("front", is_there).await;
        }
    }
    let (status, answer) = server.post("/unlock?device=front&wait=8").await;
    assert_eq!((status, outcome_of(&answer)), (200, "confirmed"));
    // And moved for nothing that came before.
    assert_eq!(lock.says(), "unlocked");
    assert!(lock.says.try_recv().is_err());
}
