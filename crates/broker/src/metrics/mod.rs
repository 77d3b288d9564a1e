//! What is counted and measured, for Prometheus. Nothing is counted for it that
//! is not counted anyway: it is put together when it is asked for.

mod collector;
mod page;
mod text;

pub use collector::Metrics;
pub use text::prometheus_text;
