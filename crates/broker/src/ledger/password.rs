//! Passwords: kept as argon2id hashes, checked off the threads that serve
//! sockets, a few at once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::Semaphore;

/// How many clients may wait for their password to be checked; more are told
/// that the server is busy.
const MOST_WAITING: usize = 1024;

/// How long one may wait before it is told that, too.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The most memory that a check may take, in KiB.
const MOST_MEMORY: u32 = 256 * 1024;

/// The most passes over it.
const MOST_PASSES: u32 = 64;

/// An argon2id hash of a password, in the PHC format. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Arc<phc::PasswordHash>);

/// What was offered as a hash and is none. It does not say what it was: that
/// may be a password.
#[derive(Debug, thiserror::Error)]
#[error(
    "this is no argon2id hash, and a password itself is not kept here; \
     `latchlight-broker hash-password` makes the hash of one"
)]
pub struct InvalidPasswordHash;

impl PasswordHash {
    /// Hashes a password.
    ///
    /// # Errors
    /// The system gives no random numbers, or the password is 4 GiB long.
    pub fn of(password: &[u8]) -> Result<Self, argon2::password_hash::Error> {
        Argon2::default().hash_password(password).map(|hash| Self(Arc::new(hash)))
    }

    /// What a check costs: memory, passes and lanes.
    pub(super) fn cost(&self) -> (u32, u32, u32) {
        let params = Params::try_from(&*self.0).unwrap_or_default();
        (params.m_cost(), params.t_cost(), params.p_cost())
    }

    fn verify(&self, password: &[u8]) -> bool {
        Argon2::default().verify_password(password, &*self.0).is_ok()
    }
}

impl std::str::FromStr for PasswordHash {
    type Err = InvalidPasswordHash;

    fn from_str(text: &str) -> Result<Self, InvalidPasswordHash> {
        let hash = phc::PasswordHash::new(text).map_err(|_| InvalidPasswordHash)?;
        let params = Params::try_from(&hash).map_err(|_| InvalidPasswordHash)?;
        let is_whole = hash.salt.is_some() && hash.hash.is_some();
        let is_bearable = params.m_cost() <= MOST_MEMORY && params.t_cost() <= MOST_PASSES;
        match hash.algorithm.as_str() == Algorithm::Argon2id.as_str() && is_whole && is_bearable {
            true => Ok(Self(Arc::new(hash))),
            false => Err(InvalidPasswordHash),
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

impl fmt::Display for PasswordHash {
    /// Writes the hash itself: for the file of a ledger.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for PasswordHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What serde says of a wrong type shows the value.
        let text = String::deserialize(deserializer)
            .map_err(|_| serde::de::Error::custom(InvalidPasswordHash))?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for PasswordHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Checks passwords, as many at once as leave the machine time for the rest.
#[derive(Debug)]
pub(super) struct Verifier {
    at_once: Semaphore,
    waiting: AtomicUsize,
}

/// Too many passwords are being checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Busy;

impl Default for Verifier {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { at_once: Semaphore::new((cores / 2).clamp(1, 8)), waiting: AtomicUsize::new(0) }
    }
}

/// Somebody who waits; no more when it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Verifier {
    /// Whether it is the password.
    pub(super) async fn verify(&self, hash: &PasswordHash, password: &[u8]) -> Result<bool, Busy> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= MOST_WAITING {
            return Err(Busy);
        }
        let turn = tokio::time::timeout(LONGEST_WAIT, self.at_once.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(Busy) };
        let (hash, password) = (hash.clone(), password.to_vec());
        let checked = tokio::task::spawn_blocking(move || hash.verify(&password)).await;
        checked.map_err(|_| Busy)
    }
}
