//! The session expiry interval (MQTT 5, 3.1.2.11.2), and what older versions
//! have in its place.

use latchlight_mqtt::{Connect, ProtocolVersion};

use crate::broker::Core;
use crate::session_handle::Session;
use crate::{Options, Time};

/// How long a session outlives its connection, in ms, within the bounds.
pub(super) fn expiry(seconds: u32, options: &Options) -> Time {
    let most = u64::try_from(options.max_session_expiry.as_millis()).unwrap_or(u64::MAX);
    (u64::from(seconds) * 1000).min(most)
}

/// How long a session is to outlive this connection. A new one does not while
/// the store cannot write, which a client of MQTT 5 is told: better let in
/// without a place there than not at all.
pub(super) fn session_expiry(core: &Core, connect: &Connect, session: Option<&Session>) -> Time {
    let options = &core.options;
    let asked = asked_expiry(connect, options);
    let cannot_be_new = || core.recorder.as_ref().is_some_and(|recorder| recorder.is_failing());
    let is_new = || session.is_none_or(|session| !session.outbound.lock().owed.is_logged());
    if asked > 0 && cannot_be_new() && is_new() {
        return 0;
    }
    asked
}

fn asked_expiry(connect: &Connect, options: &Options) -> Time {
    match connect.version {
        ProtocolVersion::V5 => {
            expiry(connect.properties.session_expiry_interval.unwrap_or(0), options)
        }
        // 3.1.1: [MQTT-3.1.2-5], within the bound.
        _ if connect.clean_start => 0,
        _ => expiry(u32::MAX, options),
    }
}
