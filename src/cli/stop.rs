//! How the program is told to stop.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::output::note;

/// A token that is cancelled at Ctrl-C or SIGTERM; a second Ctrl-C ends the
/// program at once.
pub(super) fn stop_on_signal() -> anyhow::Result<CancellationToken> {
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
        note("latchlight: stopped at once");
        std::process::exit(130);
    });
    Ok(stop)
}
