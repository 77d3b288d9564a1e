//! Observers see what happened; they change nothing. They are called outside
//! of all locks, on the threads that serve the sockets: they must not block.

use std::sync::Arc;

use latchlight_mqtt::{QoS, ReasonCode};

use crate::ClientInfo;

/// Sees what happened.
pub trait Observer: Send + Sync + 'static {
    /// A client connected.
    fn connected(&self, client: &Arc<ClientInfo>) {
        let _ = client;
    }

    /// A client's connection ended. Where a newer one took its session over,
    /// that one was told of before: `client` tells which of the two ended.
    fn disconnected(&self, client: &Arc<ClientInfo>, reason: ReasonCode) {
        let _ = (client, reason);
    }

    /// A client subscribed, or took its subscriptions up again.
    fn subscribed(&self, client: &Arc<ClientInfo>, filter: &str, qos: QoS) {
        let _ = (client, filter, qos);
    }

    /// A client unsubscribed.
    fn unsubscribed(&self, client: &Arc<ClientInfo>, filter: &str) {
        let _ = (client, filter);
    }
}
