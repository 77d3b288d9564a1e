//! The store on a disk that loses what was not synced, at every moment: below
//! SQLite, with what is torn and out of order; and one that is full (C28).
#![allow(clippy::unwrap_used)]

#[path = "support/losing_disk.rs"]
mod losing_disk;
mod support;

use std::collections::BTreeMap;
use std::path::Path;

use latchlight_broker::{AllowAll, Change, SqliteStore, Store};
use latchlight_mqtt::{Packet, Properties, ProtocolVersion, Publish, QoS, ReasonCode, Will};
use losing_disk::{LosingDisk, Unsynced};
use support::{Client, Endpoint, TestBroker, entries, resuming};

use ProtocolVersion::V5;
use QoS::{AtLeastOnce, ExactlyOnce};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// How many commits a run makes: its log is written back on the way.
const COMMITS: u32 = 40;

/// The rows that each of them brings.
const EACH: u32 = 40;

/// What a commit makes of the rows: some come, one changes, some go.
fn change(rows: &mut Rows, commit: u32) {
    for row in 0..EACH {
        rows.insert(key(commit * EACH + row), vec![commit as u8; 2500]);
        rows.remove(&key(commit.saturating_sub(2) * EACH + row));
    }
    rows.insert(key(0), vec![commit as u8; 100]);
}

fn key(number: u32) -> Vec<u8> {
    [&7_u64.to_be_bytes()[..], &number.to_be_bytes()].concat()
}

/// Commits until the power goes, or it is done; gives how many it was told of,
/// and what may be there then.
fn commit_until_cut(store: &mut SqliteStore) -> (u32, [Rows; 2]) {
    let mut before = Rows::new();
    for commit in 1..=COMMITS {
        let mut rows = before.clone();
        change(&mut rows, commit);
        let puts = rows.iter().filter(|(key, value)| before.get(*key) != Some(value));
        let gone = before.keys().filter(|key| !rows.contains_key(*key));
        let puts = puts.map(|(key, value)| Change::Put(key, value));
        if store.commit(&mut puts.chain(gone.map(|key| Change::Delete(key)))).is_err() {
            // The one that it was not told of may have been made.
            return (commit - 1, [before, rows]);
        }
        before = rows;
    }
    (COMMITS, [before, Rows::new()])
}

#[test]
fn at_whichever_write_or_sync_the_power_goes_what_was_committed_is_there_and_whole() {
    let disk = LosingDisk::new();
    let mut store = SqliteStore::open(disk.folder().join("broker.db")).unwrap();
    let opened = disk.steps();
    assert_eq!(commit_until_cut(&mut store).0, COMMITS);
    let steps = disk.steps() - opened;
    drop(store);

    for (number, step) in (1..=steps).step_by(steps / 60).enumerate() {
        let unsynced = [Unsynced::Lost, Unsynced::Torn(step as u64)][number % 2];
        let disk = LosingDisk::new();
        let file = disk.folder().join("broker.db");
        let mut store = SqliteStore::open(&file).unwrap();
        disk.cut_at(step, unsynced);
        let (told, may_be) = commit_until_cut(&mut store);
        drop(store);
        let found = entries(&mut SqliteStore::open(&file).unwrap());
        let at = format!("step {step} of {steps}, {unsynced:?}, after commit {told}");
        assert!(may_be.contains(&found), "{at}: {} rows", found.len());
        assert_eq!(put_aside(disk.folder()), 0, "{at}");
    }
}

/// Publishers, readers and wills, while the power goes again and again.
#[test]
fn nothing_that_was_acknowledged_is_lost_when_the_power_goes_below_sqlite() {
    const CUTS: usize = 50;
    const MESSAGES: usize = 12;
    let disk = LosingDisk::new();
    let file = disk.folder().join("broker.db");
    let mut broker = on(&file);
    let (mut reader, mut writer) = (Endpoint::new("reader"), Endpoint::new("writer"));
    reader.connect(broker.address());
    reader.client().subscribe("kept/#", ExactlyOnce);
    let mut sent = 0;
    for round in 0..CUTS {
        writer.connect(broker.address());
        for number in 0..MESSAGES {
            let qos = if number % 2 == 0 { AtLeastOnce } else { ExactlyOnce };
            sent += 1;
            writer.begin_publish(&sent.to_string(), qos);
        }
        // What this one leaves is said when the broker is back.
        sent += 1;
        let mortal = mortal(&format!("mortal {round}"), &sent.to_string());
        let _mortal = Client::connect_with(broker.address(), mortal);
        for _ in 0..round % (MESSAGES * 2) {
            if writer.has_open() {
                writer.take_one();
            }
        }
        for _ in 0..round % 5 {
            reader.take_one();
        }
        if round % 10 == 9 {
            reader.take_all();
        }
        disk.cut(if round % 3 == 0 { Unsynced::Lost } else { Unsynced::Torn(round as u64) });
        broker.close();
        broker = on(&file);
        reader.connect(broker.address());
    }
    writer.connect(broker.address());
    while writer.has_open() {
        writer.take_one();
    }
    reader.take_all();
    reader.assert_received(sent);
    assert_eq!(put_aside(disk.folder()), 0);
}

/// A client whose session stays, and whose will is said at once.
fn mortal(client_id: &str, payload: &str) -> latchlight_mqtt::Connect {
    let mut connect = resuming(V5, client_id);
    connect.will = Some(Will {
        topic: "kept/will".try_into().unwrap(),
        payload: payload.to_owned().into(),
        qos: ExactlyOnce,
        retain: false,
        properties: Properties::new(),
    });
    connect
}

#[test]
fn a_full_disk_is_an_error_and_not_a_lie() {
    let disk = LosingDisk::new();
    let file = disk.folder().join("broker.db");
    disk.fill(true);
    let error = SqliteStore::open(&file).unwrap_err().to_string();
    assert!(error.contains("full"), "{error}");
    disk.fill(false);

    let mut broker = on(&file);
    let mut reader = Client::connect_with(broker.address(), resuming(V5, "reader")).0;
    reader.subscribe("kept", AtLeastOnce);
    reader.vanish();
    broker.until("it is gone", |broker| broker.clients().is_empty());
    // That it is gone is committed by then, too.
    Client::connect(broker.address(), V5, "last").publish_retained("last", "", AtLeastOnce);
    disk.fill(true);
    let mut first = Client::connect(broker.address(), V5, "first");
    let id = first.next_id();
    let kept = Publish { qos: AtLeastOnce, packet_id: Some(id), ..Publish::new("kept", "1") };
    first.send(Packet::Publish(kept));
    broker.until("that is seen", |broker| broker.counters().store_errors > 0);
    let mut second = Client::connect(broker.address(), V5, "second");
    assert_eq!(second.publish("kept", "2", AtLeastOnce), ReasonCode::QuotaExceeded);
    disk.fill(false);
    assert_eq!(first.next_puback(id), ReasonCode::Success);
    disk.cut(Unsynced::Lost);
    broker.close();

    let broker = on(&file);
    let mut reader = Client::connect_with(broker.address(), resuming(V5, "reader")).0;
    assert_eq!(reader.next_message().1, "1");
    reader.expect_nothing();
    assert_eq!(put_aside(disk.folder()), 0);
}

/// How many files there are that were taken for torn or lost.
fn put_aside(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).unwrap().flatten();
    let names = names.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.contains(".torn-") || name.contains(".lost-")).count()
}

fn on(file: &Path) -> TestBroker {
    let store = SqliteStore::open(file).unwrap();
    TestBroker::build(|builder| builder.access(AllowAll).store(store))
}
