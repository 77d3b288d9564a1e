//! Latchlight: a control server for smart locks and lights.

pub mod simulate;
