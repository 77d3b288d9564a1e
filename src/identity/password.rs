//! Passwords: what a new one must be, and how they are kept and checked:
//! argon2id, off the threads that answer, a few at once.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher as _, PasswordVerifier as _};
use serde::{Deserialize, Deserializer};
use tokio::sync::Semaphore;

use super::Identity;

/// How many characters a password has.
const FEWEST: usize = 8;
const MOST: usize = 200;

/// How many may wait for their password to be checked; more are told that the
/// server is busy.
const MOST_WAITING: usize = 256;

/// How long one may wait before it is told that, too.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What is tried first by whoever guesses, in small letters; of eight
/// characters and more, for others are none anyway. One character again and
/// again, and runs as `abcdefgh`, are found by looking at them.
#[rustfmt::skip]
const OBVIOUS: [&str; 45] = [
    "11223344", "12121212", "12341234", "123123123", "123321123", "1234qwer", "147258369",
    "1q2w3e4r", "1q2w3e4r5t", "1qaz2wsx", "1qazxsw2",
    "abc12345", "abcd1234", "admin123", "admin1234", "administrator", "asdfasdf", "asdfghjk",
    "asdfghjkl", "baseball", "changeme", "computer", "football", "iloveyou", "internet",
    "latchlight", "letmein1", "letmeinnow", "michelle", "passw0rd", "password", "password1",
    "password12", "password123", "princess", "q1w2e3r4", "qwer1234", "qwerty12", "qwerty123",
    "qwertyui", "qwertyuiop", "sunshine", "superman", "trustno1", "welcome1",
];

/// A password that somebody wants to have from now on. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct NewPassword(String);

/// A password that somebody shows. It is never shown again.
#[derive(Clone, PartialEq, Eq)]
pub struct ShownPassword(String);

/// Why a new password is none. It does not say what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// Of too few characters, or too many.
    #[error("a password has {FEWEST} to {MOST} characters")]
    Length,
    /// Among the first that are tried.
    #[error("this password is among the first that anybody tries: take another one")]
    Obvious,
    /// It is the account's own name.
    #[error("a password is not the name of its account: take another one")]
    Name,
    /// It was no text.
    #[error("a password is a text")]
    NoText,
}

/// Why a password was neither hashed nor checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many are being checked.
    #[error("too many passwords are being checked: try again soon")]
    Busy,
    /// The system failed.
    #[error("the password cannot be hashed: {0}")]
    Failed(String),
}

/// Hashes and checks passwords, as many at once as leave the machine time for
/// the rest; cheap to clone.
#[derive(Debug, Clone)]
pub struct Passwords(Arc<Turns>);

#[derive(Debug)]
struct Turns {
    at_once: Semaphore,
    waiting: AtomicUsize,
}

/// Somebody who waits; no more when it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Passwords {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let at_once = Semaphore::new((cores / 2).clamp(1, 8));
        Self(Arc::new(Turns { at_once, waiting: AtomicUsize::new(0) }))
    }
}

impl Passwords {
    /// The hash of a new password, as a PHC string.
    ///
    /// # Errors
    /// Too much is being hashed, or the system has no random numbers.
    pub async fn hash(&self, password: NewPassword) -> Result<String, PasswordError> {
        let hash = self.in_turn(move || {
            Argon2::default().hash_password(password.0.as_bytes()).map(|hash| hash.to_string())
        });
        hash.await?.map_err(|error| PasswordError::Failed(error.to_string()))
    }

    /// Whether this is the password of that hash. Without a hash it is not, and
    /// to find that out takes as long.
    ///
    /// # Errors
    /// Too many are being checked.
    pub async fn verify(
        &self,
        hash: Option<String>,
        password: ShownPassword,
    ) -> Result<bool, PasswordError> {
        if password.0.chars().count() > MOST {
            return Ok(false);
        }
        let hash = hash.unwrap_or_else(nobodys);
        self.in_turn(move || {
            PasswordHash::new(&hash).is_ok_and(|hash| {
                Argon2::default().verify_password(password.0.as_bytes(), &hash).is_ok()
            })
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let before = self.0.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.0.waiting);
        if before >= MOST_WAITING {
            return Err(PasswordError::Busy);
        }
        let turn = tokio::time::timeout(LONGEST_WAIT, self.0.at_once.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(PasswordError::Busy) };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| PasswordError::Failed(error.to_string()))
    }
}

/// A hash that costs what others cost, and that no password is known to have.
fn nobodys() -> String {
    let (m, t, p) = (Params::DEFAULT_M_COST, Params::DEFAULT_T_COST, Params::DEFAULT_P_COST);
    let (salt, hash) = ("A".repeat(22), "A".repeat(43));
    format!("$argon2id$v=19$m={m},t={t},p={p}${salt}${hash}")
}

