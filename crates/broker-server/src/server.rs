//! The broker while it runs: from its start to a signal that ends it, with
//! reloads in between.

use anyhow::{Context as _, ensure};
use latchlight_broker::ledger::Ledger;
use latchlight_broker::{Broker, ListenerInfo, Tls, TlsConfig};
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
    /// The certificates of those listeners that have some, in their order.
    certificates: Vec<Option<Tls>>,
}

impl Server {
    /// Opens the store, binds the listeners and serves.
    pub(crate) fn start(source: Source, prepared: Prepared, log: Log) -> anyhow::Result<Self> {
        let Prepared { config, rules, certificates } = prepared;
        let certificates: Vec<_> =
            certificates.into_iter().map(|tls| tls.inspect(say_expiry).map(Tls::new)).collect();
        let ledger = Ledger::new(rules)?;
        let mut builder = Broker::builder()
            .options(config.options.clone().into())
            .access(ledger.clone())
            .give_back(latchlight_allocator::give_back);
        if let Some(store) = &config.store {
            builder = store.open_for(builder, &config.store_prefix)?;
        }
        for (listener, tls) in config.listeners.iter().zip(&certificates) {
            builder = builder.listener(listeners::bind(listener, tls.as_ref())?);
        }
        let broker = builder.serve().context("serve")?;
        for ListenerInfo { name, address } in broker.listeners() {
            tracing::info!(%name, %address, "listening");
        }
        if let Some(http) = listeners::bind_http(&config.http)? {
            let address = broker.serve_http(http).context("serve HTTP")?;
            tracing::info!(%address, "statistics by HTTP");
        }
        if config.access.allow_anonymous {
            tracing::warn!("everybody may do everything");
        }
        if config.store.is_none() {
            tracing::info!("without a store: sessions and retained messages end with the broker");
        }
        Ok(Self { source, config, ledger, broker, log, certificates })
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
        let lost = self.broker.counters().store_lost;
        // C28: the end is no success then.
        ensure!(lost == 0, "the store could not be written: its last {lost} changes are lost");
        Ok(())
    }

    /// Reads everything again. What is wrong with any of it leaves all of it
    /// as it is (C25).
    fn reload(&mut self) {
        match self.try_reload() {
            Ok(changed) => tracing::info!(ended_or_disconnected = changed, "reloaded"),
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"), "not reloaded: everything stays as it is");
            }
        }
    }

    fn try_reload(&mut self) -> anyhow::Result<usize> {
        // All of it is read and found good before any of it counts.
        let Prepared { config, rules, certificates } = self.source.read()?;
        self.log.set(&config.log)?;
        self.ledger.replace(rules)?;
        let fixed = [
            ("store", self.config.store != config.store),
            ("store_prefix", self.config.store_prefix != config.store_prefix),
            ("http", self.config.http != config.http),
            ("log.format", self.config.log.format != config.log.format),
        ];
        let fixed = fixed.into_iter().filter(|(_, has_changed)| *has_changed);
        let later = self
            .replace_certificates(&config, certificates)
            .into_iter()
            .chain(self.config.options.differing(&config.options))
            .chain(fixed.map(|(key, _)| key.to_owned()));
        for key in later {
            tracing::warn!(key, "changed: that counts from the next start");
        }
        self.config.access = config.access;
        self.config.log.level = config.log.level;
        Ok(self.broker.review())
    }

    /// Gives the listeners their new certificates, whatever their order is now;
    /// gives which keys count from the next start.
    fn replace_certificates(&self, config: &Config, new: Vec<Option<TlsConfig>>) -> Vec<String> {
        let mut running: Vec<_> = self.config.listeners.iter().zip(&self.certificates).collect();
        let mut later = Vec::new();
        for (number, (listener, new)) in config.listeners.iter().zip(new).enumerate() {
            let fixed = listener.without_certificates();
            let same = running.iter().position(|(now, _)| now.without_certificates() == fixed);
            match same.map(|at| running.remove(at)) {
                Some((_, Some(tls))) => {
                    if let Some(new) = new {
                        say_expiry(&new);
                        tls.replace(new);
                    }
                }
                Some((_, None)) => {}
                None => later.push(format!("listeners[{number}]")),
            }
        }
        // Some that run are not there any more.
        if later.is_empty() && !running.is_empty() {
            later.push("listeners".to_owned());
        }
        later
    }
}

fn say_expiry(tls: &TlsConfig) {
    if let Some(said) = listeners::expiry(tls) {
        tracing::warn!("{said}");
    }
}
