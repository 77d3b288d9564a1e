//! The message gateway, from HTTP to whoever listens.

mod batch;
mod export;
mod listed;
mod reader;
mod received;
mod refused;
mod sent;
