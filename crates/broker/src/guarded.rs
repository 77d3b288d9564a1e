//! The access hook behind a wall: one that panics refuses.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use latchlight_mqtt::{ReasonCode, Will};

use crate::ClientInfo;
use crate::access::{Access, ConnectRequest, PublishRequest, Refusal, Review};
use crate::authentication::{Authentication, AuthenticationRequest, AuthenticationStep};
use crate::hooks::{Panicked, call};

const REASON: ReasonCode = ReasonCode::UnspecifiedError;

/// Asks a hook. Where that panics, the answer is no, and that was logged: who
/// asks may be another client's thread, or the program itself.
pub(crate) struct Guarded<A>(pub(crate) A);

/// The same for an authentication on its way.
struct GuardedAuthentication(Box<dyn Authentication>);

type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Waits for a hook.
async fn wait<T>(hook: &'static str, mut answer: Waiting<'_, T>) -> Result<T, Panicked> {
    poll_fn(|context| match call(hook, || answer.as_mut().poll(context)) {
        Ok(poll) => poll.map(Ok),
        Err(Panicked) => Poll::Ready(Err(Panicked)),
    })
    .await
}

#[async_trait]
impl<A: Access> Access for Guarded<A> {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        wait("authenticate", self.0.authenticate(request)).await.unwrap_or(Err(REASON))
    }

    fn begin_authentication(
        &self,
        request: &AuthenticationRequest<'_>,
    ) -> Result<Box<dyn Authentication>, ReasonCode> {
        let begun = call("begin_authentication", || self.0.begin_authentication(request));
        Ok(Box::new(GuardedAuthentication(begun.unwrap_or(Err(REASON))?)))
    }

    fn authorize_publish(
        &self,
        client: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        let asked = call("authorize_publish", || self.0.authorize_publish(client, request));
        // Not to be acknowledged as if somebody had it (C14).
        asked.unwrap_or(Err(Refusal::Disconnect(REASON)))
    }

    fn authorize_subscribe(&self, client: &ClientInfo, filter: &str) -> Result<(), ReasonCode> {
        let asked = call("authorize_subscribe", || self.0.authorize_subscribe(client, filter));
        asked.unwrap_or(Err(REASON))
    }

    fn checks_delivery(&self) -> bool {
        call("checks_delivery", || self.0.checks_delivery()).unwrap_or(true)
    }

    fn authorize_receive(&self, client: &ClientInfo, topic: &str) -> bool {
        call("authorize_receive", || self.0.authorize_receive(client, topic)).unwrap_or(false)
    }

    fn authorize_will(&self, client: &ClientInfo, will: &Will) -> Result<(), ReasonCode> {
        let asked = call("authorize_will", || self.0.authorize_will(client, will));
        asked.unwrap_or(Err(REASON))
    }

    fn review(&self, client: &ClientInfo) -> Review {
        // What waits for it is not lost by that.
        call("review", || self.0.review(client)).unwrap_or(Review::Disconnect(REASON))
    }
}

#[async_trait]
impl Authentication for GuardedAuthentication {
    async fn step(&mut self, data: &[u8]) -> Result<AuthenticationStep, ReasonCode> {
        wait("authentication step", self.0.step(data)).await.unwrap_or(Err(REASON))
    }
}
