//! The server's own socket in its data folder, and who speaks HTTP over it:
//! the command line.
//!
//! Whoever may open the socket could read and change everything in the folder
//! anyway, and needs no password there. What the command line changes goes the
//! way of every request: the same routes, checks and records, and the server
//! that runs has it at once.

mod client;
mod error;
mod socket;

pub use client::Console;
pub use error::ConsoleError;
pub use socket::{FILE, Socket};
