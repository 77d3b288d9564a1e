//! The broker while it runs: from its start to a signal that ends it, with
//! reloads in between.

use anyhow::Context as _;
use latchlight_broker::ledger::Ledger;
use latchlight_broker::{Broker, SqliteStore};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::listeners;
use crate::source::{Prepared, Source};
use crate::telemetry::Log;

/// A running broker, and what it was started with.
pub(crate) struct Server {
    source: Source,
    config: Config,
    ledger: Ledger,
    broker: Broker,
    log: Log,
}

/// The store's file in its folder.
const STORE: &str = "broker.sqlite";

impl Server {
    /// Opens the store, binds the listeners and serves.
    pub(crate) fn start(source: Source, prepared: Prepared, log: Log) -> anyhow::Result<Self> {
        let Prepared { config, rules } = prepared;
        let ledger = Ledger::new(rules)?;
        let mut builder =
            Broker::builder().options(config.options.clone().into()).access(ledger.clone());
        if let Some(folder) = &config.store {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("make the store's folder {}", folder.display()))?;
            builder = builder.store(SqliteStore::open(folder.join(STORE))?);
        }
        for listener in &config.listeners {
            builder = builder.listener(listeners::bind(listener)?);
        }
        let broker = builder.serve().context("serve")?;
        for address in broker.addresses() {
            tracing::info!(%address, "listening");
        }
        if config.access.allow_anonymous {
            tracing::warn!("everybody may do everything");
        }
        if config.store.is_none() {
            tracing::info!("without a store: sessions and retained messages end with the broker");
        }
        Ok(Self { source, config, ledger, broker, log })
    }

    /// Serves until SIGTERM or Ctrl-C; a second Ctrl-C ends it at once.
    pub(crate) async fn run_until_stopped(mut self) -> anyhow::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let mut hang_up = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
        tracing::info!("ready");
        loop {
            tokio::select! {
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                _ = hang_up.recv() => self.reload(),
            }
        }
        tracing::info!("stopping");
        tokio::select! {
            () = self.broker.close() => tracing::info!("stopped"),
            _ = interrupt.recv() => std::process::exit(130),
        }
        Ok(())
    }

    /// Reads everything again. What is wrong with any of it leaves all of it
    /// as it is (C25).
    fn reload(&mut self) {
        match self.try_reload() {
            Ok(changed) => tracing::info!(sessions_not_kept = changed, "reloaded"),
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"), "not reloaded: everything stays as it is");
            }
        }
    }

    fn try_reload(&mut self) -> anyhow::Result<usize> {
        let Prepared { config, rules } = self.source.read()?;
        self.ledger.replace(rules)?;
        self.log.set(&config.log)?;
        let fixed = [
            ("listeners", self.config.listeners != config.listeners),
            ("store", self.config.store != config.store),
            ("options", self.config.options != config.options),
            ("log.format", self.config.log.format != config.log.format),
        ];
        for (key, _) in fixed.into_iter().filter(|(_, has_changed)| *has_changed) {
            tracing::warn!(key, "changed: that counts from the next start");
        }
        self.config.access = config.access;
        self.config.log.level = config.log.level;
        Ok(self.broker.review())
    }
}
