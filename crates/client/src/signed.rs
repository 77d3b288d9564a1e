//! Signed commands, as a device checks them. One looks like
//! `unlock <id> <expires> <counter> <hmac>`: words with one space between
//! them, the last one the HMAC-SHA-256 of all that stands before the space in
//! front of it, as 64 of `0-9a-f`.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// A device's key, as its server told it once: 64 of `0-9a-f`.
///
/// ```
/// use latchlight_client::{CommandKey, InvalidCommand};
///
/// let key: CommandKey =
///     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f".parse().unwrap();
/// // What the device remembers, and the time by its clock.
/// let (last, now) = (0, 1_790_000_000);
/// let payload = b"unlock 019a0000-0000-7000-8000-000000000001 1790000010 41 00";
/// assert_eq!(key.check(payload, last, now), Err(InvalidCommand::Form));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CommandKey([u8; 32]);

/// A command that its server has signed for this device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCommand {
    /// What to do: `lock`, `unlock`, `on`, `off`.
    pub verb: String,
    /// The command's id.
    pub id: String,
    /// Until when, in Unix seconds.
    pub expires: i64,
    /// Higher than that of every command before: to be remembered, over a loss
    /// of power too, before anything moves.
    pub counter: i64,
}

/// Why a command is not obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCommand {
    /// It has not the five words of a signed command.
    #[error("it is not of the form of a signed command")]
    Form,
    /// Somebody else made it, or changed something in it.
    #[error("its signature is wrong")]
    Signature,
    /// It, or a later one, has come before.
    #[error("it has come before")]
    Replayed,
    /// Its time is over.
    #[error("its time is over")]
    Expired,
}

/// What is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a command key is 64 of 0-9a-f")]
pub struct InvalidCommandKey;

impl CommandKey {
    /// Checks a command: that it has been signed with this key, that its
    /// counter is higher than the `last` one that was obeyed, and that its time
    /// is not over; `now` in Unix seconds.
    ///
    /// # Errors
    /// It is not to be obeyed.
    pub fn check(
        &self,
        payload: &[u8],
        last: i64,
        now: i64,
    ) -> Result<SignedCommand, InvalidCommand> {
        let text = std::str::from_utf8(payload).map_err(|_| InvalidCommand::Form)?;
        let (signed, hmac) = text.rsplit_once(' ').ok_or(InvalidCommand::Form)?;
        let command = SignedCommand::parse(signed).ok_or(InvalidCommand::Form)?;
        let hmac = bytes(hmac).ok_or(InvalidCommand::Form)?;
        let mut own =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("keys of any length are taken");
        own.update(signed.as_bytes());
        // It takes as long, whatever both have in common.
        own.verify_slice(&hmac).map_err(|_| InvalidCommand::Signature)?;
        if command.counter <= last {
            return Err(InvalidCommand::Replayed);
        }
        if now > command.expires {
            return Err(InvalidCommand::Expired);
        }
        Ok(command)
    }
}

impl SignedCommand {
    fn parse(signed: &str) -> Option<Self> {
        let mut words = signed.split(' ');
        let (verb, id) = (words.next()?, words.next()?);
        let (expires, counter) = (number(words.next()?)?, number(words.next()?)?);
        let is_whole = words.next().is_none() && !verb.is_empty() && !id.is_empty();
        is_whole.then(|| Self { verb: verb.to_owned(), id: id.to_owned(), expires, counter })
    }
}

fn number(digits: &str) -> Option<i64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn bytes(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
        let mut value = 0;
        for digit in digits {
            value = value * 16
                + match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return None,
                };
        }
        *byte = value;
    }
    Some(bytes)
}

impl FromStr for CommandKey {
    type Err = InvalidCommandKey;

    fn from_str(hex: &str) -> Result<Self, Self::Err> {
        bytes(hex).map(Self).ok_or(InvalidCommandKey)
    }
}

impl fmt::Debug for CommandKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommandKey(…)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_is_64_digits_and_is_not_shown() {
        let hex = "0f".repeat(32);
        let key: CommandKey = hex.parse().unwrap();
        assert_eq!((key.0, format!("{key:?}")), ([15; 32], "CommandKey(…)".to_owned()));
        for wrong in ["", "0f", &"0F".repeat(32), &"é".repeat(32), &"0f".repeat(33)] {
            assert_eq!(wrong.parse::<CommandKey>(), Err(InvalidCommandKey), "{wrong}");
        }
    }

    #[test]
    fn what_has_not_the_form_is_not_even_looked_at() {
        let key: CommandKey = "00".repeat(32).parse().unwrap();
        let hmac = "00".repeat(32);
        for signed in [
            "",
            "unlock",
            "unlock a 1",
            "unlock a 1 2 3",
            "unlock  1 2",
            "unlock a +1 2",
            "unlock a 1 -2",
            "unlock a 1 9223372036854775808",
            " a 1 2",
            "unlock a  2",
        ] {
            let payload = format!("{signed} {hmac}");
            assert_eq!(key.check(payload.as_bytes(), 0, 0), Err(InvalidCommand::Form), "{signed}");
        }
        assert_eq!(key.check(b"\xff", 0, 0), Err(InvalidCommand::Form));
        let right = format!("unlock a 1 2 {hmac}");
        assert_eq!(key.check(right.as_bytes(), 0, 0), Err(InvalidCommand::Signature));
    }
}
