//! The record of what happened: that nothing takes it back, and what stands in it.

mod commands;
mod devices;
mod record;
mod refusals;
mod routes;
mod sign_ins;
mod stream;
mod table;

pub(crate) use table::Table;
