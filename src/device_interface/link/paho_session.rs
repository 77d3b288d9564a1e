//! One connection of the link to an outside broker: what goes out by it, and
//! how much of that at once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use paho_mqtt::{AsyncClient, Message, PropertyCode, ReasonCode, ServerResponse, Token};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::relay::{Cutter, Relay};

/// How many publishes may be open at once, if the broker takes as many: what
/// goes beyond would wait within paho, where nothing can take it back.
const WINDOW: u16 = 64;

/// How long a request to the broker may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// One connection, as long as it lasts.
pub(super) struct Session {
    pub(super) client: AsyncClient,
    window: Arc<Semaphore>,
    /// There is none before the connection has a relay.
    cutter: OnceLock<Cutter>,
}

impl Session {
    /// One that sends nothing yet.
    pub(super) fn new(client: AsyncClient) -> Self {
        Self { client, window: Arc::new(Semaphore::new(0)), cutter: OnceLock::new() }
    }

    /// It is cut where it is carried.
    pub(super) fn is_carried_by(&self, relay: &Relay) {
        let _ = self.cutter.set(relay.cutter());
    }

    /// The broker has let it in, and said how much it takes at once.
    pub(super) fn open(&self, answer: &ServerResponse) {
        let window = receive_maximum(answer).map_or(WINDOW, |most| most.min(WINDOW));
        self.window.add_permits(usize::from(window));
    }

    /// The connection is gone: who waits for room waits no more.
    pub(super) fn close(&self) {
        self.window.close();
    }

    /// Waits until there is room for one more publish.
    pub(super) async fn permit(&self) -> Result<OwnedSemaphorePermit, paho_mqtt::Error> {
        self.window.clone().acquire_owned().await.map_err(|_| paho_mqtt::Error::Disconnected)
    }

    /// Publishes; the permit is given back when paho is done with it, however
    /// long that takes.
    pub(super) async fn publish(
        &self,
        message: Message,
        permit: OwnedSemaphorePermit,
        wait: Duration,
    ) -> Result<ReasonCode, paho_mqtt::Error> {
        let mut token: Token = self.client.publish(message).into();
        if let Ok(answer) = timeout(wait, &mut token).await {
            return answer.map(|answer| answer.reason_code());
        }
        tokio::spawn(async move {
            let _ = token.await;
            drop(permit);
        });
        Err(paho_mqtt::Error::Timeout)
    }

    /// Resets the connection; when this returns, nothing goes out any more.
    pub(super) async fn cut(&self) {
        if let Some(cutter) = self.cutter.get() {
            cutter.cut().await;
        }
    }

    /// Publishes when there is room.
    pub(super) async fn deliver(&self, message: Message) -> Result<ReasonCode, paho_mqtt::Error> {
        let permit = self.permit().await?;
        self.publish(message, permit, PATIENCE).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Takes paho's lock: a callback that is under way has ended then, and
        // does not have the client freed from within itself.
        let _ = self.client.is_connected();
    }
}

/// How many publishes the broker takes at once, where it says so.
fn receive_maximum(answer: &ServerResponse) -> Option<u16> {
    answer.properties().get_int(PropertyCode::ReceiveMaximum)?.try_into().ok()
}
