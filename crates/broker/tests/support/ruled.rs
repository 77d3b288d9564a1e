//! A broker that a ledger rules.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{Client, TestBroker};
use latchlight_broker::document::{self, Format};
use latchlight_broker::ledger::{Ledger, LedgerRules, PasswordHash};
use latchlight_broker::{MemoryStore, QoS, ReasonCode};
use latchlight_mqtt::{Connect, ProtocolVersion, SubscriptionOptions};

use ProtocolVersion::V5;
use QoS::{AtLeastOnce, AtMostOnce};

/// A file of a ledger, and the broker that it rules.
pub struct Ruled {
    pub broker: TestBroker,
    pub ledger: Ledger,
    pub file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Ruled {
    pub fn by(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger.yaml");
        std::fs::write(&file, with_hashes(text)).unwrap();
        let ledger = Ledger::load(&file).unwrap();
        Self { broker: TestBroker::with_access(ledger.clone()), ledger, file, _folder: folder }
    }

    /// Writes the file anew and reloads; gives how many sessions were not kept.
    pub fn change(&self, text: &str) -> usize {
        std::fs::write(&self.file, with_hashes(text)).unwrap();
        self.ledger.reload().unwrap();
        self.broker.review()
    }

    pub fn try_connect(&self, connect: Connect) -> ReasonCode {
        Client::try_connect(self.broker.address(), connect).1.reason
    }

    pub fn connect(&self, connect: Connect) -> Client {
        Client::connect_with(self.broker.address(), connect).0
    }
}

/// Puts the hash of `x`, in quotes, in the place of each `HASH(x)`.
pub fn with_hashes(text: &str) -> String {
    let mut parts = text.split("HASH(");
    let mut whole = parts.next().unwrap().to_owned();
    for part in parts {
        let (password, rest) = part.split_once(')').unwrap();
        whole += &format!("'{}'", PasswordHash::of(password.as_bytes()).unwrap());
        whole += rest;
    }
    whole
}

pub fn user(name: &str, password: &str, client_id: &str) -> Connect {
    Connect {
        username: Some(name.into()),
        password: Some(password.to_owned().into()),
        ..Connect::new(V5, client_id)
    }
}

/// A session that outlives its connection.
pub fn durable(mut connect: Connect, clean_start: bool) -> Connect {
    connect.clean_start = clean_start;
    connect.properties.make_mut().session_expiry_interval = Some(600);
    connect
}
