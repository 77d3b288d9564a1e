//! `kill -9` of a broker that is at work, again and again, with each store:
//! what was acknowledged comes, and of QoS 2 once.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use latchlight_broker::{AllowAll, Broker, SqliteStore};
use latchlight_mqtt::{Connect, Properties, ProtocolVersion, QoS, Will};
use support::{Client, Endpoint, resuming};

use QoS::{AtLeastOnce, ExactlyOnce};

/// Tells the test of this name to be a broker with its store here.
const BE_A_BROKER: &str = "LATCHLIGHT_TEST_STORE";

const KILLS: usize = 50;

/// What each writer publishes between two of them.
const MESSAGES: usize = 20;

#[test]
fn nothing_that_was_acknowledged_is_lost_by_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    kill_again_and_again(folder.path().join("broker.db").to_str().unwrap());
}

#[cfg(feature = "redis")]
#[test]
fn nothing_that_was_acknowledged_is_lost_by_kill_9_with_the_store_in_redis() {
    let redis = support::Redis::start();
    kill_again_and_again(&redis.url());
}

/// Three write and one reads, all with sessions, each answering as far as it
/// comes; one leaves a will each time.
fn kill_again_and_again(store: &str) {
    let mut reader = Endpoint::new("reader");
    let mut writers = ["writer 1", "writer 2", "writer 3"].map(Endpoint::new);
    let mut sent = 0;
    for round in 0..KILLS {
        let (child, address) = start(store);
        reader.connect(address);
        if round == 0 {
            reader.client().subscribe("kept/#", ExactlyOnce);
        }
        writers.iter_mut().for_each(|writer| writer.connect(address));
        for number in 0..MESSAGES {
            let qos = if number % 2 == 0 { AtLeastOnce } else { ExactlyOnce };
            for writer in &mut writers {
                sent += 1;
                writer.begin_publish(&sent.to_string(), qos);
            }
        }
        sent += 1;
        let mortal = mortal(&format!("mortal {round}"), &sent.to_string());
        let _mortal = Client::connect_with(address, mortal);
        for number in 0..round % (MESSAGES + 5) {
            for writer in writers.iter_mut().filter(|writer| writer.has_open()) {
                writer.take_one();
            }
            // The other direction, too, is somewhere on its way.
            if number % 2 == 1 {
                reader.take_one();
            }
        }
        // What came again and again does not pile up.
        if round % 5 == 4 {
            reader.take_all();
        }
        drop(child);
    }
    let (child, address) = start(store);
    reader.connect(address);
    for writer in &mut writers {
        writer.connect(address);
        while writer.has_open() {
            assert!(writer.take_one());
        }
    }
    reader.take_all();
    drop(child);
    reader.assert_received(sent);
}

/// A client whose session stays, and whose will is said as soon as it is gone.
fn mortal(client_id: &str, payload: &str) -> Connect {
    let mut connect = resuming(ProtocolVersion::V5, client_id);
    connect.will = Some(Will {
        topic: "kept/will".try_into().unwrap(),
        payload: payload.to_owned().into(),
        qos: ExactlyOnce,
        retain: false,
        properties: Properties::new(),
    });
    connect
}

/// Not a test of its own: the process that the ones above kill.
#[test]
fn a_broker_to_be_killed() {
    let Ok(store) = std::env::var(BE_A_BROKER) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let builder = Broker::builder().access(AllowAll).listener(listener);
    #[cfg(feature = "redis")]
    let broker = if store.starts_with("redis:") {
        builder.store(latchlight_broker::RedisStore::connect(&store, "test").unwrap()).serve()
    } else {
        builder.store(SqliteStore::open(&store).unwrap()).serve()
    };
    #[cfg(not(feature = "redis"))]
    let broker = builder.store(SqliteStore::open(&store).unwrap()).serve();
    println!("listens on {}", broker.as_ref().unwrap().addresses()[0]);
    loop {
        std::thread::park();
    }
}

/// A broker in a process of its own; killed when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn start(store: &str) -> (Running, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["a_broker_to_be_killed", "--exact", "--nocapture"])
        .env(BE_A_BROKER, store)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = loop {
        let line = lines.next().expect("the child serves").unwrap();
        if let Some((_, address)) = line.split_once("listens on ") {
            break address.parse().unwrap();
        }
    };
    (Running(child), address)
}
