//! Devices that have come. What one said, or would have said, while it was away
//! was not heard: whoever says nothing by itself is asked for its state.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::actor::Parts;
use crate::state::DeviceId;

/// How long a device may take to say something by itself.
const SILENCE: Duration = Duration::from_secs(2);

/// Who has come, and may still say something by itself; each device once.
#[derive(Default)]
pub(super) struct Arrivals(Arc<Mutex<HashSet<DeviceId>>>);

impl Arrivals {
    /// A device has come: after a while it is asked, unless it was heard by then
    /// or has gone.
    pub(super) fn came(&self, id: &DeviceId, parts: &Arc<Parts>) {
        if !self.0.lock().insert(id.clone()) {
            return;
        }
        let (waiting, id, parts) = (self.0.clone(), id.clone(), parts.clone());
        let came = Timestamp::now();
        tokio::spawn(async move {
            tokio::time::sleep(SILENCE).await;
            waiting.lock().remove(id.as_str());
            let Some(device) = parts.state.device(&id) else { return };
            let is_silent = device.last_heard.is_none_or(|heard| heard < came);
            if device.online
                && is_silent
                && let Err(error) = parts.context.outbox.ask_to_report(&device).await
            {
                tracing::warn!(%error, "a device has come and says nothing");
            }
        });
    }
}
