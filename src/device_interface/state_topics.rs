//! The retained `state` of each device, for everyone to see.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::link::Link;
use super::outbox::listen_no_more;
use super::topics::Topics;
use crate::state::{Device, DeviceId, DeviceKind, DeviceState, State};

/// What stands on `…/devices/<id>/state`.
#[derive(Serialize)]
struct StateMessage<'a> {
    kind: DeviceKind,
    state: &'a DeviceState,
    #[serde(serialize_with = "crate::timestamp::milliseconds")]
    since: jiff::Timestamp,
    battery: Option<u8>,
    online: bool,
}

/// Publishes the state of each device that changed, for ever; one task runs
/// this. While the link is down, changes wait here, the latest of each device:
/// also that it was removed, for its state is still retained over there.
pub(super) async fn run(state: State, topics: Arc<Topics>, link: Arc<dyn Link>) {
    let mut untold = HashSet::new();
    loop {
        for id in state.changes().await {
            let left = topics.joins.unless_joining(&id, || {
                if state.is_known(id.as_str()) { None } else { topics.drop_base(&id) }
            });
            if let Some(left) = left {
                listen_no_more(&left, &topics, link.as_ref()).await;
            }
            untold.insert(id);
        }
        if !link.is_up() {
            continue;
        }
        for id in std::mem::take(&mut untold) {
            let device = state.device(&id);
            if let Err(error) = publish(&id, device.as_deref(), &topics, link.as_ref()).await {
                tracing::warn!(device = %id, error = format!("{error:#}"), "publish the state");
                if !link.is_up() {
                    untold.insert(id);
                }
            }
        }
    }
}

async fn publish(
    id: &DeviceId,
    device: Option<&Device>,
    topics: &Topics,
    link: &dyn Link,
) -> anyhow::Result<()> {
    let payload = match device {
        Some(Device { kind, state, since, battery, online, .. }) => {
            let message = StateMessage {
                kind: *kind,
                state,
                since: *since,
                battery: *battery,
                online: *online,
            };
            Bytes::from(serde_json::to_vec(&message)?)
        }
        // An empty retained message takes the old one away [MQTT-3.3.1-6].
        None => Bytes::new(),
    };
    link.publish(&topics.device_state(id), payload, true).await
}
