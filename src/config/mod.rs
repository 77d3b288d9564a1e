//! The settings: what config.json's `settings` section may hold, a file per
//! part, read by the `config` crate from the built-in defaults, then the
//! file, then the environment (`LATCHLIGHT_HTTP__LISTEN`).
//!
//! Absent by design: nothing here writes; config.json has one writer, the
//! roster in [`crate::state`].

mod commands;
mod database;
mod devices;
#[cfg(test)]
mod documented;
mod environment;
mod events;
mod http;
mod limits;
mod listener;
mod load;
mod log;
mod messages;
mod mqtt;
mod oidc;
mod pictures;
mod plugins;
mod proxies;
mod remote_plugins;
mod section;
mod suggestion;
mod tls;
mod value;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

pub use commands::CommandSettings;
pub use database::DatabaseSettings;
pub use devices::{DeviceSettings, DeviceTopics, Grant};
pub use events::EventSettings;
pub use http::HttpSettings;
pub use limits::LimitSettings;
pub use load::InvalidSettings;
pub use log::{LogFormat, LogSettings};
pub use messages::MessageSettings;
pub use mqtt::{MqttProtocol, MqttSettings};
pub use oidc::OidcSettings;
pub use pictures::PictureSettings;
pub use plugins::{
    AllowedPlugin, CommandGrant, GrantedDevice, PluginGrants, PluginsSettings, Sha256Hex,
    TopicGrant,
};
pub use proxies::TrustedProxies;
pub use remote_plugins::{InstalledPlugin, PluginName, SigningKey};
pub use tls::TlsSettings;

use crate::state::DeviceId;

/// All settings, defaults filled in and checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The API and the board.
    pub http: HttpSettings,
    /// The broker, embedded or outside, and the topics.
    pub mqtt: MqttSettings,
    /// The certificate of both, and the devices' authorities.
    pub tls: TlsSettings,
    /// The OpenID Connect provider at which people sign in.
    pub oidc: OidcSettings,
    /// How fast connections may come.
    pub limits: LimitSettings,
    /// The folder for database, store and pictures; below the folder of
    /// config.json where it is relative.
    pub data: PathBuf,
    /// Where commands and pictures are recorded.
    pub database: DatabaseSettings,
    /// What is written to standard error, and how.
    pub log: LogSettings,
    /// How long a command lives.
    pub commands: CommandSettings,
    /// How long what happened is kept on record.
    pub events: EventSettings,
    /// What cameras may send, what is kept of it, and links to it.
    pub pictures: PictureSettings,
    /// The message gateway.
    pub messages: MessageSettings,
    /// What a device may do beyond its kind, and topics of another shape.
    pub devices: BTreeMap<DeviceId, DeviceSettings>,
    /// Which libraries are loaded, and what they may ask of the server.
    pub plugins: PluginsSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            http: HttpSettings::default(),
            mqtt: MqttSettings::default(),
            tls: TlsSettings::default(),
            oidc: OidcSettings::default(),
            limits: LimitSettings::default(),
            data: PathBuf::from("data"),
            database: DatabaseSettings::default(),
            log: LogSettings::default(),
            commands: CommandSettings::default(),
            events: EventSettings::default(),
            pictures: PictureSettings::default(),
            messages: MessageSettings::default(),
            devices: BTreeMap::new(),
            plugins: PluginsSettings::default(),
        }
    }
}
