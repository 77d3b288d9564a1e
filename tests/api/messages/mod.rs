//! The message gateway, from HTTP to whoever listens.

mod batch;
mod listed;
mod reader;
mod refused;
mod sent;
