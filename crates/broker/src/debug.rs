//! The flow of packets, in the log.

use std::fmt;
use std::sync::Arc;

use latchlight_mqtt::{Packet, Properties, Publish, ReasonCode};

use crate::{ClientInfo, DropReason, Interests, Observer, Publication};

/// How much of a payload is shown, in bytes.
const MOST: usize = 256;

/// Writes the flow of packets to the log, at `debug`, under the target
/// `latchlight_broker::debug`. Passwords and authentication data are never
/// shown (C30), nor user properties, which may hold such; payloads only when
/// asked for.
///
/// ```
/// use latchlight_broker::{AllowAll, Broker, Debug};
///
/// let broker = Broker::builder().access(AllowAll).observer(Debug::new());
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Debug {
    payloads: bool,
    pings: bool,
}

impl Debug {
    /// Without payloads and pings.
    pub fn new() -> Self {
        Self::default()
    }

    /// With the first 256 bytes of each payload.
    #[must_use]
    pub fn with_payloads(mut self) -> Self {
        self.payloads = true;
        self
    }

    /// With PINGREQ and PINGRESP.
    #[must_use]
    pub fn with_pings(mut self) -> Self {
        self.pings = true;
        self
    }

    fn log(&self, direction: &'static str, client: &ClientInfo, packet: &Packet) {
        if self.pings || !matches!(packet, Packet::PingReq | Packet::PingResp) {
            let shown = Shown { packet, payloads: self.payloads };
            tracing::debug!(client = &*client.client_id, "{direction} {shown}");
        }
    }
}

impl Observer for Debug {
    fn interests(&self) -> Interests {
        Interests { packets: true, messages: true, exchanges: false }
    }

    fn connected(&self, client: &Arc<ClientInfo>) {
        let (identity, address) = (&*client.identity, client.address);
        tracing::debug!(client = &*client.client_id, identity, ?address, "connected");
    }

    fn connect_refused(&self, client: &Arc<ClientInfo>, reason: ReasonCode) {
        let address = client.address;
        tracing::debug!(client = &*client.client_id, ?address, ?reason, "refused");
    }

    fn disconnected(&self, client: &Arc<ClientInfo>, reason: ReasonCode, session_ended: bool) {
        tracing::debug!(client = &*client.client_id, ?reason, session_ended, "disconnected");
    }

    fn packet_read(&self, client: &Arc<ClientInfo>, packet: &Packet) {
        self.log("in ", client, packet);
    }

    fn packet_sent(&self, client: &Arc<ClientInfo>, packet: &Packet) {
        self.log("out", client, packet);
    }

    fn packet_processed(
        &self,
        client: &Arc<ClientInfo>,
        packet: &Packet,
        outcome: Result<(), ReasonCode>,
    ) {
        if let Err(reason) = outcome {
            let packet = packet.packet_type();
            tracing::debug!(client = &*client.client_id, ?packet, ?reason, "ends the connection");
        }
    }

    fn publish_dropped(
        &self,
        receiver: Option<&Arc<ClientInfo>>,
        message: &Publication,
        reason: DropReason,
    ) {
        let receiver = receiver.map(|receiver| &*receiver.client_id);
        tracing::debug!(receiver, topic = message.topic.as_str(), ?reason, "dropped");
    }
}

/// A packet as the log shows it.
struct Shown<'a> {
    packet: &'a Packet,
    payloads: bool,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let type_ = self.packet.packet_type();
        write!(f, "{type_:?}")?;
        match self.packet {
            Packet::Connect(connect) => {
                let (version, seconds) = (connect.version, connect.keep_alive);
                write!(f, " {version:?} keep_alive={seconds} clean={}", connect.clean_start)?;
                if let Some(username) = &connect.username {
                    write!(f, " username={username:?}")?;
                }
                match &connect.will {
                    Some(will) => write!(f, " will={:?}", will.topic.as_str()),
                    None => Ok(()),
                }
            }
            Packet::ConnAck(connack) => {
                write!(f, " {:?} session_present={}", connack.reason, connack.session_present)
            }
            Packet::Publish(publish) => self.publish(f, publish),
            Packet::PubAck(ack) => write!(f, " id={} {:?}", ack.packet_id, ack.reason),
            Packet::PubRec(ack) => write!(f, " id={} {:?}", ack.packet_id, ack.reason),
            Packet::PubRel(ack) => write!(f, " id={} {:?}", ack.packet_id, ack.reason),
            Packet::PubComp(ack) => write!(f, " id={} {:?}", ack.packet_id, ack.reason),
            Packet::Subscribe(subscribe) => {
                write!(f, " id={}", subscribe.packet_id)?;
                let wanted = &subscribe.filters;
                wanted.iter().try_for_each(|wanted| {
                    write!(f, " {:?}@{}", wanted.filter.as_str(), wanted.options.qos as u8)
                })
            }
            Packet::SubAck(ack) => write!(f, " id={} {:?}", ack.packet_id, ack.reasons),
            Packet::Unsubscribe(unsubscribe) => {
                write!(f, " id={}", unsubscribe.packet_id)?;
                unsubscribe.filters.iter().try_for_each(|filter| write!(f, " {filter:?}"))
            }
            Packet::UnsubAck(ack) => write!(f, " id={} {:?}", ack.packet_id, ack.reasons),
            Packet::Disconnect(disconnect) => write!(f, " {:?}", disconnect.reason),
            Packet::Auth(auth) => {
                let method = auth.properties.authentication_method.as_deref();
                write!(f, " {:?} method={:?}", auth.reason, method.unwrap_or_default())
            }
            Packet::PingReq | Packet::PingResp => Ok(()),
        }
    }
}

impl Shown<'_> {
    fn publish(&self, f: &mut fmt::Formatter<'_>, publish: &Publish) -> fmt::Result {
        write!(f, " {:?} qos={}", &*publish.topic, publish.qos as u8)?;
        if let Some(id) = publish.packet_id {
            write!(f, " id={id}")?;
        }
        for (flag, name) in [(publish.retain, " retain"), (publish.dup, " dup")] {
            f.write_str(if flag { name } else { "" })?;
        }
        properties(f, &publish.properties)?;
        write!(f, " bytes={}", publish.payload.len())?;
        if self.payloads {
            let shown = &publish.payload[..publish.payload.len().min(MOST)];
            write!(f, " payload={:?}", String::from_utf8_lossy(shown))?;
        }
        Ok(())
    }
}

/// Those that tell the way of a message.
fn properties(f: &mut fmt::Formatter<'_>, properties: &Properties) -> fmt::Result {
    if let Some(alias) = properties.topic_alias {
        write!(f, " alias={alias}")?;
    }
    if let Some(seconds) = properties.message_expiry_interval {
        write!(f, " expiry={seconds}")?;
    }
    if !properties.subscription_identifiers.is_empty() {
        write!(f, " subscriptions={:?}", properties.subscription_identifiers)?;
    }
    Ok(())
}
