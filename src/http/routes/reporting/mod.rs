//! `/reporting`.

pub(in crate::http) mod all;
