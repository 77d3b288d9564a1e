//! Messages that come together and reach many: every reader gets what it would
//! get if they were few.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod alike;
mod at_least_once;
mod bounds;
mod hooks;

use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use latchlight_broker::{Access, ClientInfo, ConnectRequest, PublishRequest, ReasonCode, Refusal};
use latchlight_mqtt::ProtocolVersion::V311;
use latchlight_mqtt::QoS::AtMostOnce;
use latchlight_mqtt::{Packet, Publish, QoS};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Client, TestBroker};

/// What counts as many readers.
const MANY: usize = 64;

fn message(payload: impl Into<Vec<u8>>) -> Publish {
    Publish::new("t", payload.into())
}

/// Refuses some readers, and looks at the last message who has something.
#[derive(Clone, Default)]
struct Watching {
    readers: Arc<Mutex<Vec<TcpStream>>>,
    had_some: Arc<Mutex<Option<usize>>>,
    /// At the most, when it was asked about one of them.
    had_some_when_asked: Arc<AtomicUsize>,
}

impl Watching {
    fn watch(&self, readers: &[Client]) {
        let streams = readers.iter().map(|reader| reader.stream().try_clone().unwrap());
        *self.readers.lock().unwrap() = streams.collect();
    }

    /// How many of the readers have something that they did not read.
    fn have_some(&self) -> usize {
        let has_some = |reader: &&TcpStream| {
            reader.set_nonblocking(true).unwrap();
            let has_some = reader.peek(&mut [0]).is_ok();
            reader.set_nonblocking(false).unwrap();
            has_some
        };
        self.readers.lock().unwrap().iter().filter(has_some).count()
    }
}

#[async_trait]
impl Access for Watching {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        Ok(request.client_id.into())
    }

    fn authorize_publish(
        &self,
        _: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        match request.topic {
            "last" => *self.had_some.lock().unwrap() = Some(self.have_some()),
            "refused" => return Err(Refusal::Disconnect(ReasonCode::NotAuthorized)),
            _ => {}
        }
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
        Ok(())
    }

    fn checks_delivery(&self) -> bool {
        true
    }

    fn authorize_receive(&self, client: &ClientInfo, _: &str) -> bool {
        self.had_some_when_asked.fetch_max(self.have_some(), Ordering::Relaxed);
        !client.client_id.starts_with("refused")
    }
}

/// Several tests at a time have more sockets open than a shell lets a program
/// have, where it may have more.
fn allow_many_sockets() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

/// Readers of what most messages here are about.
fn readers(broker: &TestBroker, name: &str, count: usize) -> Vec<Client> {
    subscribers(broker, name, count, "t", AtMostOnce)
}

fn subscribers(
    broker: &TestBroker,
    name: &str,
    count: usize,
    filter: &str,
    qos: QoS,
) -> Vec<Client> {
    allow_many_sockets();
    let reader = |number| {
        let mut reader = Client::connect(broker.address(), V311, &format!("{name}-{number}"));
        reader.subscribe(filter, qos);
        reader
    };
    (0..count).map(reader).collect()
}

/// Numbered ones, of so many bytes of payload.
fn numbered(count: u32, payload: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 0..count {
        let mut content = number.to_be_bytes().to_vec();
        content.resize(payload, b'x');
        Packet::Publish(message(content)).encode(V311, &mut bytes).unwrap();
    }
    bytes
}

fn expect_numbered(reader: &mut Client, count: u32) {
    for number in 0..count {
        assert_eq!(reader.next_publish().payload[..4], number.to_be_bytes());
    }
}
