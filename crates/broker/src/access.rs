//! The access hook: who may connect, publish, subscribe and receive.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use latchlight_mqtt::{PacketType, ProtocolVersion, QoS, ReasonCode, Will};

use crate::{Authentication, AuthenticationRequest, ClientCertificate, ClientInfo};

/// What a client shows when it connects.
#[derive(Debug, Clone, Copy)]
pub struct ConnectRequest<'a> {
    /// The client id; where it sent none, the one that it will get.
    pub client_id: &'a str,
    /// It sent none.
    pub is_client_id_assigned: bool,
    /// It begins anew: what a session of this client id has kept is dropped.
    pub clean_start: bool,
    /// The user name.
    pub username: Option<&'a str>,
    /// The password. Never log it.
    pub password: Option<&'a [u8]>,
    /// Where it comes from; nothing for what has no address.
    pub address: Option<SocketAddr>,
    /// The name of the listener that it came by.
    pub listener: &'a str,
    /// The certificate that it has shown, where the listener speaks TLS and
    /// asks for one.
    pub certificate: Option<&'a ClientCertificate>,
    /// The version that it speaks.
    pub version: ProtocolVersion,
}

/// A message that asks to be published.
#[derive(Debug, Clone, Copy)]
pub struct PublishRequest<'a> {
    /// Where.
    pub topic: &'a str,
    /// How often.
    pub qos: QoS,
    /// Whether it is to be kept.
    pub retain: bool,
    /// It is a will: checked when the client connects, and again when it is
    /// published.
    pub will: bool,
}

/// Why a message is not published, and what becomes of its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The message is not taken. In MQTT 5 the acknowledgement of QoS 1 and 2
    /// says why; otherwise it is acknowledged, since older versions have no
    /// other word (3.1.1: [MQTT-3.3.5-2]).
    Ignore(ReasonCode),
    /// The same, but where the acknowledgement cannot say so (QoS 0, or
    /// before MQTT 5), the connection is closed: in MQTT 5 by a DISCONNECT
    /// with the reason.
    Disconnect(ReasonCode),
}

/// What becomes of a session when the rules have changed: see
/// [`Broker::review`](crate::Broker::review).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Review {
    /// It goes on, if its subscriptions are all still allowed.
    Keep,
    /// Its connection is closed; it waits for whoever signs in again.
    Disconnect(ReasonCode),
    /// Its connection is closed, and what waits in it is dropped.
    End(ReasonCode),
}

/// Decides who may do what. Everything is denied that a hook does not allow.
///
/// A method that panics refuses: the client is not let in, has not subscribed,
/// does not receive; what it publishes is refused by [`Refusal::Disconnect`], and
/// who is looked at again is disconnected. That is logged, and nobody else is
/// concerned.
#[async_trait]
pub trait Access: Send + Sync + 'static {
    /// Lets a client in, and says who it is: while its session lives, the
    /// client id belongs to that identity.
    ///
    /// # Errors
    /// It may not, and why.
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        let _ = request;
        Err(ReasonCode::NotAuthorized)
    }

    /// Begins an enhanced authentication (MQTT 5, 4.12), in the place of
    /// [`Access::authenticate`], for a client that names a method; and again
    /// where one that is connected authenticates anew.
    ///
    /// # Errors
    /// The method is not known, as none is unless a hook says so, or the
    /// client is refused.
    fn begin_authentication(
        &self,
        request: &AuthenticationRequest<'_>,
    ) -> Result<Box<dyn Authentication>, ReasonCode> {
        let _ = request;
        Err(ReasonCode::BadAuthenticationMethod)
    }

    /// Lets a client publish a message.
    ///
    /// # Errors
    /// It may not, and what becomes of it.
    fn authorize_publish(
        &self,
        client: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        let _ = (client, request);
        Err(Refusal::Ignore(ReasonCode::NotAuthorized))
    }

    /// Lets a client subscribe to a filter (without `$share/<name>/`).
    ///
    /// # Errors
    /// It may not, and why.
    fn authorize_subscribe(&self, client: &ClientInfo, filter: &str) -> Result<(), ReasonCode> {
        let _ = (client, filter);
        Err(ReasonCode::NotAuthorized)
    }

    /// Whether [`Access::authorize_receive`] is asked. This is asked when the
    /// broker begins, and at every [`Broker::review`](crate::Broker::review).
    fn checks_delivery(&self) -> bool {
        false
    }

    /// Lets a client receive the messages of a topic, whichever subscription
    /// brings them, shared or not, also those that were kept or waited for
    /// it. What a client may not receive passes it by; it is not told, and
    /// neither is the publisher.
    ///
    /// What this says counts for one topic and one client until that connects
    /// anew, or until the next [`Broker::review`](crate::Broker::review); it is
    /// kept by thread, and may be asked for again sooner. The process's own
    /// subscriptions are not asked about.
    fn authorize_receive(&self, client: &ClientInfo, topic: &str) -> bool {
        let _ = (client, topic);
        true
    }

    /// Lets a client connect with this will.
    ///
    /// # Errors
    /// It may not, and why.
    fn authorize_will(&self, client: &ClientInfo, will: &Will) -> Result<(), ReasonCode> {
        let request = PublishRequest {
            topic: will.topic.as_str(),
            qos: will.qos,
            retain: will.retain,
            will: true,
        };
        self.authorize_publish(client, &request).map_err(|refusal| refusal.reason())
    }

    /// Looks again at a client that was let in, connected or not, when the
    /// rules have changed. Its subscriptions need not be looked at: they are
    /// given to [`Access::authorize_subscribe`] once more.
    fn review(&self, client: &ClientInfo) -> Review {
        let _ = client;
        Review::Keep
    }
}

impl Refusal {
    /// The reason code.
    pub fn reason(self) -> ReasonCode {
        match self {
            Self::Ignore(reason) | Self::Disconnect(reason) => reason,
        }
    }
}

/// What a client is told where a hook has refused with `reason`: that, if it
/// is a failure that this packet can tell.
pub(crate) fn told(reason: ReasonCode, packet: PacketType) -> ReasonCode {
    if reason.is_error() && reason.fits(packet) { reason } else { ReasonCode::UnspecifiedError }
}

/// Denies everything: what a broker has without an access hook.
#[derive(Debug, Clone, Copy, Default)]
pub struct DenyAll;

impl Access for DenyAll {}

/// Allows everything: for tests and closed networks.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllowAll;

#[async_trait]
impl Access for AllowAll {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        static NOBODY: OnceLock<Arc<str>> = OnceLock::new();
        // Who says no name shares one: client ids are then first come, first served.
        let nobody = || NOBODY.get_or_init(|| "anonymous".into()).clone();
        Ok(request.username.map_or_else(nobody, Into::into))
    }

    fn authorize_publish(&self, _: &ClientInfo, _: &PublishRequest<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
        Ok(())
    }
}
