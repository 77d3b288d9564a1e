//! The command line: a file per noun.

mod account;
mod apikey;
mod audit;
mod backup;
mod database;
mod device;
mod grants;
mod moment;
mod output;
mod pair;
mod password;
mod pin;
mod plugin;
mod rename;
mod restore;
mod serve;
mod server;
mod stop;
mod tls;
mod user;

use clap::{Parser, Subcommand};
use latchlight::simulate;

use stop::stop_on_signal;

/// A control server for smart locks and lights.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server until Ctrl-C or SIGTERM.
    Serve(serve::ServeArgs),
    /// Copy all that a server has into a folder; it may run meanwhile.
    Backup(backup::BackupArgs),
    /// Make a server from such a copy.
    Restore(restore::RestoreArgs),
    /// The database: SQLite or PostgreSQL, and from one to the other.
    #[command(subcommand)]
    Database(database::DatabaseCommand),
    /// Play locks, lights and cameras, to try the server without hardware.
    Simulate(simulate::SimulateArgs),
    /// People who may sign in, and what they may do.
    ///
    /// These commands ask the server that runs on this machine, through the
    /// socket in its data folder: who may use that needs no password.
    #[command(subcommand)]
    User(user::UserCommand),
    /// API keys: what programs show to be let in.
    ///
    /// These commands ask the server that runs on this machine, through the
    /// socket in its data folder: who may use that needs no password.
    #[command(subcommand)]
    Apikey(apikey::ApikeyCommand),
    /// What happened, and who did it: the record of events.
    ///
    /// These commands ask the server that runs on this machine, through the
    /// socket in its data folder: who may use that needs no password.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Devices: what they show to be let in.
    ///
    /// These commands ask the server that runs on this machine, through the
    /// socket in its data folder: who may use that needs no password.
    #[command(subcommand)]
    Device(device::DeviceCommand),
    /// PIN codes, for keypads.
    ///
    /// These commands ask the server that runs on this machine, through the
    /// socket in its data folder: who may use that needs no password.
    #[command(subcommand)]
    Pin(pin::PinCommand),
    /// Let a device join by a code: shows it as text and as a QR code, and waits.
    Pair(pair::PairArgs),
    /// Plugins: what config.json needs to load one; to sign one, and to install
    /// it in a server that runs.
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// TLS: certificates for a house's own network, and those that there are.
    #[command(subcommand)]
    Tls(tls::TlsCommand),
}

impl Cli {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Serve(args) => serve::run(args).await,
            Command::Simulate(args) => simulate::run(args, stop_on_signal()?).await,
            Command::Backup(args) => backup::run(args).await,
            Command::Restore(args) => restore::run(args).await,
            Command::Database(command) => database::run(command).await,
            Command::User(command) => user::run(command).await,
            Command::Apikey(command) => apikey::run(command).await,
            Command::Audit(command) => audit::run(command).await,
            Command::Pair(args) => pair::run(args).await,
            Command::Device(command) => device::run(command).await,
            Command::Pin(command) => pin::run(command).await,
            Command::Plugin(command) => plugin::run(command).await,
            Command::Tls(command) => tls::run(command),
        }
    }
}
