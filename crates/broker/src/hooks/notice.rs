//! What happened, on its way to the observers. Much of it happens while
//! something is locked: it is noted there, and told by the same thread when
//! nothing is.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytestring::ByteString;
use latchlight_mqtt::{Packet, PacketId, QoS, ReasonCode};

use super::Hooks;
use super::intercept::take_panicked;
use crate::message::Message;
use crate::{ClientInfo, CountersSnapshot, DropReason, Interests, Observer, Publication};

thread_local! {
    /// What this thread has noted and not told. It holds no more than what one
    /// batch of packets, or one call from outside, brings about.
    static NOTED: RefCell<VecDeque<Noted>> = const { RefCell::new(VecDeque::new()) };
    /// It is telling: what is noted meanwhile is told after that.
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// Something that happened; each is told by the observer's method of that name.
#[derive(Debug)]
pub(crate) enum Notice {
    Started,
    Stopped,
    SystemTick(Box<CountersSnapshot>),
    Connected,
    SessionEstablished { present: bool },
    ConnectRefused(ReasonCode),
    Disconnected { reason: ReasonCode, session_ended: bool },
    PacketRead(Packet),
    PacketSent(Packet),
    PacketProcessed(Packet, Result<(), ReasonCode>),
    Subscribed(ByteString, QoS),
    Unsubscribed(ByteString),
    Published(Arc<Message>),
    PublishDropped(Arc<Message>, DropReason),
    Retained(Arc<Message>),
    RetainPublished(Arc<Message>),
    QosPublished { id: PacketId, message: Arc<Message>, resent: bool },
    QosCompleted(PacketId),
    QosDropped(PacketId),
    PacketIdsExhausted(Arc<Message>),
    WillSent(Arc<Message>),
    ClientExpired,
    RetainedExpired(ByteString),
}

#[derive(Debug)]
struct Noted {
    hooks: Arc<Hooks>,
    client: Option<Arc<ClientInfo>>,
    notice: Notice,
}

impl Hooks {
    /// Notes what happened; [`Hooks::tell`] tells it.
    pub(crate) fn note(self: &Arc<Self>, client: Option<&Arc<ClientInfo>>, notice: Notice) {
        if self.observers.is_empty() {
            return;
        }
        let noted = Noted { hooks: self.clone(), client: client.cloned(), notice };
        NOTED.with_borrow_mut(|all| all.push_back(noted));
    }

    /// Tells the observers what this thread has noted; nothing of this broker
    /// may be locked. False: one of them panicked, or an interceptor did over
    /// what this thread has just handled.
    pub(crate) fn tell(self: &Arc<Self>) -> bool {
        if self.observers.is_empty() {
            return !take_panicked();
        }
        if TELLING.replace(true) {
            return true;
        }
        let mut all_well = true;
        while let Some(noted) = self.next_noted() {
            all_well &= self.tell_all(&noted);
        }
        TELLING.set(false);
        all_well & !take_panicked()
    }

    /// The next of this broker's; another's may have something locked.
    fn next_noted(self: &Arc<Self>) -> Option<Noted> {
        NOTED.with_borrow_mut(|all| {
            let at = all.iter().position(|noted| Arc::ptr_eq(&noted.hooks, self))?;
            let noted = all.remove(at);
            if all.is_empty() {
                *all = VecDeque::new();
            }
            noted
        })
    }

    fn tell_all(&self, Noted { client, notice, .. }: &Noted) -> bool {
        let publication = match notice.message().map(|message| Publication::of(message)) {
            Some(None) => return true,
            Some(publication) => publication,
            None => None,
        };
        let mut all_well = true;
        for (observer, interests) in &self.observers {
            if !notice.is_wanted(*interests) {
                continue;
            }
            let tell = || notice.tell(&**observer, client.as_ref(), publication.as_ref());
            if catch_unwind(AssertUnwindSafe(tell)).is_err() {
                let client = client.as_ref().map(|client| &client.client_id);
                tracing::error!(?client, event = notice.name(), "an observer panicked");
                all_well = false;
            }
        }
        all_well
    }
}

impl Notice {
    fn message(&self) -> Option<&Arc<Message>> {
        match self {
            Self::Published(message)
            | Self::PublishDropped(message, _)
            | Self::Retained(message)
            | Self::RetainPublished(message)
            | Self::QosPublished { message, .. }
            | Self::PacketIdsExhausted(message)
            | Self::WillSent(message) => Some(message),
            _ => None,
        }
    }

    fn is_wanted(&self, interests: Interests) -> bool {
        match self {
            Self::PacketRead(_) | Self::PacketSent(_) | Self::PacketProcessed(..) => {
                interests.packets
            }
            Self::Published(_)
            | Self::PublishDropped(..)
            | Self::Retained(_)
            | Self::RetainPublished(_) => interests.messages,
            Self::QosPublished { .. }
            | Self::QosCompleted(_)
            | Self::QosDropped(_)
            | Self::PacketIdsExhausted(_) => interests.exchanges,
            _ => true,
        }
    }

    /// The name of its method.
    fn name(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::SystemTick(_) => "system_tick",
            Self::Connected => "connected",
            Self::SessionEstablished { .. } => "session_established",
            Self::ConnectRefused(_) => "connect_refused",
            Self::Disconnected { .. } => "disconnected",
            Self::PacketRead(_) => "packet_read",
            Self::PacketSent(_) => "packet_sent",
            Self::PacketProcessed(..) => "packet_processed",
            Self::Subscribed(..) => "subscribed",
            Self::Unsubscribed(_) => "unsubscribed",
            Self::Published(_) => "published",
            Self::PublishDropped(..) => "publish_dropped",
            Self::Retained(_) => "retained",
            Self::RetainPublished(_) => "retain_published",
            Self::QosPublished { .. } => "qos_published",
            Self::QosCompleted(_) => "qos_completed",
            Self::QosDropped(_) => "qos_dropped",
            Self::PacketIdsExhausted(_) => "packet_ids_exhausted",
            Self::WillSent(_) => "will_sent",
            Self::ClientExpired => "client_expired",
            Self::RetainedExpired(_) => "retained_expired",
        }
    }

    /// Calls the method. What is told of a client comes with one, and what is
    /// told of a message with that.
    fn tell(
        &self,
        observer: &dyn Observer,
        client: Option<&Arc<ClientInfo>>,
        message: Option<&Publication>,
    ) {
        match (self, client, message) {
            (Self::Started, ..) => observer.started(),
            (Self::Stopped, ..) => observer.stopped(),
            (Self::SystemTick(counters), ..) => observer.system_tick(counters),
            (Self::RetainedExpired(topic), ..) => observer.retained_expired(topic),
            (Self::Published(_), client, Some(message)) => observer.published(client, message),
            (Self::PublishDropped(_, reason), client, Some(message)) => {
                observer.publish_dropped(client, message, *reason);
            }
            (Self::Retained(_), client, Some(message)) => observer.retained(client, message),
            (_, Some(client), message) => self.tell_of(observer, client, message),
            _ => {}
        }
    }

    /// Calls the method of what is always told of a client.
    fn tell_of(
        &self,
        observer: &dyn Observer,
        client: &Arc<ClientInfo>,
        message: Option<&Publication>,
    ) {
        match (self, message) {
            (Self::Connected, _) => observer.connected(client),
            (Self::SessionEstablished { present }, _) => {
                observer.session_established(client, *present);
            }
            (Self::ConnectRefused(reason), _) => observer.connect_refused(client, *reason),
            (Self::Disconnected { reason, session_ended }, _) => {
                observer.disconnected(client, *reason, *session_ended);
            }
            (Self::PacketRead(packet), _) => observer.packet_read(client, packet),
            (Self::PacketSent(packet), _) => observer.packet_sent(client, packet),
            (Self::PacketProcessed(packet, outcome), _) => {
                observer.packet_processed(client, packet, *outcome);
            }
            (Self::Subscribed(filter, qos), _) => observer.subscribed(client, filter, *qos),
            (Self::Unsubscribed(filter), _) => observer.unsubscribed(client, filter),
            (Self::RetainPublished(_), Some(message)) => observer.retain_published(client, message),
            (Self::QosPublished { id, resent, .. }, Some(message)) => {
                observer.qos_published(client, *id, message, *resent);
            }
            (Self::QosCompleted(id), _) => observer.qos_completed(client, *id),
            (Self::QosDropped(id), _) => observer.qos_dropped(client, *id),
            (Self::PacketIdsExhausted(_), Some(message)) => {
                observer.packet_ids_exhausted(client, message);
            }
            (Self::WillSent(_), Some(message)) => observer.will_sent(client, message),
            (Self::ClientExpired, _) => observer.client_expired(client),
            _ => {}
        }
    }
}
