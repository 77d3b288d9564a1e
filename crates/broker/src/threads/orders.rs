//! Who moves: what a thread tells the connections that it serves, each when it
//! has done something.

use std::cell::RefCell;
use std::sync::Arc;

use super::Hand;

thread_local! {
    static ORDER: RefCell<Option<Order>> = const { RefCell::new(None) };
}

/// That connections go to another thread.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) to: Arc<Hand>,
    pub(super) who: Who,
}

/// Which connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    All,
    /// Those whose session's number has this bit: always the same ones, so
    /// that the others stay.
    Half(u32),
}

impl Who {
    fn includes(self, number: u64) -> bool {
        match self {
            Self::All => true,
            Self::Half(bit) => number >> bit & 1 == 1,
        }
    }
}

/// What holds on this thread from now on.
pub(super) fn give(order: Option<Order>) {
    ORDER.set(order);
}

/// Where this session's connection is to go from here, if it is to.
pub(crate) fn destination(number: u64) -> Option<Arc<Hand>> {
    ORDER.with_borrow(|order| {
        let order = order.as_ref().filter(|order| order.who.includes(number))?;
        Some(order.to.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_them_are_the_same_ones_each_time() {
        let of = |bit| (0..8).filter(|number| Who::Half(bit).includes(*number)).collect::<Vec<_>>();
        assert_eq!(of(0), [1, 3, 5, 7]);
        assert_eq!(of(1), [2, 3, 6, 7]);
        assert!((0..8).all(|number| Who::All.includes(number)));
    }
}
