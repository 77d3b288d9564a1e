//! What a person types while the devices run.
use std::str::FromStr;

use tokio::sync::mpsc;

/// What can be done to a device by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Block its bolt.
    Jam,
    /// Free its bolt.
    Free,
    /// Cut its power.
    Unplug,
    /// Give its power back.
    Plug,
    /// Stand before it and ring: a camera sees a stranger.
    Press,
}

/// A line such as `jam lock-1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) order: Order,
    pub(super) device: String,
}

/// What can be typed.
pub(super) const USAGE: &str =
    "type: jam ID, free ID, unplug ID, plug ID, or press ID (a camera sees a stranger)";

impl FromStr for Line {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split_whitespace();
        let order = match words.next() {
            Some("jam") => Order::Jam,
            Some("free") => Order::Free,
            Some("unplug") => Order::Unplug,
            Some("plug") => Order::Plug,
            Some("press") => Order::Press,
            _ => return Err(()),
        };
        match (words.next(), words.next()) {
            (Some(device), None) => Ok(Self { order, device: device.into() }),
            _ => Err(()),
        }
    }
}

/// The lines of standard input, until it ends. A full queue leaves the rest in the pipe.
pub(super) fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(16);
    // Reading cannot be interrupted, so the thread is left to the end of the program.
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_order_and_one_device() {
        let line = Line { order: Order::Unplug, device: "lock-1".into() };
        assert_eq!(" unplug  lock-1 ".parse(), Ok(line));
        for wrong in ["", "jam", "jam a b", "open lock-1"] {
            assert_eq!(wrong.parse::<Line>(), Err(()), "{wrong}");
        }
    }
}
