//! Who may do what in the embedded broker. Accounts are to come, so that
//! whoever reaches the loopback listener may connect; but nobody speaks as
//! the server, nobody commands a device, and nothing that is acted on is kept.

use std::sync::Arc;

use async_trait::async_trait;
use latchlight_broker::{Access, ClientInfo, ConnectRequest, PublishRequest, ReasonCode, Refusal};

use crate::device_interface::topics::Topics;

/// The access rules of this server's topics.
pub(super) struct LinkAccess {
    topics: Arc<Topics>,
}

impl LinkAccess {
    pub(super) fn new(topics: Arc<Topics>) -> Self {
        Self { topics }
    }
}

#[async_trait]
impl Access for LinkAccess {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        Ok(request.username.unwrap_or("anonymous").into())
    }

    fn authorize_publish(
        &self,
        client: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        let PublishRequest { topic, retain, will, .. } = *request;
        if let Err(error) = self.topics.refuse_reserved(topic) {
            tracing::warn!(client = ?client.client_id, %error, "a publish is refused");
            return Err(Refusal::Disconnect(ReasonCode::NotAuthorized));
        }
        // C1: what is kept would be acted on at some other time; and a will is
        // said when nobody asks for it.
        if (retain || will) && self.topics.is_spoken_topic(topic) {
            tracing::warn!(client = ?client.client_id, topic, retain, will, "a publish is refused");
            return Err(Refusal::Disconnect(ReasonCode::NotAuthorized));
        }
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
        Ok(())
    }
}
