//! Limits, at limit + 1.

mod bodies;
mod heads;
mod pictures;
mod values;
