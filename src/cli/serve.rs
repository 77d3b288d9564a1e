//! `latchlight serve`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use latchlight::config::Settings;
use latchlight::startup::Application;
use latchlight::state::ConfigFile;
use latchlight::telemetry;
use latchlight::tls::Reload;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::stop::stop_on_signal;

#[derive(Args)]
pub(super) struct ServeArgs {
    /// The configuration: `{"settings": {…}, "state": {…}}`. The server keeps
    /// its state in this file, so it must be able to replace it. Settings can
    /// be overridden by the environment, such as LATCHLIGHT_HTTP__LISTEN.
    #[arg(long, value_name = "FILE", default_value = "config.json")]
    config: PathBuf,
}

pub(super) async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let file = ConfigFile::new(args.config);
    let settings = Settings::load(&file.read()?.settings)?;
    telemetry::init(&settings.log);
    let stop = stop_on_signal()?;
    let hangup = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
    let application = Application::build(settings, file, latchlight_allocator::give_back).await?;
    tokio::spawn(reload_on_signal(hangup, application.reload()));
    application.run_until_stopped(stop).await
}

/// SIGHUP has the certificate read again, and ends nothing.
async fn reload_on_signal(mut hangup: Signal, reload: Reload) {
    while hangup.recv().await.is_some() {
        reload.now();
    }
}
