//! rumqttd, as crates.io brings it.
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use latchlight_contest::first_line;

use super::Contestant;
use crate::setup::{Listener, Setup};

/// `rumqttd`.
#[derive(Debug)]
pub struct Rumqttd {
    /// The program.
    pub program: PathBuf,
}

impl Contestant for Rumqttd {
    fn name(&self) -> &str {
        "rumqttd"
    }

    fn version(&self) -> Option<String> {
        first_line(Command::new(&self.program).arg("--version"))
    }

    fn lacks(&self, _: Listener, durable: bool) -> Option<&'static str> {
        durable.then_some("it keeps nothing on disk")
    }

    /// The settings of the file that comes with it, but for two limits that some works are beyond:
    /// 10,010 connections and payloads of 20,480 bytes.
    fn command(&self, setup: &Setup) -> anyhow::Result<Command> {
        let server = if setup.listener == Listener::WebSocket { "ws" } else { "v4" };
        let tls = match setup.listener {
            Listener::Tls => format!(
                "[{server}.1.tls]\ncertpath = \"{}\"\nkeypath = \"{}\"\n",
                setup.certificate().display(),
                setup.key().display()
            ),
            _ => String::new(),
        };
        let lines = format!(
            "id = 0\n\
             [router]\nid = 0\nmax_connections = 20010\nmax_outgoing_packet_count = 200\n\
             max_segment_size = 104857600\nmax_segment_count = 10\n\
             [{server}.1]\nname = \"{server}-1\"\nlisten = \"127.0.0.1:{}\"\n\
             next_connection_delay_ms = 1\n\
             [{server}.1.connections]\nconnection_timeout_ms = 60000\n\
             max_payload_size = 262144\nmax_inflight_count = 100\ndynamic_filters = true\n{tls}",
            setup.port
        );
        let file = setup.path("rumqttd.toml");
        fs::write(&file, lines).context("write rumqttd.toml")?;
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(file);
        Ok(command)
    }
}
