//! Limits, at limit + 1.

mod bodies;
mod commands;
mod connections;
mod heads;
mod pictures;
mod values;
