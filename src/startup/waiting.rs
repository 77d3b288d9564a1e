//! A PostgreSQL that is away at the start: the server waits for it. Without the
//! accounts nobody can be let in, so there is nothing to do meanwhile but to
//! say so.

use std::path::Path;
use std::time::Duration;

use crate::config::Settings;
use crate::database::{self, Database};
use crate::http;
use crate::telemetry::one_line;

/// How soon it is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Opens the database; one that is away is waited for.
pub(super) async fn database(settings: &Settings, data: &Path) -> anyhow::Result<Database> {
    let mut away = match Database::open(&settings.database, data).await {
        Err(error) if is_away(settings, &error) => error,
        opened => return opened,
    };
    tracing::error!(
        error = one_line(&away),
        "the database is away: the server waits for it, and lets nobody in before it is there"
    );
    let answering = http::answer_while_waiting(&settings.http)?;
    let opened = loop {
        tokio::time::sleep(AGAIN).await;
        match Database::open(&settings.database, data).await {
            Err(error) if is_away(settings, &error) => {
                if one_line(&error) != one_line(&away) {
                    tracing::warn!(error = one_line(&error), "the database is still away");
                }
                away = error;
            }
            opened => break opened,
        }
    };
    // Its port is free when this returns.
    answering.stop().await;
    opened
}

fn is_away(settings: &Settings, error: &anyhow::Error) -> bool {
    settings.database.is_postgres() && database::is_away(error)
}
