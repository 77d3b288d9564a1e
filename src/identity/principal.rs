//! On whose behalf something is asked for.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use latchlight_plugin_api::Caller;
use serde::{Deserialize, Serialize};

use super::pins::PinId;
use super::{Account, AccountId, Identity, Scopes};
use crate::state::DeviceId;

/// Who asks, through what, and from where. That it was let in is no word on
/// what it may do: `Permissions` says so, each time anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who.
    pub who: Who,
    /// Through what.
    pub through: Through,
    /// From where, as far as that is known.
    pub address: Option<IpAddr>,
    /// By which PIN code, where one was typed: what is asked for is for what the
    /// code is for, too.
    pub pin: Option<PinId>,
}

/// Somebody who was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Whoever may use the server's own socket in its data folder, and so could
    /// read and change everything there.
    Operator,
    /// A person or a program.
    Account {
        /// Which.
        id: AccountId,
        /// Its name when it was let in.
        name: Identity,
        /// The account's epoch when it was let in.
        epoch: u32,
        /// What it was let in for; the account may have less by now.
        scopes: Scopes,
    },
    /// A device.
    Device(DeviceId),
    /// A plugin.
    Plugin(Arc<str>),
    /// Whoever publishes on one of the more topics that config.json names.
    Topic(Arc<str>),
}

/// Through what somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Through {
    /// HTTP.
    Http,
    /// MQTT.
    Mqtt,
    /// A keypad, by a PIN code.
    Keypad,
    /// A plugin.
    Plugin,
    /// The server's own socket: the command line.
    Console,
    /// Nobody asked: the server itself.
    Server,
}

impl Through {
    /// The word, as in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Mqtt => "mqtt",
            Self::Keypad => "keypad",
            Self::Plugin => "plugin",
            Self::Console => "console",
            Self::Server => "server",
        }
    }
}

impl FromStr for Through {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Http, Self::Mqtt, Self::Keypad, Self::Plugin, Self::Console, Self::Server]
            .into_iter()
            .find(|through| through.as_str() == word)
            .ok_or_else(|| format!("`{word}` is nothing through which somebody asks"))
    }
}

impl Who {
    /// An account that was let in for this.
    pub fn account(account: &Account, scopes: Scopes) -> Self {
        Self::Account {
            id: account.id,
            name: account.name.clone(),
            epoch: account.epoch,
            scopes: scopes.both(account.allowed_scopes()),
        }
    }

    fn caller(&self) -> Caller {
        match self {
            Self::Account { name, .. } => Caller::App(name.to_string()),
            Self::Operator => Caller::App("operator".to_owned()),
            Self::Device(id) => Caller::Device(id.to_string()),
            Self::Plugin(name) => Caller::Plugin(name.to_string()),
            Self::Topic(topic) => Caller::Topic(topic.to_string()),
        }
    }
}

impl Principal {
    /// Somebody over MQTT.
    pub fn over_mqtt(who: Who) -> Self {
        Self { who, through: Through::Mqtt, address: None, pin: None }
    }

    /// A plugin.
    pub fn plugin(name: &str) -> Self {
        Self { who: Who::Plugin(name.into()), through: Through::Plugin, address: None, pin: None }
    }

    /// Whoever came through the server's own socket.
    pub fn operator() -> Self {
        Self { who: Who::Operator, through: Through::Console, address: None, pin: None }
    }

    /// What stands for whoever asks, and never for anybody else: another account
    /// may have the name one day.
    pub fn key(&self) -> String {
        match &self.who {
            Who::Account { id, .. } => format!("account:{id}"),
            _ => self.to_string(),
        }
    }

    /// As actions and plugins know it.
    pub fn caller(&self) -> Caller {
        self.who.caller()
    }
}

/// `app:<name>`, `device:<id>`, `operator`, … as it stands in records.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.who.fmt(f)
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // No account is called so: theirs begin with `app:`.
            Self::Operator => f.write_str("operator"),
            _ => self.caller().fmt(f),
        }
    }
}
