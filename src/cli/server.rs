//! Which server a command is for, and how its answer is shown.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use latchlight::console::Console;
use serde_json::Value;

use super::output::print;

/// What every command has that asks a server which runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "The server")]
pub(super) struct ServerArgs {
    /// The configuration of the server that runs, as `latchlight serve` has it
    #[arg(long, value_name = "FILE", default_value = "config.json")]
    pub(super) config: PathBuf,
    /// Print the server's answer as JSON, for programs
    #[arg(long)]
    pub(super) json: bool,
}

impl ServerArgs {
    pub(super) async fn connect(&self) -> anyhow::Result<Console> {
        Ok(Console::connect(&self.config).await?)
    }

    /// Prints an answer as JSON, or what people read of it.
    pub(super) fn show(
        &self,
        answer: &Value,
        for_people: impl FnOnce() -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        match (self.json, answer) {
            (false, _) => print(for_people()?),
            (true, Value::Null) => Ok(()),
            (true, answer) => print(answer),
        }
    }
}

/// All that a list has, page after page; the path has a query.
pub(super) async fn all_pages(
    console: &Console,
    path: &str,
    list: &str,
) -> anyhow::Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let mut page = console.get(&format!("{path}{cursor}")).await?;
        let shown = page.get_mut(list).and_then(Value::as_array_mut);
        all.append(shown.context("read the server's answer")?);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(all),
        }
    }
}
