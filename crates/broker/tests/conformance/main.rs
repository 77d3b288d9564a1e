//! The standards, statement by statement: what MQTT 5.0 and 3.1.1 ask of a
//! server, each shown by a test over a real socket that names it, or listed in
//! `mqtt_5_0.md` and `mqtt_3_1_1.md` with the reason why there is none.
//! `script/conformance` runs them and prints the coverage. `features.md` says
//! by feature which tests show it.
//!
//! A test names statements in its doc comment, by version:
//! `5.0: [MQTT-3.1.0-1]; 3.1.1: [MQTT-3.1.0-1]`.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod bytes;
mod coverage;
mod features;

mod authentication;
mod client_id;
mod connack;
mod connect;
mod disconnect;
mod flow_control;
mod format;
mod keep_alive;
mod mixed_versions;
mod mqtt_3_1;
mod problem_information;
mod publish;
mod qos;
mod retained;
mod session_state;
mod strings;
mod subscribe;
mod topics;
mod transport;
mod unsubscribe;
mod will;
