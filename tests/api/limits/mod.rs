//! Limits, at limit + 1.

mod bodies;
mod connections;
mod heads;
mod pictures;
mod values;
