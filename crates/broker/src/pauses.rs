//! Which publishers wait for whose acknowledgements, so that none waits in
//! vain: a client's acknowledgements come behind what it publishes, and are not
//! read while it waits itself.

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};

/// How many are looked at for one publisher; whoever is found by no fewer is
/// waited for, which ends by itself ([`crate::Options::stalled_after`]).
const LOOKED_AT: usize = 1024;

/// Publishers that wait, by their sessions' numbers, and those whose
/// acknowledgements they wait for.
#[derive(Debug, Default)]
pub(crate) struct Pauses(Mutex<FxHashMap<u64, Vec<u64>>>);

impl Pauses {
    /// A publisher is to wait for these readers' acknowledgements, from now on
    /// and for nobody else's. Gives those it would wait for in vain: itself, and
    /// who waits for it, by whatever others.
    pub(crate) fn begin(&self, publisher: u64, readers: Vec<u64>) -> Vec<u64> {
        let mut pauses = self.0.lock();
        pauses.remove(&publisher);
        let mut left = LOOKED_AT;
        let is_in_vain = |reader: &u64| waits_for(&pauses, *reader, publisher, &mut left);
        let (vain, readers): (Vec<_>, Vec<_>) = readers.into_iter().partition(is_in_vain);
        if !readers.is_empty() {
            pauses.insert(publisher, readers);
        }
        vain
    }

    /// A publisher waits no more.
    pub(crate) fn end(&self, publisher: u64) {
        self.0.lock().remove(&publisher);
    }
}

/// Whether `reader` is `publisher` or waits for it, by whatever others.
fn waits_for(
    pauses: &FxHashMap<u64, Vec<u64>>,
    reader: u64,
    publisher: u64,
    left: &mut usize,
) -> bool {
    let (mut next, mut seen) = (vec![reader], FxHashSet::default());
    while let Some(client) = next.pop() {
        if client == publisher {
            return true;
        }
        let Some(readers) = pauses.get(&client).filter(|_| seen.insert(client)) else { continue };
        *left = left.saturating_sub(readers.len());
        if *left == 0 {
            return false;
        }
        next.extend(readers);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{LOOKED_AT, Pauses};

    const NONE: [u64; 0] = [];

    #[test]
    fn nobody_waits_for_who_waits_for_it() {
        let pauses = Pauses::default();
        assert_eq!(pauses.begin(1, vec![1, 2]), [1], "itself");
        assert_eq!(pauses.begin(2, vec![3]), NONE, "a chain");
        assert_eq!(pauses.begin(3, vec![4, 1, 5]), [1], "by way of another");
        assert_eq!(pauses.begin(4, vec![3]), [3]);
        // As it was: the third waits for the fourth, which waits for nobody.
        assert_eq!(pauses.begin(1, vec![2, 3]), NONE);
        pauses.end(3);
        assert_eq!(pauses.begin(4, vec![3]), NONE);
        for publisher in 1..=4 {
            pauses.end(publisher);
        }
        assert!(pauses.0.lock().is_empty());
    }

    #[test]
    fn not_all_are_looked_at() {
        let pauses = Pauses::default();
        let others = 10..10 + LOOKED_AT as u64;
        pauses.begin(1, others.chain([2]).collect());
        pauses.begin(3, vec![2]);
        assert_eq!(pauses.begin(2, vec![1]), NONE, "too many");
        assert_eq!(pauses.begin(2, vec![3, 1]), [3], "one at a time");
    }
}
