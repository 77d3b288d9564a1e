//! The store in Redis, with a real server: killed, restarted, emptied, and
//! taken over.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use latchlight_broker::{AllowAll, Change, InlinePublish, RedisStore, Store};
use latchlight_mqtt::{Packet, ProtocolVersion, Publish, QoS, ReasonCode};
use support::{Client, PATIENCE, Redis, TestBroker, contract, entries, resuming};

use ProtocolVersion::V5;
use QoS::{AtLeastOnce, ExactlyOnce};

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
    first.begin_anew().unwrap();
    assert!(first.commit(&mut [Change::Put(&key, b"2")].into_iter()).is_err());
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
    // What is left goes no sooner than all is there again.
    assert_eq!(entries(&mut store).len(), 1);
    let other = [1; 9];
    store.commit(&mut [Change::Put(&other, b"2")].into_iter()).unwrap();
    assert_eq!(entries(&mut store), BTreeMap::from([(other.to_vec(), b"2".to_vec())]));
    // Or with nothing.
    redis.say(&["FLUSHALL"]);
    assert!(store.commit(&mut put.into_iter()).unwrap_err().is_lost());
    store.begin_anew().unwrap();
    store.commit(&mut put.into_iter()).unwrap();
    assert_eq!(entries(&mut store), BTreeMap::from([(key.to_vec(), b"1".to_vec())]));
}

#[test]
fn one_that_is_read_only_or_full_makes_nothing_of_a_commit() {
    let redis = Redis::start();
    let mut store = redis.store();
    let (old, new) = ([0; 9], [1; 9]);
    store.commit(&mut [Change::Put(&old, b"1")].into_iter()).unwrap();
    let before = entries(&mut store);
    let read_only: [&[&str]; 2] = [&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]];
    let full: [&[&str]; 2] =
        [&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]];
    for ([harm, mend], said) in [(read_only, "read only"), (full, "maxmemory")] {
        redis.say(harm);
        let changes = [Change::Delete(&old), Change::Put(&new, b"2")];
        let error = store.commit(&mut changes.into_iter()).unwrap_err();
        assert!(error.to_string().contains(said) && !error.is_lost(), "{error}");
        redis.say(mend);
        assert_eq!(entries(&mut store), before);
        store.commit(&mut changes.into_iter()).unwrap();
        assert_eq!(entries(&mut store).len(), 1);
        store.commit(&mut [Change::Delete(&new), Change::Put(&old, b"1")].into_iter()).unwrap();
    }
}

#[test]
fn a_password_that_is_wrong_or_has_changed_is_an_error_that_does_not_tell_it() {
    let redis = Redis::start();
    redis.say(&["CONFIG", "SET", "requirepass", "right"]);
    let url = |password| format!("redis://:{password}@127.0.0.1:{}", redis.port);
    let error = RedisStore::connect(&url("secret"), "test").err().unwrap();
    assert!(error.to_string().contains("Password authentication failed"), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    let error = RedisStore::connect(&redis.url(), "test").err().unwrap();
    assert!(error.to_string().contains("NOAUTH"), "{error}");

    let mut store = RedisStore::connect(&url("right"), "test").unwrap();
    let put = [Change::Put(&[0; 9], b"1")];
    store.commit(&mut put.into_iter()).unwrap();
    let say = |password, words: &[&str]| {
        redis.say(&[&["-a", password, "--no-auth-warning"], words].concat())
    };
    say("right", &["CONFIG", "SET", "requirepass", "other"]);
    say("other", &["CLIENT", "KILL", "TYPE", "normal"]);
    let errors: Vec<_> = (0..2).map(|_| store.commit(&mut put.into_iter()).unwrap_err()).collect();
    assert!(errors[1].to_string().contains("Password authentication failed"), "{errors:?}");
    say("other", &["CONFIG", "SET", "requirepass", "right"]);
    store.commit(&mut put.into_iter()).unwrap();
}

#[test]
fn it_is_reached_by_a_socket_file() {
    let redis = Redis::start();
    let socket = redis.folder.path().join("socket");
    let mut store =
        RedisStore::connect(&format!("redis+unix://{}", socket.display()), "test").unwrap();
    store.commit(&mut [Change::Put(&[0; 9], b"1")].into_iter()).unwrap();
    assert_eq!(entries(&mut redis.store()).len(), 1);
}

/// It answers nothing for a while, as one does whose disk is slow.
#[test]
fn one_that_hangs_is_one_that_fails_until_it_goes_on() {
    let redis = Redis::start();
    let broker = on(&redis);
    let mut reader = Client::connect_with(broker.address(), resuming(V5, "reader")).0;
    reader.subscribe("kept", AtLeastOnce);
    redis.signal("STOP");
    let mut first = Client::connect(broker.address(), V5, "first");
    let id = first.next_id();
    let kept = Publish { qos: AtLeastOnce, packet_id: Some(id), ..Publish::new("kept", "1") };
    first.send(Packet::Publish(kept));
    assert_eq!(next(&mut reader).payload, "1");
    let inline = broker.inline();
    broker.until("others are refused", |_| {
        let topic = "kept".try_into().unwrap();
        inline.publish(InlinePublish::new(topic, "2")) == ReasonCode::QuotaExceeded
    });
    redis.signal("CONT");
    assert_eq!(first.next_puback(id), ReasonCode::Success);
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
