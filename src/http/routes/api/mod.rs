//! `/api/v1`.

pub(in crate::http) mod actions;
pub(in crate::http) mod api_keys;
pub(in crate::http) mod broker;
pub(in crate::http) mod commands;
pub(in crate::http) mod credentials;
pub(in crate::http) mod devices;
pub(in crate::http) mod events;
pub(in crate::http) mod keypad;
pub(in crate::http) mod me;
pub(in crate::http) mod messages;
pub(in crate::http) mod pairing;
pub(in crate::http) mod pictures;
pub(in crate::http) mod pins;
pub(in crate::http) mod plugins;
pub(in crate::http) mod users;
