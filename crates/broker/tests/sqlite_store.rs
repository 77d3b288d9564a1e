//! The store on a real disk: torn, and taken by somebody else.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use latchlight_broker::{AllowAll, Change, MemoryStore, SqliteStore, Store};
use latchlight_mqtt::QoS;
use support::{TestBroker, contract, entries};

#[test]
fn a_torn_file_is_kept_aside_and_a_new_one_begun() {
    for torn in
        [&b"this is no database, and long enough not to be taken for an empty one"[..], &[0; 8192]]
    {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("broker.db");
        std::fs::write(&file, torn).unwrap();
        let mut store = SqliteStore::open(&file).unwrap();
        store.commit(&mut [Change::Put(b"key", b"value")].into_iter()).unwrap();
        drop(store);
        assert_eq!(
            entries(&mut SqliteStore::open(&file).unwrap()),
            BTreeMap::from([(b"key".to_vec(), b"value".to_vec())])
        );
        let aside = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap());
        let aside: Vec<_> =
            aside.filter(|entry| entry.file_name().to_str().unwrap().contains(".torn-")).collect();
        assert_eq!(aside.len(), 1);
        assert_eq!(std::fs::read(aside[0].path()).unwrap(), torn);
    }
}

#[test]
fn a_page_that_is_torn_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broker.db");
    let mut store = SqliteStore::open(&file).unwrap();
    let keys: Vec<_> = (0..2000_u32).map(u32::to_be_bytes).collect();
    store.commit(&mut keys.iter().map(|key| Change::Put(key, &[7; 100]))).unwrap();
    drop(store);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xAA);
    std::fs::write(&file, bytes).unwrap();
    drop(SqliteStore::open(&file).unwrap());
    assert!(entries(&mut SqliteStore::open(&file).unwrap()).is_empty());
}

#[test]
fn a_file_that_another_process_uses_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broker.db");
    let mut first = SqliteStore::open(&file).unwrap();
    first.commit(&mut [Change::Put(b"key", b"value")].into_iter()).unwrap();
    let error = SqliteStore::open(&file).unwrap_err().to_string();
    assert!(error.contains("another process uses it"), "{error}");
    let nowhere = folder.path().join("no/such/folder/broker.db");
    let error = SqliteStore::open(&nowhere).unwrap_err().to_string();
    assert!(error.contains("no/such/folder"), "{error}");
}

#[test]
fn every_store_does_what_it_must() {
    let folder = tempfile::tempdir().unwrap();
    contract(|| SqliteStore::open(folder.path().join("broker.db")).unwrap());
    let store = MemoryStore::default();
    contract(|| store.clone());
}

#[test]
fn a_graceful_close_commits_what_is_pending() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broker.db");
    let mut broker = on(&file);
    let mut client =
        support::Client::connect(broker.address(), latchlight_mqtt::ProtocolVersion::V5, "a");
    client.publish_retained("a", "kept at QoS 0", QoS::AtMostOnce);
    broker.close();
    let broker = on(&file);
    assert_eq!(broker.counters().retained_messages, 1);
}

fn on(file: &Path) -> TestBroker {
    let store = SqliteStore::open(file).unwrap();
    TestBroker::build(|builder| builder.access(AllowAll).store(store))
}
