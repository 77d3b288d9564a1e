//! The `latchlight-broker` program: the embeddable broker by itself, run by a
//! command line or a file. docs/broker.md tells its users about it.
//!
//! What it deliberately does not do: anything with locks, lights or plugins;
//! that is the `latchlight` program, which has the same broker inside.

mod cli;
mod config;
mod hash_password;
mod listeners;
mod migrate;
mod server;
mod source;
mod telemetry;

use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use cli::{Cli, Command};
use server::Server;
use source::Source;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody has to listen.
            let _ = writeln!(std::io::stderr(), "latchlight-broker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        None => serve(Source::of(cli.serve)?),
        Some(Command::Check { config }) => print(&check(&Source::File(config))?),
        Some(Command::HashPassword) => print(&hash_password::run()?),
        Some(Command::Migrate { file, out }) => print(&migrate::run(&file, &out)?),
    }
}

/// Prints what a command says; who has stopped reading has had enough.
fn print(text: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed.context("print"),
    }
}

fn serve(source: Source) -> anyhow::Result<()> {
    let prepared = source.read()?;
    let log = telemetry::init(&prepared.config.log)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    runtime.block_on(async {
        let server = Server::start(source, prepared, log)?;
        server.run_until_stopped().await
    })
}

/// Reads everything that a start would; gives what it found.
fn check(source: &Source) -> anyhow::Result<String> {
    let prepared = source.read()?;
    let mut found = format!("{source}: it can be used: {prepared}\n");
    for (number, tls) in prepared.certificates.iter().enumerate() {
        if let Some(said) = tls.as_ref().and_then(listeners::expiry) {
            writeln!(found, "listeners[{number}]: {said}")?;
        }
    }
    Ok(found)
}
