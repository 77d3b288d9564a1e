//! The guides, done as they say: each block of code of docs/guides and
//! docs/metrics.md, as it stands there, against the real program; and the links
//! between the pages.

#![allow(clippy::unwrap_used)]
// What other tests need of the harness.
#![allow(dead_code)]

mod app_developers;
mod device_makers;
#[path = "../../crates/client/tests/support/free_port.rs"]
mod free_port;
#[path = "../device/harness.rs"]
mod harness;
mod house;
#[path = "../support/leaks.rs"]
mod leaks;
mod links;
mod newcomer;
mod operators;
mod page;
#[path = "../device/process.rs"]
mod process;
mod prometheus;
#[path = "../support/secrets.rs"]
mod secrets;
mod terminal;
