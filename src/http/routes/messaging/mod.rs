//! `/messaging`.

pub(in crate::http) mod send;
