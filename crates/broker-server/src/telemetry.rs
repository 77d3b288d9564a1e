//! The log: text or JSON on standard error, whose level can be changed.

use std::io::IsTerminal as _;

use anyhow::{Context as _, anyhow};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::{LogConfig, LogFormat};

/// Changes what is written.
pub(crate) struct Log(reload::Handle<EnvFilter, Registry>);

/// Begins to log as the configuration says.
pub(crate) fn init(config: &LogConfig) -> anyhow::Result<Log> {
    let (filter, handle) = reload::Layer::new(config.filter().map_err(|error| anyhow!(error))?);
    // A line that cannot be written, for nobody reads them any more, is lost.
    let lines = fmt::layer().log_internal_errors(false).with_writer(std::io::stderr);
    let lines = match config.format {
        LogFormat::Text => {
            let stderr = std::io::stderr();
            lines.with_ansi(stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none()).boxed()
        }
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init().context("begin the log")?;
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(what = %panic, "a part of the broker panicked");
    }));
    Ok(Log(handle))
}

impl Log {
    /// From now on, as this configuration says.
    pub(crate) fn set(&self, config: &LogConfig) -> anyhow::Result<()> {
        let filter = config.filter().map_err(|error| anyhow!(error))?;
        self.0.reload(filter).context("change the log's level")
    }
}
