//! `latchlight serve`.

use std::env::VarError;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use latchlight::config::Settings;
use latchlight::identity::{FirstOwner, PASSWORD_VARIABLE};
use latchlight::startup::Application;
use latchlight::state::ConfigFile;
use latchlight::telemetry;
use latchlight::tls::Reload;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output::print_once;
use super::stop::stop_on_signal;

#[derive(Args)]
pub(super) struct ServeArgs {
    /// The configuration: `{"settings": {…}, "state": {…}}`. The server keeps
    /// its state in this file, so it must be able to replace it. Settings can
    /// be overridden by the environment, such as LATCHLIGHT_HTTP__LISTEN. At
    /// the first start LATCHLIGHT_OWNER_PASSWORD has the owner's password;
    /// without it one is made up, and printed.
    #[arg(long, value_name = "FILE", default_value = "config.json")]
    config: PathBuf,
}

pub(super) async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let file = ConfigFile::new(args.config);
    let settings = Settings::load(&file.read()?.settings)?;
    telemetry::init(&settings.log);
    let stop = stop_on_signal()?;
    let hangup = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
    let owner_password = match std::env::var(PASSWORD_VARIABLE) {
        Ok(password) => Some(password),
        Err(VarError::NotPresent) => None,
        Err(VarError::NotUnicode(_)) => bail!("{PASSWORD_VARIABLE} is not UTF-8"),
    };
    let give_back = latchlight_allocator::give_back;
    let building = Application::build(settings, file, give_back, owner_password);
    // It may wait for its database for ever.
    let Some(application) = stop.run_until_cancelled(building).await else { return Ok(()) };
    let application = application?;
    if let FirstOwner::MadeUp { name, password } = application.first_owner() {
        // Not by the log, which is kept and sent to other machines.
        let shown = format!(
            "There was no owner yet, so one was made. Sign in with\n\n    \
            name:     {name}\n    password: {password}\n\n\
            This is shown once, and is kept nowhere: `latchlight user passwd {name}` gives another."
        );
        if let Err(error) = print_once("the owner's password", shown) {
            let error = telemetry::one_line(&error);
            tracing::warn!(error, "`latchlight user passwd {name}` gives another");
        }
    }
    tokio::spawn(reload_on_signal(hangup, application.reload()));
    application.run_until_stopped(stop).await
}

/// SIGHUP has the certificate read again, and ends nothing.
async fn reload_on_signal(mut hangup: Signal, reload: Reload) {
    while hangup.recv().await.is_some() {
        reload.now();
    }
}
