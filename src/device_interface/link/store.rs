//! What outlives the server of its embedded broker, and what must not: after
//! the start no old command is there, and nothing that is no longer so.

use std::path::Path;

use anyhow::Context as _;
use latchlight_broker::{SqliteStore, StoredAs, StoredMessage};

use crate::device_interface::topics::{Source, Topics};

/// The broker's store in the data folder; its log stands beside it.
const FILE: &str = "broker.db";

/// Opens the store, or makes it; one that is torn is kept aside.
///
/// # Errors
/// It cannot be opened, or another process uses it.
pub(super) fn open(data: &Path) -> anyhow::Result<SqliteStore> {
    SqliteStore::open(data.join(FILE)).context("open the broker's store")
}

/// Whether a message of an earlier run comes back. The devices' own base
/// topics are known before this is asked.
pub(super) fn keeps(topics: &Topics, message: &StoredMessage<'_>) -> bool {
    let StoredMessage { topic, stored_as, .. } = *message;
    // C1, C3, C7: nothing waits there for a device that comes back, and what
    // is retained there would be a command to whoever subscribes.
    if topics.is_command_topic(topic) {
        if stored_as != StoredAs::Owed {
            tracing::warn!(topic, ?stored_as, "a message on a command topic is purged");
        }
        return false;
    }
    // What is said there is secret, and of no use later.
    if topics.is_join_topic(topic) {
        return false;
    }
    match stored_as {
        // The server says anew how things are.
        StoredAs::Owed => !topics.is_state_topic(topic),
        // Whose session is not here yet is not online, whatever it has left.
        StoredAs::Retained => {
            topics.refuse_reserved(topic).is_ok()
                && !topics.is_spoken_topic(topic)
                && !matches!(topics.source(topic), Some(Source::Online(_)))
        }
        StoredAs::Will => topics.refuse_reserved(topic).is_ok() && !topics.is_spoken_topic(topic),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn no_command_and_no_old_state_comes_back() {
        let topics = Topics::new(&Settings::default());
        topics.adopt_base(&"front".parse().unwrap(), "yard/front").unwrap();
        let keeps = |topic: &str| {
            [StoredAs::Retained, StoredAs::Owed, StoredAs::Will].map(|stored_as| {
                keeps(&topics, &StoredMessage { topic, payload: b"unlock", stored_as })
            })
        };
        for down in ["latchlight/devices/x/down", "latchlight/devices//down", "yard/front/down"] {
            assert_eq!(keeps(down), [false; 3], "{down}");
        }
        for state in ["latchlight/devices/front/state", "latchlight/server/online"] {
            assert_eq!(keeps(state), [false; 3], "{state}");
        }
        // What was said, and what somebody is owed, stays said; but nothing
        // stays retained or is said as a will where it would be acted on.
        for said in ["latchlight/devices/x/up", "latchlight/apps/ann/up", "yard/front/up"] {
            assert_eq!(keeps(said), [false, true, false], "{said}");
        }
        for own in ["latchlight/alerts/stranger", "latchlight/apps/ann/down"] {
            assert_eq!(keeps(own), [false, true, false], "{own}");
        }
        assert_eq!(keeps("latchlight/devices/front/online"), [false, true, true]);
        assert_eq!(keeps("yard/back/down"), [true; 3], "it is nobody's");
        assert_eq!(keeps("weather"), [true; 3]);
    }
}
