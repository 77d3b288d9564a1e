//! By which clock a record is old. A machine without a clock of its own starts
//! in 1970, and is set right when the network is there: what was on record a
//! minute ago is not old by that, and who repeats it is not obeyed twice.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The wall clock as it stood at the start, and from then on the clock that
/// nobody sets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunClock {
    started: Instant,
    stood: Timestamp,
}

impl RunClock {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), stood: Timestamp::now() }
    }

    /// Now, in Unix milliseconds, as the record has it.
    pub(crate) fn now(&self) -> i64 {
        self.stood.as_millisecond().saturating_add(milliseconds(self.started.elapsed()))
    }

    /// So long ago.
    pub(crate) fn before(&self, age: Duration) -> i64 {
        self.now().saturating_sub(milliseconds(age))
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
