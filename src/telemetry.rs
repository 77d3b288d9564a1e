//! The log: text or JSON on standard error, a level per module.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{LogFormat, LogSettings};

/// Begins to log as the settings say. The second call in a process changes
/// nothing.
pub fn init(settings: &LogSettings) {
    // Checked when the settings were loaded.
    let filter = EnvFilter::try_new(&settings.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        // A line that cannot be written, for nobody reads them any more, is
        // lost; what it was about goes on.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // An error means that a subscriber is there already, which tests have.
    let begun = match settings.format {
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr())
                && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(colours).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if begun.is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            tracing::error!(what = %panic, "a part of the server panicked");
        }));
    }
}
