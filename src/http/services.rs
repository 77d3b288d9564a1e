//! What the routes work with; startup builds it.

use std::sync::Arc;

use serde::Serialize;

use crate::actions::Registry;
use crate::commands::Commands;
use crate::config::{HttpSettings, LimitSettings};
use crate::database::Database;
use crate::device_interface::Handle;
use crate::events::Events;
use crate::identity::Permissions;
use crate::identity::devices::DeviceCredentials;
use crate::pictures::Pictures;
use crate::plugin_host::PluginHost;
use crate::state::State;
use crate::tls::Certificates;

/// What the routes work with; cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// The device interface, through which everything is operated.
    pub handle: Handle,
    /// The roster.
    pub state: State,
    /// Who may do and see what.
    pub permissions: Permissions,
    /// What devices show to be let in.
    pub credentials: DeviceCredentials,
    /// The record of commands, and the idempotency keys.
    pub commands: Commands,
    /// The record of what happened.
    pub events: Events,
    /// The actions.
    pub registry: Arc<Registry>,
    /// The plugins, and what became of them.
    pub plugins: PluginHost,
    /// What cameras saw.
    pub pictures: Pictures,
    /// Where devices and the server meet.
    pub broker: Arc<BrokerAddress>,
    /// Asked by `/readyz` whether it answers.
    pub database: Database,
    /// Where work goes on, also without the app that asked for it.
    pub runtime: tokio::runtime::Handle,
    /// The section `http` of the settings.
    pub settings: Arc<HttpSettings>,
    /// The section `limits`.
    pub limits: LimitSettings,
    /// What the listeners with TLS go by, if there are any.
    pub certificates: Option<Certificates>,
}

/// Where devices and the server meet.
#[derive(Debug, Serialize)]
pub struct BrokerAddress {
    /// Whether the broker is the server's own.
    pub embedded: bool,
    /// Without credentials.
    pub url: String,
    /// The first level, or levels, of every topic.
    pub prefix: String,
}
