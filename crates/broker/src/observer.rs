//! Observers see what happened; they change nothing.

use std::sync::Arc;

use latchlight_mqtt::{Packet, PacketId, QoS, ReasonCode};

use crate::{ClientInfo, CountersSnapshot, Publication};

/// Sees what happened, in the order in which it happened to a client.
///
/// Observers are told outside of all locks, on the threads that serve the
/// sockets: they may use the broker, and must not block. One that panics ends
/// the connection whose packet it was told of; elsewhere that is only logged.
/// Several are told one after the other, in the order in which they were added.
pub trait Observer: Send + Sync + 'static {
    /// Which of the events that come with every message or packet it is told
    /// of. The broker asks once, when it begins; what nobody wants to know
    /// costs nothing.
    fn interests(&self) -> Interests {
        Interests::ALL
    }

    /// The broker serves.
    fn started(&self) {}

    /// The broker's threads have ended, and its store is written.
    fn stopped(&self) {}

    /// A second has passed; with what was counted until now.
    fn system_tick(&self, counters: &CountersSnapshot) {
        let _ = counters;
    }

    /// A client was let in.
    fn connected(&self, client: &Arc<ClientInfo>) {
        let _ = client;
    }

    /// A client has its session: one that was there already, or a new one.
    /// Told after the subscriptions that it has taken up again.
    fn session_established(&self, client: &Arc<ClientInfo>, session_present: bool) {
        let _ = (client, session_present);
    }

    /// A client was not let in; who it is, only it says.
    fn connect_refused(&self, client: &Arc<ClientInfo>, reason: ReasonCode) {
        let _ = (client, reason);
    }

    /// A client's connection ended, and with it perhaps its session. Where a
    /// newer one took its session over, that one was told of before: `client`
    /// tells which of the two ended.
    fn disconnected(&self, client: &Arc<ClientInfo>, reason: ReasonCode, session_ended: bool) {
        let _ = (client, reason, session_ended);
    }

    /// A client's packet, as it came; a CONNECT is told of when the client was
    /// let in. Passwords and authentication data are left out, here and below.
    /// [`Interests::packets`].
    fn packet_read(&self, client: &Arc<ClientInfo>, packet: &Packet) {
        let _ = (client, packet);
    }

    /// A packet is on its way to a client, behind what was sent before. Where
    /// a topic alias stands for the topic, it has none.
    /// [`Interests::packets`].
    fn packet_sent(&self, client: &Arc<ClientInfo>, packet: &Packet) {
        let _ = (client, packet);
    }

    /// What a client's packet asks for was done; or the connection ends for
    /// it, and why. [`Interests::packets`].
    fn packet_processed(
        &self,
        client: &Arc<ClientInfo>,
        packet: &Packet,
        outcome: Result<(), ReasonCode>,
    ) {
        let _ = (client, packet, outcome);
    }

    /// A client subscribed, or took its subscriptions up again.
    fn subscribed(&self, client: &Arc<ClientInfo>, filter: &str, qos: QoS) {
        let _ = (client, filter, qos);
    }

    /// A client unsubscribed. What ends with its session is not told of one
    /// by one.
    fn unsubscribed(&self, client: &Arc<ClientInfo>, filter: &str) {
        let _ = (client, filter);
    }

    /// A message was given to all its receivers; nobody publishes what comes
    /// from this process and wills. [`Interests::messages`].
    fn published(&self, publisher: Option<&Arc<ClientInfo>>, message: &Publication) {
        let _ = (publisher, message);
    }

    /// A message was dropped for one receiver, or by the broker for all. What
    /// the access hook keeps from a subscriber from the start was never on its
    /// way, and is not told of. [`Interests::messages`].
    fn publish_dropped(
        &self,
        receiver: Option<&Arc<ClientInfo>>,
        message: &Publication,
        reason: DropReason,
    ) {
        let _ = (receiver, message, reason);
    }

    /// A message is kept for its topic, or with an empty payload the one that
    /// was is not kept any more: somebody published nothing in its place, an
    /// administrator took it away, or it may not be published there any more.
    /// [`Interests::messages`].
    fn retained(&self, publisher: Option<&Arc<ClientInfo>>, message: &Publication) {
        let _ = (publisher, message);
    }

    /// A kept message goes to a client that has subscribed.
    /// [`Interests::messages`].
    fn retain_published(&self, client: &Arc<ClientInfo>, message: &Publication) {
        let _ = (client, message);
    }

    /// A message of QoS 1 or 2 was sent to a client, for the first time or
    /// once more. [`Interests::exchanges`].
    fn qos_published(
        &self,
        client: &Arc<ClientInfo>,
        packet_id: PacketId,
        message: &Publication,
        resent: bool,
    ) {
        let _ = (client, packet_id, message, resent);
    }

    /// A client has taken a message of QoS 1 or 2: its PUBACK or PUBCOMP came.
    /// [`Interests::exchanges`].
    fn qos_completed(&self, client: &Arc<ClientInfo>, packet_id: PacketId) {
        let _ = (client, packet_id);
    }

    /// A message of QoS 1 or 2 was sent, and will not be sent again: the
    /// client refused it, or its session ended. [`Interests::exchanges`].
    fn qos_dropped(&self, client: &Arc<ClientInfo>, packet_id: PacketId) {
        let _ = (client, packet_id);
    }

    /// A message waits because as many are in flight to the client as may be:
    /// its own Receive Maximum, or `Options::max_in_flight`.
    /// [`Interests::exchanges`].
    fn packet_ids_exhausted(&self, client: &Arc<ClientInfo>, message: &Publication) {
        let _ = (client, message);
    }

    /// A client's will was published.
    fn will_sent(&self, client: &Arc<ClientInfo>, message: &Publication) {
        let _ = (client, message);
    }

    /// A session ended because nobody came back to it in time.
    fn client_expired(&self, client: &Arc<ClientInfo>) {
        let _ = client;
    }

    /// A kept message's time ran out.
    fn retained_expired(&self, topic: &str) {
        let _ = topic;
    }
}

