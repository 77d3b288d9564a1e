//! Plugins, as real libraries, good and deliberately broken: what becomes of
//! them, of their calls, and of what they ask of the server.
#![allow(clippy::unwrap_used, missing_docs)]

mod calls;
mod grants;
#[allow(dead_code)] // Reason: the other tests of the program use the rest of it.
#[path = "../device/harness.rs"]
mod harness;
mod house;
#[allow(dead_code)] // Reason: the tests of the API and of devices use the rest of it.
#[path = "../support/leaks.rs"]
mod leaks;
mod libraries;
mod loading;
mod quarantine;
mod readme;
mod remote;
mod running_server;
#[allow(dead_code)]
#[path = "../support/secrets.rs"]
mod secrets;
