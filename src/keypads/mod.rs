//! Keypads: a device asks whether a code may open a door, and the server says
//! yes and does it, or no. So a keypad knows no codes, and opens nothing.
//!
//! Wrong codes are counted by keypad and for all of them together; who reaches
//! a limit waits, longer each time, and the alert `wrong_codes` is raised.
//!
//! Absent by design: no code comes over MQTT, and none is in an error, a log,
//! an event or an alert.

mod alarm;
mod handle;
mod throttle;

pub use handle::{Admitted, KeypadError, Keypads, Parts, Wish};
pub use throttle::Paused;