/// Which of the frequent events an observer is told of; of all the others it
/// always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interests {
    /// `packet_read`, `packet_sent` and `packet_processed`: every packet is
    /// decoded for them.
    pub packets: bool,
    /// `published`, `publish_dropped`, `retained` and `retain_published`:
    /// every message is copied for them, once.
    pub messages: bool,
    /// `qos_published`, `qos_completed`, `qos_dropped` and
    /// `packet_ids_exhausted`.
    pub exchanges: bool,
}

impl Interests {
    /// Everything.
    pub const ALL: Self = Self { packets: true, messages: true, exchanges: true };
    /// None of them.
    pub const NONE: Self = Self { packets: false, messages: false, exchanges: false };

    /// What either wants.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            packets: self.packets || other.packets,
            messages: self.messages || other.messages,
            exchanges: self.exchanges || other.exchanges,
        }
    }
}

/// Why a message was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DropReason {
    /// A bound for what waits was reached: the session's, or that of all.
    QueueFull,
    /// As many wait for a subscription within the process as may.
    InlineFull,
    /// QoS 0, and the receiver takes nothing.
    Stalled,
    /// It is larger than the receiver takes.
    TooLarge,
    /// Its time ran out.
    Expired,
    /// QoS 0, and the receiver has no connection.
    Offline,
    /// The store does not keep up, or cannot write.
    StoreFull,
    /// It waited for a session that has ended.
    SessionEnded,
    /// The client may not receive it any more.
    NotAllowed,
    /// It was to be kept, and there is no room for it.
    RetainedFull,
    /// The publisher may not, and why.
    Refused(ReasonCode),
    /// An interceptor dropped it.
    Intercepted,
}
