//! `latchlight database …`.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use latchlight::config::{DatabaseSettings, Settings};
use latchlight::database::FILE;
use latchlight::database::copy::{Copied, Progress, copy};
use latchlight::sole_use::SoleUse;
use latchlight::state::ConfigFile;
use sqlx::any::AnyConnectOptions;

use super::output::{note, note_in_place, print};

/// What `--to` may be instead of a URL.
const OWN: &str = "sqlite";

/// How often it is said how far it is: to people, and to a log.
const OFTEN: Duration = Duration::from_millis(200);
const SELDOM: Duration = Duration::from_secs(10);

#[derive(Subcommand)]
pub(super) enum DatabaseCommand {
    /// Copy all records into another database, which must be empty: to move a
    /// server from SQLite to PostgreSQL, or back.
    ///
    /// The server must be stopped, and cannot start meanwhile. The database
    /// that there is stays as it is. The other one gets all or nothing: what
    /// was cut short left no table in it, and can be begun anew. At the end
    /// both are compared, and it is said what to write into config.json.
    Copy(CopyArgs),
}

#[derive(Args)]
#[command(after_help = "EXAMPLES:\n  \
    latchlight database copy --to 'postgres://latchlight@db.example.org/latchlight?sslmode=verify-full'\n  \
    latchlight database copy --to sqlite --config /etc/latchlight/config.json\n\n\
    A password for PostgreSQL in the URL is for everybody on this machine to see while it runs:\n\
    ~/.pgpass or PGPASSWORD can have it instead.")]
pub(super) struct CopyArgs {
    /// Where to: `postgres://<user>@<host>/<database>`, `sqlite://<path>`, or
    /// `sqlite` for latchlight.db in the data folder
    #[arg(long, value_name = "URL")]
    to: String,
    /// The configuration of the server, as `latchlight serve` has it
    #[arg(long, value_name = "FILE", default_value = "config.json")]
    config: PathBuf,
}

pub(super) async fn run(command: DatabaseCommand) -> anyhow::Result<()> {
    let DatabaseCommand::Copy(args) = command;
    let file = ConfigFile::new(&args.config);
    let settings = Settings::load(&file.read()?.settings)?;
    let data = file.folder().join(&settings.data);
    let to = DatabaseSettings { url: (args.to != OWN).then(|| args.to.clone()) };
    to.check().map_err(anyhow::Error::msg).context("--to")?;
    let running = "stop the server first";
    let _no_server = [
        SoleUse::of(file.path()).context(running)?,
        SoleUse::of(&data.join(FILE)).context(running)?,
    ];
    let mut shown = Shown::default();
    let copied = copy(&settings.database, &to, &data, |progress| shown.show(progress)).await;
    shown.end();
    print(report(&copied?, &to, &args))
}

/// What was done, and what is to be done now.
fn report(copied: &Copied, to: &DatabaseSettings, args: &CopyArgs) -> String {
    let rows: u64 = copied.tables.iter().map(|table| table.rows).sum();
    let mut said = String::new();
    for table in &copied.tables {
        let _ = writeln!(said, "{:>12}  {}", table.rows, table.name);
    }
    let _ =
        writeln!(said, "{rows:>12}  rows, and the same in both:\n{}\n{}", copied.from, copied.to);
    if copied.altered > 0 {
        let _ = writeln!(
            said,
            "{} texts had U+0000, for which PostgreSQL has no place: U+FFFD stands there now",
            copied.altered
        );
    }
    let config = args.config.display();
    let _ = match &to.url {
        Some(_) => write!(
            said,
            "\nNow write into the settings of {config}, or into LATCHLIGHT_DATABASE__URL:\n\n    \
            \"database\": {{ \"url\": {} }}\n\nand start the server.",
            serde_json::Value::from(to_be_shown(&args.to))
        ),
        None => write!(
            said,
            "\nNow take `database.url` out of the settings of {config}, or \
            LATCHLIGHT_DATABASE__URL out\nof the environment, and start the server."
        ),
    };
    said + " What it is to go on from is in the new\ndatabase alone from then on: keep the old \
            one aside, and remove it when you need no way back."
}

/// A URL, but for one that has a password.
fn to_be_shown(url: &str) -> &str {
    let has_password = AnyConnectOptions::from_str(url).is_ok_and(|options| {
        let url = options.database_url;
        url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password")
    });
    if has_password { "the URL that --to had" } else { url }
}

/// What is shown on standard error while it goes on.
#[derive(Default)]
struct Shown {
    last: Option<Instant>,
    /// The table that it was about, and whether that was checked.
    of: (String, bool),
    /// A line on the terminal is to be written over.
    open: bool,
}

impl Shown {
    fn show(&mut self, progress: Progress<'_>) {
        let is_terminal = std::io::stderr().is_terminal();
        let pause = if is_terminal { OFTEN } else { SELDOM };
        let Progress { table, rows, of, checks } = progress;
        let is_next = self.of.0 != table || self.of.1 != checks;
        if !is_next && self.last.is_some_and(|last| last.elapsed() < pause) {
            return;
        }
        self.last = Some(Instant::now());
        if is_next {
            self.of = (table.to_owned(), checks);
        }
        let does = if checks { "check" } else { "copy" };
        let line = format!("{does} {table}: {rows} of {of} rows");
        if is_terminal {
            note_in_place(&line);
            self.open = true;
        } else {
            note(line);
        }
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            note_in_place("");
        }
    }
}
