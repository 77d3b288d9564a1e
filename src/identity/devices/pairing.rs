//! Pairing: for a time, whoever shows a code that was told once may join as a
//! new device. It is in memory alone, and ends with the server.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;
use utoipa::ToSchema;

use super::secret;
use crate::state::DeviceId;

/// How many characters a code has; each is 5 bits, so that there are 50.
const CHARACTERS: usize = 10;

/// Without those that are taken for others (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// So many wrong codes end it.
const FAILURES: u32 = 5;

/// Whether somebody may join now; cheap to clone.
#[derive(Clone, Default)]
pub struct Pairing(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    closed_by_failures: Notify,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    ended: Option<Ended>,
    joined: Option<DeviceId>,
    /// What the device that joined last has used up.
    used: Option<Open>,
}

struct Open {
    code: [u8; 32],
    until: Instant,
    failures: u32,
    /// Who has shown the code: from then on it is nobody else's.
    bound: Option<DeviceId>,
}

/// How pairing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// A device has joined.
    Joined,
    /// Its time was over.
    TimeOver,
    /// Somebody tried wrong codes.
    WrongCodes,
    /// Somebody ended it.
    Closed,
}

/// How it stands; the code is not among it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PairingStatus {
    /// Whether somebody may join.
    #[schema(example = true)]
    pub open: bool,
    /// For so long.
    #[schema(example = 142)]
    pub seconds_left: u64,
    /// How often a wrong code was shown.
    #[schema(example = 0)]
    pub wrong_codes: u32,
    /// Who has shown the code, and has not joined yet.
    pub joining: Option<DeviceId>,
    /// How the last one ended.
    pub ended: Option<Ended>,
    /// Who joined then.
    pub joined: Option<DeviceId>,
}

/// The code, as it is told once: two groups of five characters. It is in no
/// log.
#[derive(Clone)]
pub struct JoinCode(String);

impl JoinCode {
    fn generate() -> Result<Self, getrandom::Error> {
        let mut random = [0; CHARACTERS];
        getrandom::fill(&mut random)?;
        let code: String =
            random.iter().map(|byte| ALPHABET[*byte as usize % 32] as char).collect();
        Ok(Self(code))
    }

    /// The code itself: for the one answer that tells it.
    pub fn reveal(&self) -> String {
        let (first, second) = self.0.split_at(CHARACTERS / 2);
        format!("{first}-{second}")
    }
}

impl fmt::Debug for JoinCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinCode(…)")
    }
}

/// As somebody types it: with or without the hyphen, in whichever letters.
fn normalized(shown: &[u8]) -> Vec<u8> {
    let shown = shown.iter().filter(|byte| !b"- ".contains(byte)).take(CHARACTERS + 1);
    shown
        .map(|byte| match byte.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            byte => byte,
        })
        .collect()
}

impl State {
    fn end(&mut self, ended: Ended) {
        if self.open.take().is_some() {
            self.ended = Some(ended);
        }
    }

    /// The one that is open, if its time is not over.
    fn open(&mut self, now: Instant) -> Option<&mut Open> {
        if self.open.as_ref().is_some_and(|open| now >= open.until) {
            self.end(Ended::TimeOver);
        }
        self.open.as_mut()
    }
}

