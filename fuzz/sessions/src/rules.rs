//! Who may do what: who keeps to nothing stays among its own.

use std::sync::Arc;

use async_trait::async_trait;
use latchlight_broker::{Access, ClientInfo, ConnectRequest, PublishRequest, ReasonCode, Refusal};

/// The listener that the evil one comes by, its identity, and the beginning of
/// its client ids; its topics are below it.
pub(crate) const EVIL: &str = "evil";

pub(crate) struct Rules;

#[async_trait]
impl Access for Rules {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        if request.listener != EVIL {
            return Ok("good".into());
        }
        let theirs = request.client_id.starts_with(EVIL) || request.client_id.starts_with("auto-");
        theirs.then(|| EVIL.into()).ok_or(ReasonCode::NotAuthorized)
    }

    fn authorize_publish(
        &self,
        client: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        if is_allowed(client, request.topic) && !(request.retain && &*client.identity == EVIL) {
            return Ok(());
        }
        Err(Refusal::Ignore(ReasonCode::NotAuthorized))
    }

    fn authorize_subscribe(&self, client: &ClientInfo, filter: &str) -> Result<(), ReasonCode> {
        is_allowed(client, filter).then_some(()).ok_or(ReasonCode::NotAuthorized)
    }
}

fn is_allowed(client: &ClientInfo, topic: &str) -> bool {
    &*client.identity != EVIL || topic.starts_with("evil/")
}
