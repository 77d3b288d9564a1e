//! Plugins, as real libraries, good and deliberately broken: what becomes of
//! them, of their calls, and of what they ask of the server.
#![allow(clippy::unwrap_used, missing_docs)]

mod calls;
mod grants;
mod house;
mod libraries;
mod loading;
mod quarantine;