impl Pairing {
    /// Begins, in the place of what is open; the code is told here and nowhere
    /// else.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn begin(&self, lasts: Duration) -> Result<JoinCode, getrandom::Error> {
        let code = JoinCode::generate()?;
        let hash = secret::hash(code.0.as_bytes());
        let open = Open { code: hash, until: Instant::now() + lasts, failures: 0, bound: None };
        *self.0.state.lock() = State { open: Some(open), ..State::default() };
        Ok(code)
    }

    /// Ends it; false: it was not open.
    pub fn close(&self) -> bool {
        let mut state = self.0.state.lock();
        let was_open = state.open(Instant::now()).is_some();
        state.end(Ended::Closed);
        state.used = None;
        was_open
    }

    /// How it stands.
    pub fn status(&self) -> PairingStatus {
        let mut state = self.0.state.lock();
        let now = Instant::now();
        let open = state.open(now);
        let seconds_left = open.as_ref().map_or(0, |open| (open.until - now).as_secs());
        let wrong_codes = open.as_ref().map_or(0, |open| open.failures);
        let joining = open.as_ref().and_then(|open| open.bound.clone());
        let is_open = open.is_some();
        PairingStatus {
            open: is_open,
            seconds_left,
            wrong_codes,
            joining,
            ended: state.ended,
            joined: state.joined.clone(),
        }
    }

    /// Whether somebody who shows this may join as this device: the code is
    /// right, and nobody else has shown it before. A wrong one counts.
    pub fn show(&self, shown: &[u8], device: &DeviceId) -> bool {
        let shown = secret::hash(&normalized(shown));
        let mut state = self.0.state.lock();
        let Some(open) = state.open(Instant::now()) else { return false };
        if secret::is_same(&shown, &open.code) {
            let bound = open.bound.get_or_insert_with(|| device.clone());
            return bound == device;
        }
        open.failures += 1;
        if open.failures >= FAILURES {
            state.end(Ended::WrongCodes);
            self.0.closed_by_failures.notify_one();
        }
        false
    }

    /// Whether this device has shown the code, and may join.
    pub fn is_joining(&self, device: &str) -> bool {
        let mut state = self.0.state.lock();
        let bound = state.open(Instant::now()).and_then(|open| open.bound.as_ref());
        bound.is_some_and(|bound| bound.as_str() == device)
    }

    /// The same, or it has just joined, and is being told so.
    pub fn may_stay(&self, device: &str) -> bool {
        let joined = self.0.state.lock().joined.as_ref().is_some_and(|one| one.as_str() == device);
        joined || self.is_joining(device)
    }

    /// It has joined, and the code is used up; false: pairing is over, and it has
    /// not.
    #[must_use]
    pub fn finish(&self, device: &DeviceId) -> bool {
        let mut state = self.0.state.lock();
        let open = state.open(Instant::now());
        if open.is_none_or(|open| open.bound.as_ref() != Some(device)) {
            return false;
        }
        state.used = state.open.take();
        state.ended = Some(Ended::Joined);
        state.joined = Some(device.clone());
        true
    }

    /// It has not joined after all, and may try again: unless somebody has ended
    /// pairing meanwhile, or begun it anew.
    pub fn take_back(&self, device: &DeviceId) {
        let mut state = self.0.state.lock();
        if state.joined.as_ref() == Some(device) {
            state.joined = None;
            state.ended = Some(Ended::Closed);
            if let Some(used) = state.used.take() {
                *state = State { open: Some(used), ..State::default() };
            }
        }
    }

    /// Waits until wrong codes have closed it.
    pub async fn closed_by_failures(&self) {
        self.0.closed_by_failures.notified().await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(180);

    fn id(id: &str) -> DeviceId {
        id.parse().unwrap()
    }

    #[test]
    fn c21_a_code_lets_one_device_join_once() {
        let pairing = Pairing::default();
        assert!(!pairing.show(b"", &id("front")));
        let code = pairing.begin(LONG).unwrap();
        assert_eq!(code.reveal().len(), 11);
        assert_eq!(format!("{code:?}"), "JoinCode(…)");
        let typed = code.reveal().to_lowercase().replace('-', " ").replace('0', "o");
        assert!(pairing.show(typed.as_bytes(), &id("front")));
        assert!(!pairing.show(code.reveal().as_bytes(), &id("back")), "it is bound");
        assert!(pairing.show(code.reveal().as_bytes(), &id("front")), "it may come again");
        assert!(pairing.is_joining("front") && !pairing.is_joining("back"));
        assert!(!pairing.finish(&id("back")));
        assert!(pairing.finish(&id("front")));
        assert!(!pairing.show(code.reveal().as_bytes(), &id("front")));
        assert!(!pairing.is_joining("front") && pairing.may_stay("front"));
        let status = pairing.status();
        assert_eq!((status.open, status.ended), (false, Some(Ended::Joined)));
    }

    #[test]
    fn c21_five_wrong_codes_close_it() {
        let pairing = Pairing::default();
        let code = pairing.begin(LONG).unwrap();
        for wrong in 1..=5 {
            assert!(pairing.status().open, "{wrong}");
            assert!(!pairing.show(b"00000-00000", &id("front")));
        }
        assert_eq!(pairing.status().ended, Some(Ended::WrongCodes));
        assert!(!pairing.show(code.reveal().as_bytes(), &id("front")));
    }

    #[test]
    fn it_ends_by_itself_and_by_hand() {
        let pairing = Pairing::default();
        let code = pairing.begin(Duration::ZERO).unwrap();
        assert!(!pairing.show(code.reveal().as_bytes(), &id("front")));
        assert_eq!(pairing.status().ended, Some(Ended::TimeOver));
        assert!(!pairing.close());
        let code = pairing.begin(LONG).unwrap();
        assert!(pairing.show(code.reveal().as_bytes(), &id("front")));
        assert!(pairing.close());
        assert!(!pairing.finish(&id("front")), "it was about to join");
        let code = pairing.begin(LONG).unwrap();
        assert!(pairing.show(code.reveal().as_bytes(), &id("front")));
        assert!(pairing.finish(&id("front")));
        pairing.take_back(&id("back"));
        assert!(!pairing.status().open);
        pairing.take_back(&id("front"));
        assert!(pairing.is_joining("front"), "it may try again");
        assert!(pairing.finish(&id("front")));
        assert!(!pairing.close());
        pairing.take_back(&id("front"));
        assert!(!pairing.is_joining("front"), "nobody joins behind that");
        assert_eq!(pairing.status().ended, Some(Ended::Closed));
    }
}
