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
fn the_table_of_the_docs_holds_for_the_example_in_python() {
    let memory = TempDir::new().unwrap();
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
    let mut python = python();
    python.arg("-B").args(["-c", check, FIRMWARE, KEY]).arg(memory.path().join("last"));
    assert_eq!(verdicts(&mut python), wanted());
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

/// docs/firmware/signed_lock.py, as it runs.
struct Lock {
    child: Child,
    says: mpsc::Receiver<String>,
}

impl Lock {
    fn start(address: &str, credentials: &Value, memory: &Path) -> Self {
        let (host, port) = host_and_port(address);
        let mut lock = python();
        lock.args(["-B", &format!("{FIRMWARE}/signed_lock.py"), host, port, "front"]).arg(memory);
        lock.env("LOCK_PASSWORD", credentials["password"].as_str().unwrap());
        lock.env("LOCK_KEY", credentials["command_key"].as_str().unwrap());
        let mut child = lock.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (say, says) = mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| say.send(line)));
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

#[tokio::test]
async fn the_lock_in_python_obeys_the_server_on_its_own_broker() {
    let server = Server::start();
    let memory = TempDir::new().unwrap();
    let credentials = credentials(&server, "front").await;
    let lock = Lock::start(server.mqtt(), &credentials, &memory.path().join("last"));
    server.device_when("front", |front| front["state"] == "locked").await;
    let (status, answer) = server.post("/unlock?device=front&wait=8").await;
    assert_eq!((status, outcome_of(&answer)), (200, "confirmed"));
    assert_eq!(lock.says(), "unlocked");
    operate(&server).await;
    assert_eq!(lock.says(), "locked");
}

#[tokio::test]
async fn c6_the_lock_in_python_obeys_nobody_else_on_a_broker_where_everybody_may_speak() {
    let mosquitto = Mosquitto::start();
    let address = mosquitto.address();
    let broker = format!("mqtt://{address}");
    let server = Server::start_with(json!({ "mqtt": { "broker": broker } }));
    let memory = TempDir::new().unwrap();
    let memory = memory.path().join("last");
    let front = credentials(&server, "front").await;
    let key = front["command_key"].as_str().unwrap();
    let foreign = credentials(&server, "back").await;
    let connect = Connect::new(ProtocolVersion::V5, "mallory");
    let mut mallory = Device::connect(&address, connect).await;
    let mut lock = Lock::start(&address, &front, &memory);
    server.device_when("front", |front| front["state"] == "locked").await;
    mallory.subscribe(DOWN, QoS::AtLeastOnce).await;
    let (status, answer) = server.post("/unlock?device=front&wait=8").await;
    assert_eq!((status, outcome_of(&answer)), (200, "confirmed"));
    assert_eq!(lock.says(), "unlocked");

    let heard = mallory.hear().await;
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
            assert_eq!(lock.says(), format!("refused: {why}"), "{forged}");
        }
        if round == 0 {
            // It remembers over a loss of power.
            drop(lock);
            lock = Lock::start(&address, &front, &memory);
            server.device_when("front", |front| front["state"] == "locked").await;
        }
    }
    let (status, answer) = server.post("/unlock?device=front&wait=8").await;
    assert_eq!((status, outcome_of(&answer)), (200, "confirmed"));
    assert_eq!(lock.says(), "unlocked");
}
