//! The front of the device interface: cloneable, one verb per request.

use std::sync::Arc;

use latchlight_broker::Metrics;
use latchlight_plugin_api::ActionError;
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::Counts;
use super::link::Link;
use super::topics::{DeviceTopicNames, Topics};
use crate::actions::{Answer, Request};
use crate::commands::{CommandHandle, CommandId, Verb};
use crate::identity::Principal;
use crate::state::{DeviceId, DeviceKind};

/// Reaches the device interface from anywhere in the server.
#[derive(Clone)]
pub struct Handle {
    calls: mpsc::Sender<PendingCall>,
    link: Arc<dyn Link>,
    topics: Arc<Topics>,
    counts: Counts,
}

/// A request on its way to the actor.
pub(super) struct PendingCall {
    pub(super) request: Request,
    pub(super) answer: oneshot::Sender<Result<Answer, ActionError>>,
}

/// What an app wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// What.
    pub verb: Verb,
    /// To which devices.
    pub selection: Selection,
    /// Who asks.
    pub principal: Principal,
    /// The command's id, where the app made one; for one device only.
    pub command_id: Option<CommandId>,
}

/// The devices that are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Every device to which the verb means something.
    All,
    /// One device.
    Device(DeviceId),
    /// Every device of a kind.
    Kind(DeviceKind),
}

impl Handle {
    pub(super) fn new(
        calls: mpsc::Sender<PendingCall>,
        link: Arc<dyn Link>,
        topics: Arc<Topics>,
        counts: Counts,
    ) -> Self {
        Self { calls, link, topics, counts }
    }

    /// Performs any action, by its first word.
    ///
    /// # Errors
    /// There is no such action, the caller may not, or it could not be done.
    pub async fn perform(&self, request: Request) -> Result<Answer, ActionError> {
        let (answer, answered) = oneshot::channel();
        let stopped = || ActionError::unavailable("the server is stopping");
        self.calls.send(PendingCall { request, answer }).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    /// Issues commands; their ends are awaited with the handles.
    ///
    /// # Errors
    /// No device is meant, or the record cannot be written.
    pub async fn operate(&self, operation: Operation) -> Result<Vec<CommandHandle>, ActionError> {
        let rest = match &operation.selection {
            Selection::All => json!({}),
            Selection::Device(id) => json!({ "device": id, "id": operation.command_id }),
            Selection::Kind(kind) => json!({ "kind": kind }),
        };
        let word = operation.verb.as_str();
        let request = Request::new(operation.principal, word, rest.to_string());
        Ok(self.perform(request).await?.commands)
    }

    /// Where a device speaks and listens, for whoever sets it up.
    pub fn topics_of(&self, device: &DeviceId) -> DeviceTopicNames {
        self.topics.of(device)
    }

    /// Whether the broker can be reached.
    pub fn link_up(&self) -> bool {
        self.link.is_up()
    }

    /// Whether the embedded broker cannot keep what it has to.
    pub fn is_store_failing(&self) -> bool {
        self.link.is_store_failing()
    }

    /// What is counted of actions and messages, for Prometheus.
    pub fn register_counts(&self, registry: &mut Registry) {
        self.counts.register(registry);
    }

    /// What the embedded broker counts; nothing where an outside one is used.
    pub fn metrics(&self) -> Option<Metrics> {
        self.link.metrics()
    }
}
