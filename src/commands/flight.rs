//! A command in the hands of the link.

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::Dispatch;
use crate::state::Device;

/// Sends a command on its way; the device interface is one.
#[async_trait]
pub trait Launcher: Send + Sync {
    /// Publishes the command to the device as it stands now: live, never
    /// retained, never queued, never again.
    async fn launch(&self, device: &Device, dispatch: Dispatch) -> Flight;

    /// Whether the broker is there by which devices are reached.
    fn is_up(&self) -> bool;
}

/// What becomes of a command after it was given to the link.
pub struct Flight {
    /// What the link has to tell; after an end comes nothing more. It is there
    /// before what the device says because of it.
    pub events: BoxStream<'static, FlightEvent>,
    /// How the link is told that the device has it.
    pub receipt: Box<dyn Receipt>,
}

/// One event of a flight; few of them come, so their channel has no bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlightEvent {
    /// The link sends it, and does not know yet whether it is taken; from here
    /// on it may have reached the device.
    Leaving,
    /// The link took it; from here on it may have reached the device.
    Sent,
    /// The device's PUBACK came.
    Delivered,
    /// The link will not deliver it any more.
    Ended(FlightEnd),
}

/// Why a flight is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlightEnd {
    /// It was refused before it left: what the link does not carry.
    Refused(String),
    /// Nobody was there to take it; it did not leave.
    Away(String),
    /// Its time ran out before it left.
    NeverLeft(String),
    /// It left, and its connection is gone: the device may or may not have it.
    Lost(String),
}

/// Tells the link that the device itself has answered the command.
pub trait Receipt: Send + Sync {
    /// The device has it: no need to cut its connection at the expiry.
    fn confirm(&self);
}

impl Flight {
    /// A flight that ended before it began.
    pub fn ended(end: FlightEnd) -> Self {
        let events = stream::iter([FlightEvent::Ended(end)]).boxed();
        Self { events, receipt: Box::new(NoReceipt) }
    }
}

/// For links that have nothing to cut.
pub struct NoReceipt;

impl Receipt for NoReceipt {
    fn confirm(&self) {}
}
