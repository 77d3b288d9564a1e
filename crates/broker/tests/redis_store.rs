//! The store in Redis, with a real server: killed, restarted, emptied, and
//! taken over.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use latchlight_broker::{AllowAll, Change, RedisStore, Store};
use latchlight_mqtt::{Packet, ProtocolVersion, Publish, QoS, ReasonCode};
use support::{Client, PATIENCE, TestBroker, contract, entries, resuming};
use tempfile::TempDir;

use ProtocolVersion::V5;
use QoS::{AtLeastOnce, ExactlyOnce};

/// A server of the test's own, with its files.
struct Redis {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Redis {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = TempDir::new().unwrap();
        Self { child: serve(port, &folder), port, folder }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn store(&self) -> RedisStore {
        RedisStore::connect(&self.url(), "test").unwrap()
    }

    /// `kill -9`.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on what it has left.
    fn restart(&mut self) {
        self.child = serve(self.port, &self.folder);
    }

    fn say(&self, words: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a server, and waits until it answers.
fn serve(port: u16, folder: &TempDir) -> Child {
    let mut child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
        .arg(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is needed: run script/bootstrap");
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(child.try_wait().unwrap().is_none(), "redis-server has ended");
        assert!(Instant::now() < end, "redis-server does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

#[test]
fn it_does_what_every_store_must() {
    let redis = Redis::start();
    contract(|| redis.store());
    // Another prefix is another store.
    let mut other = RedisStore::connect(&redis.url(), "other").unwrap();
    assert!(entries(&mut other).is_empty());
}

#[test]
fn who_came_last_writes() {
    let redis = Redis::start();
    let mut first = redis.store();
    let key = [0; 9];
    first.commit(&mut [Change::Put(&key, b"1")].into_iter()).unwrap();
    let mut second = redis.store();
    let error = first.commit(&mut [Change::Put(&key, b"2")].into_iter()).unwrap_err();
    assert!(error.to_string().contains("taken the store over") && !error.is_lost(), "{error}");
    assert!(first.begin_anew().is_err());
    second.commit(&mut [Change::Put(&key, b"3")].into_iter()).unwrap();
    assert_eq!(entries(&mut second), BTreeMap::from([(key.to_vec(), b"3".to_vec())]));
}

#[test]
fn what_it_has_lost_is_noticed() {
    let mut redis = Redis::start();
    let mut store = redis.store();
    let key = [0; 9];
    let put = [Change::Put(&key, b"1")];
    store.commit(&mut put.into_iter()).unwrap();
    let earlier = std::fs::read_dir(redis.folder.path().join("appendonlydir")).unwrap();
    let earlier: Vec<_> =
        earlier.flatten().map(|f| (f.path(), std::fs::read(f.path()).unwrap())).collect();
    store.commit(&mut put.into_iter()).unwrap();
    // It comes back as it was one commit before.
    redis.kill();
    earlier.into_iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    redis.restart();
    let error = until_it_answers(&mut store, &put);
    assert!(error.is_some_and(|error| error.is_lost()));
    store.begin_anew().unwrap();
    assert!(entries(&mut store).is_empty());
    store.commit(&mut put.into_iter()).unwrap();
    // Or with nothing.
    redis.say(&["FLUSHALL"]);
    assert!(store.commit(&mut put.into_iter()).unwrap_err().is_lost());
    store.begin_anew().unwrap();
    store.commit(&mut put.into_iter()).unwrap();
    assert_eq!(entries(&mut store).len(), 1);
}

/// Commits until the server is there; gives what went wrong with that.
fn until_it_answers(
    store: &mut RedisStore,
    changes: &[Change<'_>],
) -> Option<latchlight_broker::StoreError> {
    let end = Instant::now() + PATIENCE;
    loop {
        match store.commit(&mut changes.iter().copied()) {
            Ok(()) => return None,
            Err(error) if error.is_lost() => return Some(error),
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
    }
}

#[test]
fn one_that_is_not_there_or_not_meant_is_named_without_its_password() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for url in [format!("redis://:secret@127.0.0.1:{port}"), "redis://:secret@".to_owned()] {
        let error = RedisStore::connect(&url, "test").err().unwrap();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}

/// Publishers at work while the server is killed and comes back again and
/// again: what was acknowledged is there afterwards, QoS 2 exactly once.
#[test]
fn nothing_that_was_acknowledged_is_lost_when_redis_is_killed_under_load() {
    const KILLS: usize = 12;
    const WRITERS: usize = 4;
    let mut redis = Redis::start();
    let mut broker = on(&redis);
    let mut reader = Client::connect_with(broker.address(), resuming(V5, "reader")).0;
    reader.subscribe("kept", ExactlyOnce);
    reader.disconnect();
    let (stop, taken) = (AtomicBool::new(false), AtomicUsize::new(0));
    let acknowledged = Mutex::new(Vec::new());
    let (address, stop, taken, list) = (broker.address(), &stop, &taken, &acknowledged);
    let write = move |writer: usize| {
        let name = format!("writer {writer}");
        let mut client = Client::connect(address, V5, &name);
        for number in 0.. {
            let qos = if number % 2 == 0 { AtLeastOnce } else { ExactlyOnce };
            let payload = format!("{writer} {number}");
            while publish(&mut client, &payload, qos).is_error() {
                // Full: it is not asked again at once.
                std::thread::sleep(Duration::from_millis(20));
                if stop.load(Ordering::SeqCst) {
                    return;
                }
            }
            list.lock().unwrap().push(payload);
            taken.fetch_add(1, Ordering::SeqCst);
            if stop.load(Ordering::SeqCst) {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        (0..WRITERS).for_each(|writer| drop(scope.spawn(move || write(writer))));
        for _ in 0..KILLS {
            let before = taken.load(Ordering::SeqCst);
            broker.until("they publish", |_| taken.load(Ordering::SeqCst) >= before + 40);
            let errors = broker.counters().store_errors;
            redis.kill();
            broker.until("that is seen", |broker| broker.counters().store_errors > errors);
            redis.restart();
        }
        let before = taken.load(Ordering::SeqCst);
        broker.until("they publish", |_| taken.load(Ordering::SeqCst) >= before + 40);
        redis.kill();
        stop.store(true, Ordering::SeqCst);
        redis.restart();
    });
    broker.close();

    let broker = on(&redis);
    let (mut reader, answer) = Client::connect_with(broker.address(), resuming(V5, "reader"));
    assert!(answer.session_present);
    let acknowledged = acknowledged.into_inner().unwrap();
    let mut received: BTreeMap<String, usize> = BTreeMap::new();
    Client::connect(broker.address(), V5, "last").publish("kept", "the last", AtLeastOnce);
    loop {
        let publish = next(&mut reader);
        let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
        if payload == "the last" {
            break;
        }
        *received.entry(payload).or_default() += 1;
    }
    for payload in &acknowledged {
        assert_eq!(received.get(payload), Some(&1), "{payload} of {}", acknowledged.len());
    }
}

/// Publishes, and is told what became of it.
fn publish(client: &mut Client, payload: &str, qos: QoS) -> ReasonCode {
    let id = client.next_id();
    let publish = Publish::new("kept", payload.to_owned());
    client.send(Packet::Publish(Publish { qos, packet_id: Some(id), ..publish }));
    if qos == AtLeastOnce {
        return client.next_puback(id);
    }
    let reason = client.next_pubrec(id);
    if !reason.is_error() {
        client.pubrel(id);
        client.next_pubcomp(id);
    }
    reason
}

/// The next message, acknowledged; what comes between is answered.
fn next(reader: &mut Client) -> Publish {
    loop {
        match reader.next() {
            Packet::Publish(publish) => {
                let id = publish.packet_id.unwrap();
                match publish.qos {
                    ExactlyOnce => reader.pubrec(id),
                    _ => reader.puback(id),
                }
                return publish;
            }
            Packet::PubRel(ack) => reader.pubcomp(ack.packet_id),
            other => panic!("expected PUBLISH, received {other:?}"),
        }
    }
}

fn on(redis: &Redis) -> TestBroker {
    let store = redis.store();
    TestBroker::build(|builder| builder.access(AllowAll).store(store))
}
