//! What benchmarks share that run several servers in turn on one machine: starting and stopping
//! them, their processor time and memory, the machine and the versions, medians.
//!
//! What is measured, and how, is left to each benchmark. Linux only: it reads /proc.

pub mod accounting;
mod environment;
mod median;
mod process;

pub use environment::{Environment, first_line};
pub use median::median;
pub use process::{Processes, free_port};
