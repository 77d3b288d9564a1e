//! How the device interface reaches MQTT: inside the embedded broker, or
//! through an outside one.

mod access;
mod accounts;
mod client;
mod dial;
mod inline;
mod listeners;
mod outgoing;
mod paho;
mod paho_flight;
mod paho_options;
mod paho_session;
mod recording;
mod relay;
mod sessions;
mod sign_in;
mod store;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use latchlight_broker::Metrics;

pub use inline::{Embedding, InlineLink};
pub use listeners::{MqttAddresses, MqttListeners};
pub use outgoing::{GATEWAY_ID, NotTaken, Outgoing};
pub use paho::PahoLink;
pub use recording::{Heard, Recording};
pub use sign_in::Admission;

use super::topics::{Adopted, CommandMessage, Destination};
use crate::commands::{Dispatch, Flight};
use crate::identity::devices::DeviceCredential;
use crate::state::{Device, DeviceId};

/// By what a device is let in: its credentials, or, where the broker is somebody
/// else's, whatever that one asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admitted(Option<Arc<DeviceCredential>>);

/// A device that is not let in, or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its credentials were revoked")]
pub struct NotAdmitted;

/// A way to the devices.
#[async_trait]
pub trait Link: Send + Sync {
    /// Listens on one more topic filter, also after a reconnection.
    async fn subscribe(&self, filter: &str) -> anyhow::Result<()>;

    /// Listens no more.
    async fn unsubscribe(&self, filter: &str) -> anyhow::Result<()>;

    /// Publishes at QoS 1; done when the broker took it.
    async fn publish(&self, to: &Destination, payload: Bytes, retain: bool) -> anyhow::Result<()>;

    /// Publishes to whoever is there now; it is kept nowhere.
    async fn publish_once(&self, to: &Destination, payload: Bytes) -> anyhow::Result<()> {
        self.publish(to, payload, false).await
    }

    /// By what a device is let in at this moment. What it said while that was
    /// something else counts no more.
    ///
    /// # Errors
    /// It is not let in.
    fn admitted(&self, device: &DeviceId) -> Result<Admitted, NotAdmitted> {
        let _ = device;
        Ok(Admitted::default())
    }

    /// Why a device may not bring this base topic along, as far as the broker has
    /// rules of its own for it.
    fn why_not_base(&self, base: &str) -> Option<String> {
        let _ = base;
        None
    }

    /// Publishes a message of the gateway; done when the broker took it, and
    /// has on disk what it keeps of it.
    async fn deliver(&self, to: &Destination, message: Outgoing) -> Result<(), NotTaken>;

    /// Whether a message may have properties.
    fn has_properties(&self) -> bool {
        true
    }

    /// Waits until the broker can be reached.
    async fn until_up(&self) {}

    /// A device has joined by a code: its connection for that is over soon.
    fn joined(&self, device: &DeviceId) {
        let _ = device;
    }

    /// Sends a command: live, never retained, never queued, never again.
    async fn launch(&self, device: &Device, message: CommandMessage, dispatch: Dispatch) -> Flight;

    /// A device listens on this topic from now on; who subscribed to it before
    /// may be that device.
    fn adopted(&self, device: &DeviceId, topics: &Adopted);

    /// Whether a device can be reached, as far as the link itself knows.
    fn presence(&self, device: &DeviceId) -> Option<bool>;

    /// Whether the broker can be reached.
    fn is_up(&self) -> bool;

    /// Whether its broker cannot keep what it has to; nobody else's is known.
    fn is_store_failing(&self) -> bool {
        false
    }

    /// What its broker counts; nothing where that is somebody else's.
    fn metrics(&self) -> Option<Metrics> {
        None
    }

    /// Says goodbye and ends.
    async fn close(&self);
}

/// What comes over a link.
#[derive(Debug, Clone)]
pub enum LinkEvent {
    /// A message on one of the filters.
    Message(Incoming),
    /// These devices' sessions came or went.
    Presence(Vec<DeviceId>),
    /// The broker can be reached (again).
    Up,
    /// The broker can't be reached.
    Down,
}

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Where it was published.
    pub topic: Arc<str>,
    /// What.
    pub payload: Bytes,
    /// It was stored by the broker, or was published to be.
    pub retained: bool,
    /// It may have come before.
    pub duplicate: bool,
}
