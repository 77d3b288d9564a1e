//! Who is let in, and how far.

mod forged;
mod matrix;
mod revoked;
mod tokens;
