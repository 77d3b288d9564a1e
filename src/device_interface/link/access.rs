//! Who may do what in the embedded broker. Accounts are to come, so that
//! whoever reaches the loopback listener may connect; but nobody speaks as
//! the server, nobody commands a device, and nothing that is acted on is kept.

use std::sync::Arc;

use async_trait::async_trait;
use latchlight_broker::{Access, ClientInfo, ConnectRequest, PublishRequest, ReasonCode, Refusal};

use crate::device_interface::Mistakes;
use crate::device_interface::topics::Topics;

/// The access rules of this server's topics.
pub(super) struct LinkAccess {
    topics: Arc<Topics>,
    /// Apart from the device interface's: a crowd of clients that publish what
    /// they may not hides nobody's mistakes there.
    mistakes: Mistakes,
}

impl LinkAccess {
    pub(super) fn new(topics: Arc<Topics>) -> Self {
        Self { topics, mistakes: Mistakes::default() }
    }

    fn refuse(&self, client: &ClientInfo, why: &str) -> Refusal {
        self.mistakes.log(&format!("client {}", client.client_id), why);
        Refusal::Disconnect(ReasonCode::NotAuthorized)
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
            return Err(self.refuse(client, &error.to_string()));
        }
        // C1: what is kept would be acted on at some other time; and a will is
        // said when nobody asks for it.
        if (retain || will) && self.topics.is_spoken_topic(topic) {
            let why = format!("`{topic}` is acted on: nothing retained goes there, and no will");
            return Err(self.refuse(client, &why));
        }
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
        Ok(())
    }
}
