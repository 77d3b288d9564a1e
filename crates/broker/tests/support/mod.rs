//! A broker of a test's own, and clients that are nothing but packets.
#![allow(dead_code, unreachable_pub, unused_imports, clippy::unwrap_used)]

mod asked;
#[cfg(feature = "tls")]
mod authority;
mod client;
mod contract;
mod diary;
mod disk;
mod endpoint;
mod exchange;
mod losses;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "ledger")]
mod ruled;
#[cfg(all(feature = "tls", feature = "websocket"))]
mod websocket;

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use latchlight_broker::{Access, AllowAll, Broker, BrokerBuilder, CountersSnapshot, Options};
use latchlight_mqtt::{Properties, PropertyValues, ProtocolVersion};

pub(crate) use asked::asked;
#[cfg(feature = "tls")]
pub use authority::{
    Authority, Identity, TLS_VERSIONS, TlsClient, Wallet, patient, tls, tls_client, tls_listener,
};
pub use client::{Client, PATIENCE};
pub use contract::{contract, entries};
pub use diary::Diary;
pub use disk::Disk;
pub use endpoint::{Endpoint, resuming};
pub use exchange::{exchange, large_messages_wait};
pub use losses::Losses;
#[cfg(feature = "redis")]
pub use redis::Redis;
#[cfg(feature = "ledger")]
pub use ruled::{Ruled, durable, user, with_hashes};
#[cfg(all(feature = "tls", feature = "websocket"))]
pub use websocket::{Packing, WsClient, frame, request};

/// Every version that the broker speaks.
pub const VERSIONS: [ProtocolVersion; 3] =
    [ProtocolVersion::V31, ProtocolVersion::V311, ProtocolVersion::V5];

/// A broker on a port of its own; closed when it is dropped.
pub struct TestBroker {
    broker: Broker,
    runtime: tokio::runtime::Runtime,
    closed: bool,
}

impl TestBroker {
    /// Everybody may do everything.
    pub fn start() -> Self {
        Self::with_options(Options::default())
    }

    pub fn with_options(options: Options) -> Self {
        Self::build(|builder| builder.options(options).access(AllowAll))
    }

    pub fn with_access(access: impl Access) -> Self {
        Self::build(|builder| builder.access(access))
    }

    pub fn build(change: impl FnOnce(BrokerBuilder) -> BrokerBuilder) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let broker = change(Broker::builder()).listener(listener).serve().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { broker, runtime, closed: false }
    }

    pub fn address(&self) -> SocketAddr {
        self.broker.addresses()[0]
    }

    pub fn counters(&self) -> CountersSnapshot {
        self.broker.counters()
    }

    /// Waits for something of the broker's that no client is told.
    pub fn until(&self, what: &str, mut holds: impl FnMut(&Broker) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(&self.broker) {
            assert!(Instant::now() < end, "{what}: did not come");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for what a future gives.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime
            .block_on(async { tokio::time::timeout(PATIENCE, future).await })
            .expect("it comes in time")
    }

    /// Stops the broker; gives when that is done.
    pub fn close(&mut self) {
        if !std::mem::replace(&mut self.closed, true) {
            self.runtime.block_on(self.broker.close());
        }
    }
}

impl std::ops::Deref for TestBroker {
    type Target = Broker;

    fn deref(&self) -> &Broker {
        &self.broker
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        self.close();
    }
}

/// Properties with these values.
pub fn values(change: impl FnOnce(&mut PropertyValues)) -> Properties {
    let mut values = PropertyValues::default();
    change(&mut values);
    values.into()
}
