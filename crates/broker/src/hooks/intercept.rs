//! Asking the interceptors, one after the other.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use latchlight_mqtt::{ConnAck, Connect, Packet, ReasonCode, SubscribeFilter, TopicFilter};

use super::Hooks;
use crate::{ClientInfo, Interceptor, Origin, Publication, Recipient, Steps, Stop, Verdict};

thread_local! {
    /// A hook panicked over what this thread is handling.
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// A hook has panicked, and that was logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Calls a hook.
///
/// # Errors
/// It panicked.
pub(crate) fn call<T>(hook: &'static str, ask: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(ask)).map_err(|_| {
        tracing::error!(hook, "a hook panicked");
        Panicked
    })
}

/// The same; where it panics, the connection that is handled ends.
fn ask<T>(hook: &'static str, ask: impl FnOnce() -> T) -> Result<T, Panicked> {
    call(hook, ask).inspect_err(|_| PANICKED.set(true))
}

/// Whether a hook has panicked since this was asked last.
pub(super) fn take_panicked() -> bool {
    PANICKED.take()
}

impl Hooks {
    fn at(&self, step: fn(&Steps) -> bool) -> impl Iterator<Item = &dyn Interceptor> {
        let asked = self.interceptors.iter().filter(move |(_, steps)| step(steps));
        asked.map(|(interceptor, _)| &**interceptor)
    }

    /// # Errors
    /// The answer to who is not let in.
    pub(crate) fn connect(
        &self,
        connect: &mut Connect,
        origin: Origin<'_>,
    ) -> Result<(), Box<ConnAck>> {
        let version = connect.version;
        for interceptor in self.at(|steps| steps.connect) {
            let asked = call("connect", || interceptor.connect(connect, origin));
            connect.version = version;
            let unspecified = || ConnAck::new(false, ReasonCode::UnspecifiedError);
            let mut refusal = match asked {
                Ok(Ok(())) => continue,
                Ok(Err(refusal)) => *refusal,
                Err(Panicked) => unspecified(),
            };
            if !refusal.reason.is_error() {
                refusal = unspecified();
            }
            // [MQTT-3.2.2-6]
            refusal.session_present = false;
            return Err(Box::new(refusal));
        }
        Ok(())
    }

    pub(crate) fn read_packet(&self, client: &Arc<ClientInfo>, packet: &mut Packet) -> Verdict {
        for interceptor in self.at(|steps| steps.read_packet) {
            match ask("read_packet", || interceptor.read_packet(client, packet)) {
                Ok(Verdict::Handle) => {}
                Ok(verdict) => return verdict,
                Err(Panicked) => return Verdict::Close(ReasonCode::UnspecifiedError),
            }
        }
        Verdict::Handle
    }

    /// # Errors
    /// One of them panicked; whoever is handled now has no part in it.
    pub(crate) fn encode_packet(
        &self,
        client: &Arc<ClientInfo>,
        packet: &mut Packet,
    ) -> Result<(), Panicked> {
        self.at(|steps| steps.encode_packet).try_for_each(|interceptor| {
            call("encode_packet", || interceptor.encode_packet(client, packet))
        })
    }

    /// # Errors
    /// The client does not have it.
    pub(crate) fn subscribe(
        &self,
        client: &Arc<ClientInfo>,
        wanted: &mut SubscribeFilter,
    ) -> Result<(), ReasonCode> {
        for interceptor in self.at(|steps| steps.subscribe) {
            let asked = ask("subscribe", || interceptor.subscribe(client, wanted));
            asked.unwrap_or(Err(ReasonCode::UnspecifiedError)).map_err(failure)?;
        }
        // [MQTT-3.8.3-4]: a shared one has no such option.
        wanted.options.no_local &= wanted.filter.shared().is_none();
        Ok(())
    }

    /// # Errors
    /// The client keeps it.
    pub(crate) fn unsubscribe(
        &self,
        client: &Arc<ClientInfo>,
        filter: &mut TopicFilter,
    ) -> Result<(), ReasonCode> {
        for interceptor in self.at(|steps| steps.unsubscribe) {
            let asked = ask("unsubscribe", || interceptor.unsubscribe(client, filter));
            asked.unwrap_or(Err(ReasonCode::UnspecifiedError)).map_err(failure)?;
        }
        Ok(())
    }

    /// # Errors
    /// One of them panicked: nobody gets the message.
    pub(crate) fn select_subscribers(
        &self,
        publisher: Option<&Arc<ClientInfo>>,
        message: &Publication,
        recipients: &mut Vec<Recipient>,
    ) -> Result<(), Panicked> {
        self.at(|steps| steps.select_subscribers).try_for_each(|interceptor| {
            let select = || interceptor.select_subscribers(publisher, message, recipients);
            ask("select_subscribers", select)
        })
    }

    /// # Errors
    /// It is not published.
    pub(crate) fn publish(
        &self,
        publisher: Option<&Arc<ClientInfo>>,
        message: &mut Publication,
    ) -> Result<(), Stop> {
        for interceptor in self.at(|steps| steps.publish) {
            let asked = ask("publish", || interceptor.publish(publisher, message));
            asked.unwrap_or(Err(Stop::Refuse(ReasonCode::UnspecifiedError)))?;
        }
        Ok(())
    }

    /// # Errors
    /// It is not published.
    pub(crate) fn will(
        &self,
        client: &Arc<ClientInfo>,
        will: &mut Publication,
    ) -> Result<(), Stop> {
        for interceptor in self.at(|steps| steps.will) {
            let asked = call("will", || interceptor.will(client, will));
            asked.unwrap_or(Err(Stop::Refuse(ReasonCode::UnspecifiedError)))?;
        }
        Ok(())
    }
}

/// Never success for what was refused (C14).
fn failure(reason: ReasonCode) -> ReasonCode {
    if reason.is_error() { reason } else { ReasonCode::UnspecifiedError }
}

impl Stop {
    /// Why, for who counts and watches; nothing where nobody is to know.
    pub(crate) fn reason(self) -> Option<ReasonCode> {
        match self {
            Self::Silently => None,
            Self::Refuse(reason) | Self::Disconnect(reason) => Some(failure(reason)),
        }
    }
}
