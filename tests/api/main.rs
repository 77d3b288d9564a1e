//! The API and the board, from outside: the real server on free ports, with
//! its own config file and data folder per test, devices that speak MQTT to
//! its embedded broker, and a real browser.
#![allow(clippy::unwrap_used)]

mod harness;
#[path = "../support/leaks.rs"]
mod leaks;
#[allow(dead_code)] // Reason: not every test stops it or has it stand still.
#[path = "../support/postgres.rs"]
mod postgres_server;
#[path = "../support/provider.rs"]
mod provider;
#[allow(dead_code)] // Reason: the tests of devices use the rest of it.
#[path = "../support/secrets.rs"]
mod secrets;

mod actions;
mod auth;
mod board;
mod commands;
mod console;
mod cors;
mod device_credentials;
mod devices;
mod events;
mod health;
mod hello;
mod idempotency;
mod keypad;
mod leaks_found;
mod limits;
mod lists;
mod messages;
mod metrics;
mod oidc;
mod openapi;
mod origin;
mod pictures;
mod postgres;
mod problems;
mod proxies;
mod readme;
mod security_txt;
mod stop;
mod test_route;
mod users;
