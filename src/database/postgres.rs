//! What PostgreSQL alone needs: what a connection is told, and that no other
//! server uses the same database.

use std::io;
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::any::AnyConnectOptions;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, Executor as _};

use super::Connection;

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Waits for the one turn that there is; it ends with the transaction. Of two
/// who read and then write, neither overlooks what the other wrote, as it is
/// with SQLite. The first number is ours, the second this turn's; the
/// migrations have another one for the order of events.
pub(super) const TURN: &str = "SELECT pg_advisory_xact_lock(1279349571, 1)";

/// Takes the database for this server, for as long as the connection lasts.
const SOLE_USE: &str =
    "SELECT CASE WHEN pg_try_advisory_lock(1279349571, 3) THEN 1::bigint ELSE 0::bigint END";

/// How long a connection may take to say that it is free.
const ANSWERS: Duration = Duration::from_secs(2);

/// A peer that is gone is found out within half a minute by both sides, so
/// that its locks are free again; nobody waits longer for a lock than with
/// SQLite; a transaction that was forgotten ends. Where a role or a database has
/// been given other defaults than the statements count on, they are taken back:
/// that a transaction sees what others committed meanwhile, that a migration may
/// take long, that the connection which holds the server's lock may be idle, that
/// what is committed is on disk.
const SET_UP: &str = "SET client_min_messages = warning; \
    SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; \
    SET tcp_keepalives_count = 3; SET tcp_user_timeout = 25000; SET lock_timeout = '5s'; \
    SET idle_in_transaction_session_timeout = '60s'; \
    SET default_transaction_isolation = 'read committed'; \
    SET default_transaction_deferrable = off; \
    SET statement_timeout = 0; SET idle_session_timeout = 0; \
    SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'; \
    SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') = 'off'";

/// Put before a batch's statement, so that they are one transaction: which
/// batch of this server, `$3`, was the last, `$2`.
pub(super) const MARK: &str = "WITH mark AS (INSERT INTO writer_marks (writer, batch) \
    VALUES ($3, $2) ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch) ";

/// The same by itself, where `$2` is the server, and `$1` the batch.
pub(super) const MARK_ALONE: &str = "INSERT INTO writer_marks (writer, batch) \
    VALUES ($2, $1) ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch";

/// Which one that is. Before servers had names, there was one.
pub(super) const LAST_BATCH: &str = "SELECT coalesce( \
    (SELECT batch FROM writer_marks WHERE writer = $1), \
    (SELECT batch FROM writer_marks WHERE writer = ''), '')";

/// Where the server is. What is wrong with the URL is said without it: it may
/// hold a password.
pub(super) fn options(url: &str) -> anyhow::Result<AnyConnectOptions> {
    PgConnectOptions::from_str(url).context("read database.url")?;
    let mut options = AnyConnectOptions::from_str(url).context("read database.url")?;
    let url = &mut options.database_url;
    if !url.query_pairs().any(|(name, _)| name == "application_name") {
        url.query_pairs_mut().append_pair("application_name", "latchlight");
    }
    Ok(options)
}

/// The server and the database, without user and password.
pub(super) fn name(options: &AnyConnectOptions) -> String {
    match PgConnectOptions::try_from(options) {
        Ok(options) => format!(
            "the database {} at {}:{}",
            options.get_database().unwrap_or(options.get_username()),
            options.get_socket().map_or(options.get_host().to_owned(), |s| s.display().to_string()),
            options.get_port()
        ),
        Err(_) => "the database at database.url".to_owned(),
    }
}

/// What every connection is told.
pub(super) async fn set_up(connection: &mut Connection) -> Result<(), sqlx::Error> {
    connection.execute(SET_UP).await.map(|_| ())
}

/// Whether an error says that the server is away, for now: not there, going or
/// coming, full, or a replica. What it says of a statement is not that.
pub(super) fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            matches!(&code[..2.min(code.len())], "08" | "53" | "57" | "58") || code == "25006"
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut => true,
        _ => false,
    }
}

/// Whether the server will never take a row, whatever becomes of it: what is in
/// it cannot be, breaks a rule of the table, or is beyond a limit.
pub(super) fn is_refused(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
}

/// Takes the database for this server.
pub(super) async fn take(connection: &mut Connection) -> Result<(), sqlx::Error> {
    let taken: i64 = sqlx::query_scalar(SOLE_USE).fetch_one(connection).await?;
    if taken == 1 { Ok(()) } else { Err(used().into()) }
}

/// Another server has taken it.
pub(super) fn used() -> io::Error {
    let used = "another server uses the database, or did a moment ago";
    io::Error::new(io::ErrorKind::ResourceBusy, used)
}

/// Whether it is that.
pub(super) fn is_used(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::ResourceBusy)
}

/// That a connection may be used again. What was given up on it, since the
/// server took too long, would otherwise be waited for without end.
pub(super) async fn answers(connection: &mut Connection) -> Result<bool, sqlx::Error> {
    let late = |_| sqlx::Error::Io(io::ErrorKind::TimedOut.into());
    tokio::time::timeout(ANSWERS, connection.ping()).await.map_err(late)?.map(|()| true)
}
