//! What actions work with.

use async_trait::async_trait;
use serde_json::Value;

use crate::commands::Commands;
use crate::events::Events;
use crate::identity::Permissions;
use crate::identity::devices::{DeviceCredentials, Pairing};
use crate::pictures::{PictureLinks, Pictures};
use crate::state::{Device, DeviceId, State};

/// Everything that an action may use, shared by all.
pub struct Context {
    /// The roster.
    pub state: State,
    /// What devices are told to do.
    pub commands: Commands,
    /// The record of what happened.
    pub events: Events,
    /// What cameras saw.
    pub pictures: Pictures,
    /// What devices show to be let in.
    pub credentials: DeviceCredentials,
    /// Whether a new one may join.
    pub pairing: Pairing,
    /// Who may do what.
    pub permissions: Permissions,
    /// Makes links to pictures.
    pub links: PictureLinks,
    /// The way out for what is neither answer nor command.
    pub outbox: Box<dyn Outbox>,
}

/// Says things to the world, without the action knowing how.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Raises an alert for everyone, and for the devices that asked for it.
    ///
    /// # Errors
    /// It could not be sent.
    async fn alert(&self, what: &str, body: Value) -> Result<(), String>;

    /// Asks a device to say its state.
    ///
    /// # Errors
    /// It could not be sent.
    async fn ask_to_report(&self, device: &Device) -> Result<(), String>;

    /// A device joins: until this is dropped, its topics are its own, though the
    /// roster does not have it yet, or not any more.
    fn joining(&self, device: &DeviceId) -> Box<dyn Send>;

    /// Listens where a device with a base topic of its own speaks, and no
    /// more where it did before; without one, as any other device's.
    ///
    /// # Errors
    /// The topic cannot be its own.
    async fn adopt(&self, device: &DeviceId, base: Option<&str>) -> Result<(), String>;

    /// Whether the device can be reached, as far as that is known.
    fn presence(&self, device: &DeviceId) -> Option<bool>;
}
