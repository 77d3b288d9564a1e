//! The `latchlight` program: its command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use latchlight::config::Settings;
use latchlight::startup::Application;
use latchlight::state::ConfigFile;
use latchlight::{plugin_host, simulate, telemetry};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A control server for smart locks and lights.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server until Ctrl-C or SIGTERM.
    Serve(ServeArgs),
    /// Play locks, lights and cameras, to try the server without hardware.
    Simulate(simulate::SimulateArgs),
    /// Plugins: what config.json needs to load one.
    #[command(subcommand)]
    Plugin(PluginCommand),
}

#[derive(Args)]
struct ServeArgs {
    /// The configuration: `{"settings": {…}, "state": {…}}`. The server keeps
    /// its state in this file, so it must be able to replace it. Settings can
    /// be overridden by the environment, such as LATCHLIGHT_HTTP__LISTEN.
    #[arg(long, value_name = "FILE", default_value = "config.json")]
    config: PathBuf,
}

#[derive(Subcommand)]
enum PluginCommand {
    /// Print the entry for `plugins.allow` in config.json that lets the
    /// server load these very bytes.
    Allow {
        /// The plugin: a dynamic library.
        file: PathBuf,
    },
    /// Show which plugins config.json allows, whether their files are the
    /// ones that it allows, and which others lie in the folder. Nothing is
    /// loaded; of a running server, `GET /api/v1/plugins` tells more.
    List {
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = "config.json")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("latchlight: {}", telemetry::one_line(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => serve(args).await,
            Command::Simulate(args) => simulate::run(args, stop_on_signal()?).await,
            Command::Plugin(PluginCommand::Allow { file }) => {
                println!("{}", plugin_host::allow_line(&file)?);
                Ok(())
            }
            Command::Plugin(PluginCommand::List { config }) => {
                let file = ConfigFile::new(config);
                let settings = Settings::load(&file.read()?.settings)?;
                println!("{}", plugin_host::list(&settings.plugins, file.folder()));
                Ok(())
            }
        }
    })
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let file = ConfigFile::new(args.config);
    let settings = Settings::load(&file.read()?.settings)?;
    telemetry::init(&settings.log);
    let stop = stop_on_signal()?;
    let application = Application::build(settings, file, latchlight_allocator::give_back).await?;
    application.run_until_stopped(stop).await
}

/// A token that is cancelled at Ctrl-C or SIGTERM; a second Ctrl-C ends the
/// program at once.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        token.cancel();
        interrupt.recv().await;
        eprintln!("latchlight: stopped at once");
        std::process::exit(130);
    });
    Ok(stop)
}
