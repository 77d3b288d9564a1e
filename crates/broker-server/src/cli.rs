//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand};

use crate::config::StoreConfig;

/// An MQTT broker: 5, 3.1.1 and 3.1.
///
/// Run it by options alone, or by a file:
///
///     latchlight-broker --port 1883 --allow-anonymous
///     latchlight-broker --config broker.yaml
///
/// By options it listens at one plain TCP port. TLS, WebSocket and Unix sockets
/// are in a file's `listeners`; docs/broker.md has all that may be in it.
///
/// SIGTERM and Ctrl-C stop it; SIGHUP makes it read its files again.
#[derive(Parser)]
#[command(
    name = "latchlight-broker",
    version,
    max_term_width = 100,
    verbatim_doc_comment,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Args)]
pub(crate) struct ServeArgs {
    /// The configuration, in YAML or JSON. Everything is in it; no other option
    /// goes with it.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["port", "bind", "allow_anonymous", "ledger", "store", "http"]
    )]
    pub(crate) config: Option<PathBuf>,

    /// The port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 1883)]
    pub(crate) port: u16,

    /// The address to listen on. By anything but a loopback address, passwords
    /// and messages cross the network in plain text.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) bind: IpAddr,

    /// Let everybody do everything.
    #[arg(long, conflicts_with = "ledger")]
    pub(crate) allow_anonymous: bool,

    /// Who may do what: users and rules, in YAML or JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) ledger: Option<PathBuf>,

    /// Keep sessions and retained messages in this folder, or in the Redis
    /// server at redis://HOST:PORT, or rediss:// over TLS; without it, they end
    /// with the broker.
    #[arg(
        long,
        value_name = "FOLDER",
        value_parser = OsStringValueParser::new().try_map(StoreConfig::try_from),
    )]
    pub(crate) store: Option<StoreConfig>,

    /// Serve statistics, health and metrics over HTTP at this loopback address:
    /// /stats, /healthz and /metrics. Port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) http: Option<SocketAddr>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Read a configuration, and the ledger and certificates that it names, as a
    /// start would.
    Check {
        /// The configuration, in YAML or JSON.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Make the hash of a password, for a ledger.
    ///
    /// The password is asked for; where there is no terminal, it is the first
    /// line of the standard input.
    HashPassword,
    /// Turn the configuration or the auth ledger of Mochi-MQTT 2.7 into ours.
    ///
    /// Writes broker.yaml and users.yaml, with the passwords hashed, and says
    /// what changes in meaning.
    Migrate {
        /// Their configuration or ledger, in YAML or JSON.
        file: PathBuf,
        /// The folder to write to.
        #[arg(long, value_name = "FOLDER", default_value = ".")]
        out: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_makes_sense() {
        Cli::command().debug_assert();
    }
}
