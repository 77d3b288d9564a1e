//! Messages that a work needs to be there before it begins, or gone after it.
use std::time::{Duration, Instant};

use crate::packets::Incoming;
use crate::pool::Pool;

const STALL: Duration = Duration::from_secs(20);
const WAIT: Duration = Duration::from_millis(100);

/// One client publishes so many at QoS 1, as `put` makes them by their numbers, at most `window`
/// of them unacknowledged; all are acknowledged at the end.
pub(super) fn publish_all(
    pool: &mut Pool,
    publisher: usize,
    window: u64,
    messages: u64,
    mut put: impl FnMut(u64, &mut Vec<u8>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (mut sent, mut acknowledged) = (0, 0);
    let mut last = Instant::now();
    while acknowledged < messages {
        while sent < messages && sent - acknowledged < window {
            put(sent, &mut pool.link(publisher).out)?;
            sent += 1;
        }
        pool.flush(publisher)?;
        pool.turn(WAIT, |_, incoming, _| {
            if matches!(incoming, Incoming::Acknowledged) {
                acknowledged += 1;
                last = Instant::now();
            }
        })?;
        if last.elapsed() > STALL || pool.closed().is_some() {
            let why = pool.closed();
            anyhow::bail!("{acknowledged} of {messages} messages were acknowledged: {why:?}");
        }
    }
    Ok(())
}
