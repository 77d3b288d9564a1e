//! Interceptors change or refuse what is about to happen.

use std::net::SocketAddr;
use std::sync::Arc;

use latchlight_mqtt::{ConnAck, Connect, Packet, ReasonCode, SubscribeFilter, TopicFilter};

use crate::{ClientInfo, Publication, Recipient};

/// Changes or refuses what is about to happen.
///
/// Several are asked one after the other, in the order in which they were
/// added; each sees what the one before has changed, and the first that refuses
/// ends it. What an interceptor lets through is still decided by the access
/// hook, as it is then. They are asked on the threads that serve the sockets:
/// they must not block. One that panics ends the packet and the connection
/// that it was asked about.
pub trait Interceptor: Send + Sync + 'static {
    /// Where it is asked. The broker asks for this once, when it begins; what
    /// nobody intercepts costs nothing.
    fn steps(&self) -> Steps {
        Steps::ALL
    }

    /// A client says CONNECT, and nothing of it was looked at. Its protocol
    /// version stays what it is.
    ///
    /// # Errors
    /// It is not let in, and this is its answer; one that says success says
    /// 0x80 (Unspecified error) instead. For what an older version has no code,
    /// the connection is closed without a word.
    fn connect(&self, connect: &mut Connect, origin: Origin<'_>) -> Result<(), Box<ConnAck>> {
        let _ = (connect, origin);
        Ok(())
    }

    /// A client that was let in sends a packet.
    fn read_packet(&self, client: &Arc<ClientInfo>, packet: &mut Packet) -> Verdict {
        let _ = (client, packet);
        Verdict::Handle
    }

    /// A packet goes to a client. What is changed is the client's alone. Where
    /// a topic alias stands for a PUBLISH's topic, it has none. A Reason String
    /// or User Properties beside a reason code are left out again where the
    /// client does not want them, or takes no packet as large.
    ///
    /// The client's session is locked meanwhile: this must not use the broker.
    fn encode_packet(&self, client: &Arc<ClientInfo>, packet: &mut Packet) {
        let _ = (client, packet);
    }

    /// A client subscribes to a filter of its SUBSCRIBE. It has the
    /// subscription as it is changed here, and unsubscribes from that one.
    ///
    /// # Errors
    /// It does not, and why.
    fn subscribe(
        &self,
        client: &Arc<ClientInfo>,
        wanted: &mut SubscribeFilter,
    ) -> Result<(), ReasonCode> {
        let _ = (client, wanted);
        Ok(())
    }

    /// A message is given to the sessions that are subscribed to its topic:
    /// take some out, or change the QoS at which they get it. Of the members of
    /// a shared subscription the first that takes it gets it: their order can
    /// be changed, too. Inline subscriptions are not among them.
    fn select_subscribers(
        &self,
        publisher: Option<&Arc<ClientInfo>>,
        message: &Publication,
        recipients: &mut Vec<Recipient>,
    ) {
        let _ = (publisher, message, recipients);
    }

    /// A client unsubscribes from a filter of its UNSUBSCRIBE.
    ///
    /// # Errors
    /// It does not, and what a client of MQTT 5 is told.
    fn unsubscribe(
        &self,
        client: &Arc<ClientInfo>,
        filter: &mut TopicFilter,
    ) -> Result<(), ReasonCode> {
        let _ = (client, filter);
        Ok(())
    }

    /// A message is published: by a client, or by this process, which is
    /// nobody. Wills and live publishes are not asked about here.
    ///
    /// # Errors
    /// It is not, and what the client is told.
    fn publish(
        &self,
        publisher: Option<&Arc<ClientInfo>>,
        message: &mut Publication,
    ) -> Result<(), Stop> {
        let _ = (publisher, message);
        Ok(())
    }

    /// The will of a client that is gone is published.
    ///
    /// # Errors
    /// It is not; nobody is there to be told.
    fn will(&self, client: &Arc<ClientInfo>, will: &mut Publication) -> Result<(), Stop> {
        let _ = (client, will);
        Ok(())
    }
}

/// Where an interceptor is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, reason = "one for each method")]
pub struct Steps {
    /// [`Interceptor::connect`].
    pub connect: bool,
    /// [`Interceptor::read_packet`]: every packet is decoded for it.
    pub read_packet: bool,
    /// [`Interceptor::encode_packet`]: every packet is decoded for it, for
    /// each of its receivers.
    pub encode_packet: bool,
    /// [`Interceptor::subscribe`].
    pub subscribe: bool,
    /// [`Interceptor::select_subscribers`]: the receivers of every message are
    /// listed for it.
    pub select_subscribers: bool,
    /// [`Interceptor::unsubscribe`].
    pub unsubscribe: bool,
    /// [`Interceptor::publish`]: every message is copied for it, once.
    pub publish: bool,
    /// [`Interceptor::will`].
    pub will: bool,
}

impl Steps {
    /// Everywhere.
    pub const ALL: Self = Self {
        connect: true,
        read_packet: true,
        encode_packet: true,
        subscribe: true,
        select_subscribers: true,
        unsubscribe: true,
        publish: true,
        will: true,
    };
    /// Nowhere.
    pub const NONE: Self = Self {
        connect: false,
        read_packet: false,
        encode_packet: false,
        subscribe: false,
        select_subscribers: false,
        unsubscribe: false,
        publish: false,
        will: false,
    };

    /// Where either is asked.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            connect: self.connect || other.connect,
            read_packet: self.read_packet || other.read_packet,
            encode_packet: self.encode_packet || other.encode_packet,
            subscribe: self.subscribe || other.subscribe,
            select_subscribers: self.select_subscribers || other.select_subscribers,
            unsubscribe: self.unsubscribe || other.unsubscribe,
            publish: self.publish || other.publish,
            will: self.will || other.will,
        }
    }
}

/// Where a CONNECT comes from.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Origin<'a> {
    /// Its address; nothing for what has none.
    pub address: Option<SocketAddr>,
    /// The name of the listener that it came by.
    pub listener: &'a str,
}

/// What becomes of a packet that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The next interceptor is asked, and then the broker handles it.
    Handle,
    /// The broker leaves it alone; the client gets these packets for it, if
    /// any: acknowledgements, PINGRESP, AUTH, a PUBLISH of QoS 0, or
    /// DISCONNECT, after which the connection is closed. Packet ids are the
    /// hook's to keep in order.
    Answer(Vec<Packet>),
    /// The connection is closed: in MQTT 5 by a DISCONNECT with the reason.
    Close(ReasonCode),
}

/// Why a message is not published, and what becomes of its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Nobody gets it, and its publisher is answered as if somebody had.
    Silently,
    /// In MQTT 5 the acknowledgement of QoS 1 and 2 says why; otherwise it is
    /// acknowledged, since older versions have no other word.
    Refuse(ReasonCode),
    /// The same, but where the acknowledgement cannot say so (QoS 0, or
    /// before MQTT 5), the connection is closed.
    Disconnect(ReasonCode),
}
