//! Who is let in, and how far.

mod tokens;
