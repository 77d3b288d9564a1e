//! PostgreSQL as the database: a real one. What is the same as on SQLite is in
//! the other tests, which `script/test` runs on both.

mod away;
mod given_up;
mod proxy;
mod records;
mod replayed;
mod start;
mod swallowed;
