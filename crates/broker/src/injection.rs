//! Packets in the name of a client, handled as if it had sent them.

use std::sync::Arc;

use latchlight_mqtt::{
    EncodeError, Framing, Packet, PacketId, Properties, ProtocolVersion, Publish, QoS, ReasonCode,
    Subscribe, SubscribeFilter, SubscriptionOptions, TopicFilter, Unsubscribe, frame,
};

use crate::broker::Core;
use crate::connection::End;
use crate::handlers::{Client, Next, dispatch};
use crate::line::TaskBell;
use crate::read_buffer::Received;
use crate::session_handle::Session;
use crate::{Broker, ClientInfo, InlinePublish};

/// A packet in the name of a client; for [`Broker::inject`].
#[derive(Debug, Clone)]
pub struct Injection {
    packet: Packet,
    asks_access: bool,
}

/// Why a packet was not handled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InjectionError {
    /// Only a session has subscriptions, and the client has none.
    #[error("the client has no session")]
    NoSession,
    /// It is no packet that a client could send.
    #[error("it cannot be encoded: {0}")]
    NotEncodable(#[from] EncodeError),
    /// It is larger than the broker takes.
    #[error("it is larger than the broker takes")]
    TooLarge,
    /// A client that sends this is disconnected, with this reason.
    #[error("it may not be sent: {0:?}")]
    Refused(ReasonCode),
}

/// What a handler knows of a packet that came by no connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Injected {
    pub(crate) asks_access: bool,
    /// What the client would be told, if its version could say so.
    pub(crate) outcome: ReasonCode,
}

impl Injection {
    /// A message; what it says of itself is what the client would say.
    pub fn publish(publish: InlinePublish) -> Self {
        let InlinePublish { topic, payload, qos, retain, properties } = publish;
        let packet_id = (qos != QoS::AtMostOnce).then_some(PacketId::MIN);
        let topic = topic.into();
        let publish = Publish { dup: false, qos, retain, topic, packet_id, properties, payload };
        Self { packet: Packet::Publish(publish), asks_access: true }
    }

    /// A subscription of the client's session. Retained messages come with it
    /// if the client is connected.
    pub fn subscribe(filter: TopicFilter, options: SubscriptionOptions) -> Self {
        let filters = vec![SubscribeFilter { filter, options }];
        let (packet_id, properties) = (PacketId::MIN, Properties::new());
        let packet = Packet::Subscribe(Subscribe { packet_id, filters, properties });
        Self { packet, asks_access: true }
    }

    /// The end of a subscription.
    pub fn unsubscribe(filter: TopicFilter) -> Self {
        let (packet_id, properties, filters) = (PacketId::MIN, Properties::new(), vec![filter]);
        let packet = Packet::Unsubscribe(Unsubscribe { packet_id, filters, properties });
        Self { packet, asks_access: true }
    }

    /// The access hook is not asked whether the client may. A subscription that
    /// it would refuse stays until the next [`Broker::review`].
    #[must_use]
    pub fn without_access(mut self) -> Self {
        self.asks_access = false;
        self
    }
}

impl Broker {
    /// Handles a packet as if this client had sent it: the same limits, the same
    /// hooks, the access hook among them; gives what it would be told. A message
    /// needs no client that is there, nor one that has ever been.
    ///
    /// What a store has to have is there after [`Broker::persisted`].
    ///
    /// # Errors
    /// It was not handled.
    pub fn inject(
        &self,
        client: &Arc<ClientInfo>,
        injection: Injection,
    ) -> Result<ReasonCode, InjectionError> {
        self.core.inject(client, &injection)
    }
}

impl Core {
    fn inject(
        self: &Arc<Self>,
        info: &Arc<ClientInfo>,
        injection: &Injection,
    ) -> Result<ReasonCode, InjectionError> {
        let Injection { packet, asks_access } = injection;
        // The newest version says most.
        let mut bytes = Vec::new();
        packet.encode(ProtocolVersion::V5, &mut bytes)?;
        let limit = self.options.max_packet_size as usize;
        let Ok(Framing::Complete(header)) = frame(&bytes, limit) else {
            return Err(InjectionError::TooLarge);
        };
        let session = match packet {
            // Of the client's own, it would mix up the packet ids of both.
            Packet::Publish(_) => Session::new(info.client_id.clone(), info.identity.clone(), 0),
            _ => self.session(&info.client_id).ok_or(InjectionError::NoSession)?,
        };
        let epoch = session.outbound.lock().epoch;
        let task = Arc::new(TaskBell::default());
        let client = Client::new(self.clone(), session, info.clone(), epoch, task, 0, None);
        let mut client =
            client.injecting(Injected { asks_access: *asks_access, outcome: ReasonCode::Success });
        let handled = dispatch(&mut client, Received::borrowed(&bytes), header, self.clock.now());
        self.hooks.tell();
        client.flush();
        match handled {
            Ok(Next::Go) => Ok(client.injected.map_or(ReasonCode::Success, |it| it.outcome)),
            Ok(Next::End(end)) | Err(end) => Err(InjectionError::of(&end)),
        }
    }
}

impl InjectionError {
    fn of(end: &End) -> Self {
        match end.reason() {
            ReasonCode::PacketTooLarge => Self::TooLarge,
            reason => Self::Refused(reason),
        }
    }
}
