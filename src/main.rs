//! The `latchlight` program.

fn main() {}
