//! Which server a command is for, and how its answer is shown.

use std::path::PathBuf;

use clap::Args;
use latchlight::console::Console;

/// What every command has that asks a server which runs.
#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// The configuration of the server that runs, as `latchlight serve` has it
    #[arg(long, value_name = "FILE", default_value = "config.json")]
    pub(super) config: PathBuf,
    /// Print the server's answer as JSON, for programs
    #[arg(long)]
    pub(super) json: bool,
}

impl ServerArgs {
    pub(super) async fn connect(&self) -> anyhow::Result<Console> {
        Ok(Console::connect(&self.config).await?)
    }
}
