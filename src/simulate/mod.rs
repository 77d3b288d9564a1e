//! `latchlight simulate`: locks, lights and cameras that behave as real ones, each with its own
//! MQTT connection, and that show what they do as it happens.
//!
//! [`run`] starts the fleet. Each device is a task (device.rs) around a mechanism without I/O
//! (actuator.rs). Of the server it knows no more than the topics and words of the
//! device protocol, and where credentials are made (server.rs).

mod actuator;
mod args;
mod command;
mod console;
mod conversation;
mod device;
mod fleet;
mod kind;
mod operator;
mod outgoing;
mod picture;
mod server;
mod tally;
#[cfg(test)]
mod tests;

pub use args::SimulateArgs;
pub use fleet::run;
