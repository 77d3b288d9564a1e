//! Enhanced authentication (MQTT 5, 4.12): a method that CONNECT names, and
//! as many questions and answers as it takes.

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use latchlight_mqtt::{Auth, Packet, Properties, ReasonCode};
use std::sync::Arc;

use crate::ClientInfo;
use crate::access::{Access, ConnectRequest};

/// How many steps one authentication may take; one more refuses it.
const MOST_STEPS: usize = 16;

/// A client that wants to show who it is by a method that it names.
#[derive(Debug, Clone, Copy)]
pub struct AuthenticationRequest<'a> {
    /// The method's name; it stays the same while the connection lasts.
    pub method: &'a str,
    /// What CONNECT said; user name and password are not said again by a
    /// client that authenticates anew.
    pub connect: ConnectRequest<'a>,
    /// Who it is so far, where it is connected and authenticates anew. It has
    /// to end as the same identity.
    pub current: Option<&'a ClientInfo>,
}

/// One authentication on its way.
#[async_trait]
pub trait Authentication: Send {
    /// Takes what the client says, and gives what follows from it. What comes
    /// first is the data of CONNECT, or of the AUTH that begins anew; it is
    /// empty where there is none. At most 16 steps are taken, all of them
    /// within [`Options::connect_timeout`](crate::Options::connect_timeout).
    ///
    /// # Errors
    /// The client is refused, and why.
    async fn step(&mut self, data: &[u8]) -> Result<AuthenticationStep, ReasonCode>;
}

/// What follows from what a client said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthenticationStep {
    /// It is asked this, and has to answer.
    Challenge(Bytes),
    /// It is let in.
    Success {
        /// Who it is: see [`Access::authenticate`].
        identity: Arc<str>,
        /// What it is told with that; left out where it is empty.
        data: Bytes,
    },
}

/// An authentication as the broker holds it to its rules.
pub(crate) struct Conversation {
    method: ByteString,
    exchange: Box<dyn Authentication>,
    steps: usize,
}

/// What follows from what a client said.
pub(crate) enum Reply {
    /// It is sent this AUTH, and has to answer.
    Ask(Packet),
    Proven(Proven),
}

/// The end of a conversation that went well.
pub(crate) struct Proven {
    pub(crate) identity: Arc<str>,
    /// What CONNACK, or the last AUTH, says of it.
    pub(crate) method: ByteString,
    pub(crate) data: Bytes,
}

impl Conversation {
    /// Begins one.
    ///
    /// # Errors
    /// The hook does not know the method [MQTT-4.12.0-1].
    pub(crate) fn begin(
        access: &dyn Access,
        method: &ByteString,
        connect: ConnectRequest<'_>,
        current: Option<&ClientInfo>,
    ) -> Result<Self, ReasonCode> {
        let request = AuthenticationRequest { method, connect, current };
        let exchange = access.begin_authentication(&request)?;
        Ok(Self { method: method.clone(), exchange, steps: 0 })
    }

    /// Goes on by what the client said.
    ///
    /// # Errors
    /// What the hook says, or there were too many steps.
    pub(crate) async fn step(&mut self, data: &[u8]) -> Result<Reply, ReasonCode> {
        if self.steps == MOST_STEPS {
            return Err(ReasonCode::NotAuthorized);
        }
        self.steps += 1;
        let method = &self.method;
        Ok(match self.exchange.step(data).await? {
            // [MQTT-4.12.0-2]
            AuthenticationStep::Challenge(question) => {
                Reply::Ask(auth(ReasonCode::ContinueAuthentication, method, question))
            }
            AuthenticationStep::Success { identity, data } => {
                Reply::Proven(Proven { identity, method: method.clone(), data })
            }
        })
    }
}

/// An AUTH of the server's. It names the method [MQTT-4.12.0-5].
pub(crate) fn auth(reason: ReasonCode, method: &ByteString, data: Bytes) -> Packet {
    let mut properties = Properties::new();
    let values = properties.make_mut();
    values.authentication_method = Some(method.clone());
    values.authentication_data = Some(data).filter(|data| !data.is_empty());
    Packet::Auth(Auth { reason, properties })
}

/// The data of an AUTH of the client's.
///
/// # Errors
/// It names another method than CONNECT did, or none [MQTT-4.12.0-5].
pub(crate) fn data_of(auth: &Auth, method: &ByteString) -> Result<Bytes, ReasonCode> {
    match &auth.properties.authentication_method {
        Some(same) if same == method => {}
        Some(_) => return Err(ReasonCode::BadAuthenticationMethod),
        // MQTT 5, 3.15.2.2.2
        None => return Err(ReasonCode::ProtocolError),
    }
    Ok(auth.properties.authentication_data.clone().unwrap_or_default())
}
