//! The server from outside: the real program, real sockets, real MQTT clients.

#![allow(clippy::unwrap_used)]

mod accounts;
mod alerts;
mod audit;
mod authority;
mod backup;
mod backup_waiting;
mod clock;
mod commands;
mod doors;
mod firmware;
mod harness;
mod identities;
mod keypad;
#[path = "../support/leaks.rs"]
mod leaks;
mod log;
mod meanwhile;
mod memory;
mod messages;
mod mosquitto;
mod moved;
mod on_its_way;
mod outside_access;
mod outside_away;
mod outside_broker;
mod outside_quick;
mod outside_restarts;
mod patient_stream;
mod pictures_killed;
mod postgres;
#[allow(dead_code)] // Reason: the tests of the API use the rest of it.
#[path = "../support/postgres.rs"]
mod postgres_server;
mod process;
mod real_clients;
mod received_messages;
mod restart;
mod retention;
mod safety;
#[path = "../support/secrets.rs"]
mod secrets;
mod signed;
mod store;
mod stranger;
mod tls;
mod tls_client;
mod tls_command;
mod tls_devices;
mod tls_files;
mod tls_floods;
mod tls_listeners;
mod tour;
mod waiting_messages;
