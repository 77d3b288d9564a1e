//! A copy of all that a server has, and a server from such a copy.
//!
//! A backup is a folder: config.json, the databases, the keys, pictures and
//! plugins, and a manifest with the SHA-256 of each file, which is written
//! last. The folder has its name when it is whole and on disk, and not before.
//! The server may run meanwhile, and has no part in it.
//!
//! What waits for a PostgreSQL that is away is in it. A server from a backup
//! sends no message that waited when it was made, unless that is asked for.
//!
//! Absent by design: a database at `database.url`, which has its own tools;
//! files outside the folder of config.json that the settings name.

mod contents;
mod lines;
mod make;
mod manifest;
mod restore;
mod sqlite;
mod unfinished;

pub use make::{Made, make};
pub use manifest::Manifest;
pub use restore::{Restored, Waiting, restore};
