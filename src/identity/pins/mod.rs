//! PIN codes for keypads: each is a person's, and for what that person may do
//! at the moment when it is typed, or for less of it.
//!
//! A code is so short that whoever has its hash finds it by trying all. So it
//! is kept as an HMAC under a key that is not in the database; and it is told
//! once, in the answer to whoever has it made.
//!
//! Absent by design: nothing here counts wrong codes, which `keypads` does; and
//! no code can be asked for, or shown, again.

mod code;
mod key;
mod name;
mod new_pin;
mod obvious;
mod pin;
mod rows;
mod store;
mod then;

pub use code::{Digits, InvalidCode, PinCode, ShownCode};
pub use name::{InvalidPinName, PinName};
pub use new_pin::NewPin;
pub use pin::{Pin, PinId};
pub use store::{PinError, Pins};
pub use then::PinsThen;
