//! Latchlight: a control server for smart locks and lights.
//!
//! The server's modules; `startup` wires them, and docs/architecture.md walks
//! through them.

pub mod actions;
pub mod backup;
pub mod commands;
pub mod config;
pub mod console;
pub mod database;
pub mod device_interface;
pub mod events;
pub mod export_format;
pub mod http;
pub mod identity;
pub mod key_folder;
pub mod keypads;
pub mod messages;
mod named_fields;
pub mod open_files;
pub mod pictures;
pub mod plugin_host;
mod process;
pub mod simulate;
pub mod sole_use;
pub mod startup;
pub mod state;
pub mod telemetry;
mod timestamp;
pub mod tls;