impl NewPassword {
    /// Refuses one that everybody would try on this account.
    ///
    /// # Errors
    /// It is the account's name, alone or with digits behind it.
    pub fn check_against(&self, name: &Identity) -> Result<(), InvalidPassword> {
        let password = self.0.to_lowercase();
        let bare = password.trim_end_matches(|c: char| c.is_ascii_digit());
        let name = name.as_str().to_lowercase();
        if password == name || bare == name {
            return Err(InvalidPassword::Name);
        }
        Ok(())
    }
}

impl FromStr for NewPassword {
    type Err = InvalidPassword;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !(FEWEST..=MOST).contains(&text.chars().count()) {
            return Err(InvalidPassword::Length);
        }
        let small = text.to_lowercase();
        if OBVIOUS.contains(&small.as_str()) || is_a_run(&small) {
            return Err(InvalidPassword::Obvious);
        }
        Ok(Self(text.to_owned()))
    }
}

impl From<String> for ShownPassword {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Whether each character is as far from the one before: `aaaaaaaa`,
/// `abcdefgh`, `98765432`, and `1234567890`.
fn is_a_run(text: &str) -> bool {
    let steps = text.chars().zip(text.chars().skip(1)).map(|(a, b)| match (a, b) {
        ('9', '0') => 1,
        ('0', '9') => -1,
        _ => i64::from(u32::from(b)) - i64::from(u32::from(a)),
    });
    let mut steps = steps.peekable();
    match steps.peek().copied() {
        Some(first @ -1..=1) => steps.all(|step| step == first),
        _ => false,
    }
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword(…)")
    }
}

impl fmt::Debug for ShownPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShownPassword(…)")
    }
}

/// What serde says of a wrong type would show the value.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    String::deserialize(from).map_err(|_| serde::de::Error::custom(InvalidPassword::NoText))
}

impl<'de> Deserialize<'de> for NewPassword {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        text(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for ShownPassword {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        text(from).map(Self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_would_try_is_no_password() {
        use InvalidPassword::{Length, Obvious};
        for (text, why) in [
            ("", Length),
            ("sieben7", Length),
            ("Passw0rd", Obvious),
            ("ÄÄÄÄÄÄÄÄ", Obvious),
            ("abcdefghij", Obvious),
            ("1234567890", Obvious),
            ("9876543210", Obvious),
            ("LatchLight", Obvious),
        ] {
            assert_eq!(text.parse::<NewPassword>(), Err(why), "{text}");
        }
        assert_eq!("x y".repeat(67).parse::<NewPassword>(), Err(Length));
        for text in ["acht Ähm", "correct horse battery staple", "\u{1f511}a\u{1f6aa}bcdefg"] {
            assert!(text.parse::<NewPassword>().is_ok(), "{text}");
        }
        let password: NewPassword = "Heating2026".parse().unwrap();
        let name = |name: &str| name.parse().unwrap();
        assert_eq!(password.check_against(&name("heating")), Err(InvalidPassword::Name));
        assert_eq!(password.check_against(&name("heat")), Ok(()));
    }

    #[test]
    fn c30_a_wrong_type_does_not_show_what_it_was() {
        for json in ["12345678", "[\"my secret\"]", "{\"my secret\": 1}"] {
            let error = serde_json::from_str::<NewPassword>(json).unwrap_err().to_string();
            assert!(error.starts_with("a password is a text"), "{error}");
            let error = serde_json::from_str::<ShownPassword>(json).unwrap_err().to_string();
            assert!(!error.contains("secret") && !error.contains("1234"), "{error}");
        }
        let shown = format!("{:?}", ShownPassword::from("my secret".to_owned()));
        assert!(!shown.contains("secret"));
    }

    #[tokio::test]
    async fn the_right_password_alone_is_right() {
        let passwords = Passwords::default();
        let hash = passwords.hash("my own secret".parse().unwrap()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        for (hash, shown, right) in [
            (Some(hash.clone()), "my own secret", true),
            (Some(hash.clone()), "my own secret ", false),
            (Some(hash), "", false),
            (Some("no hash".to_owned()), "my own secret", false),
            (None, "my own secret", false),
        ] {
            let shown = ShownPassword::from(shown.to_owned());
            assert_eq!(passwords.verify(hash, shown).await.unwrap(), right);
        }
    }

    #[test]
    fn a_hash_that_is_nobodys_is_checked_to_its_end() {
        let hash = nobodys();
        let hash = PasswordHash::new(&hash).unwrap();
        assert!(hash.salt.is_some() && hash.hash.is_some());
        let cost = Params::try_from(&hash).unwrap();
        assert_eq!((cost.m_cost(), cost.t_cost()), (Params::DEFAULT_M_COST, 2));
    }
}
