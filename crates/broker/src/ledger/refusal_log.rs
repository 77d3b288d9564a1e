//! Whom the ledger has not let in, as the log has it: so many a minute, for
//! whoever tries passwords would fill the disk with it.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::ConnectRequest;
use crate::shown::shown;

const MINUTE: Duration = Duration::from_secs(60);

/// How many are named in a minute; the others are counted.
const NAMED: u32 = 60;

/// The log of one ledger.
#[derive(Debug, Default)]
pub(super) struct RefusalLog(Mutex<Minute>);

#[derive(Debug, Default)]
struct Minute {
    began: Option<Instant>,
    named: u32,
    unnamed: u64,
}

/// What is said of a refusal.
#[derive(Debug, PartialEq, Eq)]
struct Says {
    /// Who it was.
    name: bool,
    /// How many were not named in the minute before; nothing where all were.
    unnamed_before: Option<u64>,
}

impl RefusalLog {
    /// A client was not let in.
    pub(super) fn note(&self, request: &ConnectRequest<'_>, username: Option<&str>) {
        let Says { name, unnamed_before } = self.0.lock().count(Instant::now());
        if let Some(clients) = unnamed_before {
            tracing::info!(clients, "more were not let in");
        }
        if name {
            tracing::info!(
                client = ?shown(request.client_id),
                username = ?username.map(shown),
                address = ?request.address,
                "a client is not let in"
            );
        }
    }
}

impl Minute {
    fn count(&mut self, now: Instant) -> Says {
        let is_over = self.began.is_none_or(|began| now.duration_since(began) >= MINUTE);
        let mut unnamed_before = None;
        if is_over {
            unnamed_before = Some(self.unnamed).filter(|unnamed| *unnamed > 0);
            *self = Self { began: Some(now), ..Self::default() };
        }
        let name = self.named < NAMED;
        self.named += u32::from(name);
        self.unnamed += u64::from(!name);
        Says { name, unnamed_before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_a_minute_some_are_named_and_the_others_counted() {
        let mut minute = Minute::default();
        let begin = Instant::now();
        for _ in 0..NAMED {
            assert_eq!(minute.count(begin), Says { name: true, unnamed_before: None });
        }
        for _ in 0..1000 {
            let late = begin + MINUTE - Duration::from_millis(1);
            assert_eq!(minute.count(late), Says { name: false, unnamed_before: None });
        }
        let next = begin + MINUTE;
        assert_eq!(minute.count(next), Says { name: true, unnamed_before: Some(1000) });
        assert_eq!(minute.count(next + MINUTE), Says { name: true, unnamed_before: None });
    }
}
