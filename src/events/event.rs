//! One event, before it is on record.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::commands::CommandId;
use crate::identity::{Principal, Through, Who};
use crate::state::DeviceId;

/// The most characters of an actor and an action, which strangers may choose.
const LONGEST_NAME: usize = 200;

/// The most characters of what there is to say.
const LONGEST_DETAIL: usize = 500;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A command that was issued, or ended; recorded by the table of commands
    /// itself.
    Command,
    /// Somebody signed in, or could not.
    SignIn,
    /// An account was added, changed or removed.
    Account,
    /// A password, a key or a device's secret was made, changed or revoked.
    Credential,
    /// A device joined or was removed.
    Device,
    /// A device's state is another one than before.
    State,
    /// A device came, or went.
    Presence,
    /// Something that everybody is told at once.
    Alert,
    /// Pairing was opened, used or closed.
    Pairing,
    /// A picture was deleted, a link to it was made, or old ones were removed.
    Picture,
    /// A plugin was started, or could not be; was installed, called for, removed.
    Plugin,
    /// Something that somebody may not, and that is none of the others.
    Refusal,
    /// The server started or stopped.
    Server,
    /// The record itself: what was exported, removed or lost of it.
    Record,
}

/// What came of it. Of a command, the record has the command's own ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Ok,
    /// It was not allowed.
    Refused,
    /// It was allowed, and could not be done.
    Failed,
}

/// Something that happened, and is to be on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub(super) at: Timestamp,
    pub(super) kind: Kind,
    pub(super) actor: String,
    pub(super) through: Through,
    pub(super) address: Option<IpAddr>,
    pub(super) device: Option<String>,
    pub(super) command: Option<CommandId>,
    pub(super) action: String,
    pub(super) result: Outcome,
    pub(super) detail: Option<String>,
    pub(super) times: u64,
}

impl Kind {
    /// Those that whoever may see a device may see of it.
    pub const OF_DEVICES: [Self; 4] = [Self::Command, Self::State, Self::Presence, Self::Alert];

    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Command,
        Self::SignIn,
        Self::Account,
        Self::Credential,
        Self::Device,
        Self::State,
        Self::Presence,
        Self::Alert,
        Self::Pairing,
        Self::Picture,
        Self::Plugin,
        Self::Refusal,
        Self::Server,
        Self::Record,
    ];

    /// The word, as in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::SignIn => "sign_in",
            Self::Account => "account",
            Self::Credential => "credential",
            Self::Device => "device",
            Self::State => "state",
            Self::Presence => "presence",
            Self::Alert => "alert",
            Self::Pairing => "pairing",
            Self::Picture => "picture",
            Self::Plugin => "plugin",
            Self::Refusal => "refusal",
            Self::Server => "server",
            Self::Record => "record",
        }
    }
}

impl Outcome {
    /// The word, as in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl Event {
    /// Somebody did this, just now, and it was done.
    pub fn of(kind: Kind, principal: &Principal, action: &str) -> Self {
        Self::new(kind, &principal.to_string(), principal.through, principal.address, action)
    }

    /// Somebody who was not let in.
    pub fn of_nobody(kind: Kind, through: Through, address: Option<IpAddr>, action: &str) -> Self {
        Self::new(kind, "nobody", through, address, action)
    }

    /// A device has come, or gone.
    pub fn of_presence(device: &DeviceId, online: bool) -> Self {
        let who = Principal::over_mqtt(Who::Device(device.clone()));
        let action = if online { "online" } else { "offline" };
        Self::of(Kind::Presence, &who, action).device(device)
    }

    /// The server, for somebody of this name who asked for it earlier.
    pub fn on_behalf_of(kind: Kind, actor: &str, action: &str) -> Self {
        Self::new(kind, actor, Through::Server, None, action)
    }

    /// The server by itself.
    pub fn of_server(kind: Kind, action: &str) -> Self {
        Self::new(kind, "server", Through::Server, None, action)
    }

    fn new(
        kind: Kind,
        actor: &str,
        through: Through,
        address: Option<IpAddr>,
        action: &str,
    ) -> Self {
        Self {
            at: Timestamp::now(),
            kind,
            actor: plain(actor, LONGEST_NAME),
            through,
            address: address.map(|address| address.to_canonical()),
            device: None,
            command: None,
            action: plain(action, LONGEST_NAME),
            result: Outcome::Ok,
            detail: None,
            times: 1,
        }
    }

    /// The device that it is about.
    #[must_use]
    pub fn device(mut self, device: &DeviceId) -> Self {
        self.device = Some(device.to_string());
        self
    }

    /// The command that it has to do with; its end is an event by itself.
    #[must_use]
    pub fn command(mut self, command: CommandId) -> Self {
        self.command = Some(command);
        self
    }

    /// What else there is to say; never a secret.
    #[must_use]
    pub fn detail(mut self, detail: &str) -> Self {
        self.detail = Some(plain(detail, LONGEST_DETAIL));
        self
    }

    /// It was not allowed, and why.
    #[must_use]
    pub fn refused(mut self, why: &str) -> Self {
        self.result = Outcome::Refused;
        self.detail(why)
    }

    /// It was allowed, and could not be done, and why.
    #[must_use]
    pub fn failed(mut self, why: &str) -> Self {
        self.result = Outcome::Failed;
        self.detail(why)
    }

    #[cfg(test)]
    pub(super) fn new_for_tests(actor: &str) -> Self {
        Self::new(Kind::Refusal, actor, Through::Mqtt, None, "unlock").refused("why")
    }

    /// It stands for so many.
    pub(super) fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }
}

/// A text that strangers may have chosen: not too long, and on one line.
fn plain(text: &str, longest: usize) -> String {
    let mut plain = String::with_capacity(text.len().min(longest));
    for (index, char) in text.chars().enumerate() {
        if index == longest {
            plain.push('…');
            break;
        }
        if char.is_control() || turns_text(char) {
            plain.extend(char.escape_default());
        } else {
            plain.push(char);
        }
    }
    plain
}

/// What ends a line, or has the text around it shown in another order.
fn turns_text(char: char) -> bool {
    matches!(char, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_chose_is_short_and_on_one_line() {
        assert_eq!(plain("a \u{0}\n\u{1b}[1m é", 100), "a \\u{0}\\n\\u{1b}[1m é");
        assert_eq!(plain("\u{202E}abc\u{2028}", 100), "\\u{202e}abc\\u{2028}");
        assert_eq!(plain("abcd", 3), "abc…");
        assert_eq!(plain("abc", 3), "abc");
    }

    #[test]
    fn kinds_are_read_as_they_are_written() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).ok(), Some(kind.as_str().into()));
        }
    }
}
