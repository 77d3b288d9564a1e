//! `latchlight audit …`: what happened, and who did it.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use latchlight::console::{Console, ConsoleError};
use serde_json::Value;

use super::moment;
use super::server::ServerArgs;

const PATH: &str = "/api/v1/events";

#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// The newest events: when, who, what, and what came of it
    List(ListArgs),
    /// All events as a file, the oldest first
    Export(ExportArgs),
}

/// Which events are meant.
#[derive(Args)]
struct WhichArgs {
    /// Who: app:ada, device:keypad, plugin:night, operator, server, nobody
    #[arg(long, value_name = "WHO")]
    actor: Option<String>,
    /// About what: command, sign_in, account, credential, device, state,
    /// presence, alert, pairing, picture, plugin, refusal, server, record
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// About this device
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// What came of it: ok, refused, failed, or how a command ended
    #[arg(long, value_name = "RESULT")]
    result: Option<String>,
    /// From when on: 2026-12-31, 2026-12-31T18:00, or '7d ago'
    #[arg(long, value_name = "WHEN", value_parser = past)]
    from: Option<Timestamp>,
    /// Until when, that moment not among them
    #[arg(long, value_name = "WHEN", value_parser = moment::parse)]
    to: Option<Timestamp>,
}

#[derive(Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// How many, 1 to 1000
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
#[command(after_help = "EXAMPLES:\n  \
    latchlight audit export --from 2026-11-01 --out november.csv\n  \
    latchlight audit export --format ndjson --kind refusal | jq .actor")]
pub(super) struct ExportArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// For a spreadsheet, or JSON with an object a line
    #[arg(long, value_enum, default_value_t = ExportFormat::Csv)]
    format: ExportFormat,
    /// The file to write; it is there when it is whole. Without it, standard
    /// output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The configuration of the server that runs, as `latchlight serve` has it
    #[arg(long, value_name = "FILE", default_value = "config.json")]
    config: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ExportFormat {
    Csv,
    Ndjson,
}

pub(super) async fn run(command: AuditCommand) -> anyhow::Result<()> {
    match command {
        AuditCommand::List(ListArgs { which, limit, server }) => {
            let console = server.connect().await?;
            let path = format!("{PATH}?limit={limit}{}", which.query());
            let page = console.get(&path).await?;
            server.show(&page, || Ok(table(&page)))
        }
        AuditCommand::Export(args) => export(args).await,
    }
}

async fn export(args: ExportArgs) -> anyhow::Result<()> {
    let ExportArgs { which, format, out, config } = args;
    let format = match format {
        ExportFormat::Csv => "csv",
        ExportFormat::Ndjson => "ndjson",
    };
    let console = Console::connect(&config).await?;
    let path = format!("{PATH}/export?format={format}{}", which.query());
    let Some(out) = out else {
        return match console.download(&path, &mut std::io::stdout()).await {
            // Who has stopped reading has had enough.
            Err(ConsoleError::Write(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            done => Ok(done?),
        };
    };
    let folder = match out.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    // For its owner alone, as the record itself.
    let failed = || format!("write {}", out.display());
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
    console.download(&path, file.as_file_mut()).await?;
    file.as_file().sync_all().with_context(failed)?;
    file.persist(&out).with_context(failed)?;
    Ok(())
}

impl WhichArgs {
    /// The rest of a query, each part with an `&` before it.
    fn query(&self) -> String {
        let Self { actor, kind, device, result, from, to } = self;
        let moment = |moment: &Option<Timestamp>| moment.map(|moment| moment.to_string());
        let parts = [
            ("actor", actor.clone()),
            ("kind", kind.clone()),
            ("device", device.clone()),
            ("result", result.clone()),
            ("from", moment(from)),
            ("to", moment(to)),
        ];
        let parts = parts.into_iter().filter_map(|(name, value)| Some((name, value?)));
        parts.fold(String::new(), |mut query, (name, value)| {
            let _ = write!(query, "&{name}={}", escaped(&value));
            query
        })
    }
}

/// A moment from which on something may be on record.
fn past(text: &str) -> anyhow::Result<Timestamp> {
    let moment = moment::parse(text)?;
    anyhow::ensure!(
        moment <= Timestamp::now(),
        "that is still to come: '7d ago' is seven days back"
    );
    Ok(moment)
}

/// A value as it may stand in a query (RFC 3986).
fn escaped(value: &str) -> String {
    value.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

/// A line for each event.
fn table(page: &Value) -> String {
    let events = page["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut table = String::new();
    for event in events {
        let text = |name: &str| event[name].as_str().unwrap_or_default();
        let _ = write!(table, "{}  {}", text("at"), shown(text("actor")));
        if let Some(address) = event["address"].as_str() {
            let _ = write!(table, " from {}", shown(address));
        }
        let _ = write!(table, "  {} {}", text("kind"), shown(text("action")));
        if let Some(device) = event["device"].as_str() {
            let _ = write!(table, " {}", shown(device));
        }
        let _ = write!(table, "  {}", text("result"));
        if let Some(detail) = event["detail"].as_str() {
            let _ = write!(table, ": {}", shown(detail));
        }
        match event["times"].as_i64() {
            Some(times) if times > 1 => drop(write!(table, " ({times} times)")),
            _ => {}
        }
        table.push('\n');
    }
    if events.is_empty() { "nothing is on record that is like this".to_owned() } else { table }
}

/// A text that a device or a stranger may have chosen, for a terminal.
fn shown(text: &str) -> String {
    text.chars().fold(String::new(), |mut shown, char| {
        if char.is_control() {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
        shown
    })
}
