//! Who calls an action.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who calls an action.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// A device, by its id.
    Device(String),
    /// An app, by its identity.
    App(String),
    /// A plugin, by its name.
    Plugin(String),
    /// Whoever publishes on one of the more topics that config.json names;
    /// nobody knows who that is.
    Topic(String),
}

/// `device:<id>`, `app:<identity>`, … as it stands in records.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(id) => write!(f, "device:{id}"),
            Self::App(identity) => write!(f, "app:{identity}"),
            Self::Plugin(name) => write!(f, "plugin:{name}"),
            Self::Topic(topic) => write!(f, "topic:{topic}"),
        }
    }
}
