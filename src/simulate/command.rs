//! What the server says on a device's `down` topic.
use std::fmt;

/// What a device may be told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Lock,
    Unlock,
    On,
    Off,
}

/// `lock <command> <expires>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) verb: Verb,
    pub(super) id: String,
    /// Unix seconds.
    pub(super) expires: i64,
}

/// A message on `down`, by its first word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Down {
    Command(Command),
    /// A verb without the id and the expiry that make it safe to obey.
    Incomplete(Verb),
    /// "Tell your state."
    Report,
    /// What we asked for is done.
    Ok(String),
    /// What we asked for failed.
    Error(String),
    /// The server does not know the word that we sent.
    Unknown(String),
    /// A word that we do not know.
    Other(String),
}

impl Down {
    pub(super) fn parse(payload: &[u8]) -> Self {
        let text = String::from_utf8_lossy(payload);
        let (word, rest) = match text.split_once(' ') {
            Some((word, rest)) => (word, rest.trim()),
            None => (text.as_ref(), ""),
        };
        let verb = match word {
            "lock" => Verb::Lock,
            "unlock" => Verb::Unlock,
            "on" => Verb::On,
            "off" => Verb::Off,
            "report" => return Self::Report,
            "ok" => return Self::Ok(rest.into()),
            "error" => return Self::Error(rest.into()),
            "unknown" => return Self::Unknown(rest.into()),
            _ => return Self::Other(word.chars().take(64).collect()),
        };
        let mut words = rest.split_ascii_whitespace();
        match (words.next(), words.next().map(str::parse)) {
            (Some(id), Some(Ok(expires))) => {
                Self::Command(Command { verb, id: id.into(), expires })
            }
            _ => Self::Incomplete(verb),
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Lock => "lock",
            Self::Unlock => "unlock",
            Self::On => "on",
            Self::Off => "off",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_decides_and_a_command_needs_its_id_and_expiry() {
        let command = Command { verb: Verb::Unlock, id: "0190-a".into(), expires: 17 };
        assert_eq!(Down::parse(b"unlock 0190-a 17"), Down::Command(command.clone()));
        assert_eq!(Down::parse(b"unlock 0190-a 17 more to come"), Down::Command(command));
        for incomplete in [&b"unlock"[..], b"unlock 0190-a", b"unlock 0190-a soon"] {
            assert_eq!(Down::parse(incomplete), Down::Incomplete(Verb::Unlock));
        }
    }

    #[test]
    fn answers_keep_their_rest_and_anything_else_is_told_apart() {
        assert_eq!(Down::parse(b"ok hand_shake"), Down::Ok("hand_shake".into()));
        assert_eq!(Down::parse(b"unknown sing"), Down::Unknown("sing".into()));
        assert_eq!(Down::parse(b"report"), Down::Report);
        assert_eq!(Down::parse(b"Lock a 1"), Down::Other("Lock".into()));
        assert_eq!(Down::parse(b""), Down::Other(String::new()));
        assert_eq!(Down::parse(b"\xff\xfe"), Down::Other("\u{fffd}\u{fffd}".into()));
    }
}
