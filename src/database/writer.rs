//! The connection by which the records are written. SQLite has one writer at a
//! time: those who share a connection wait for each other here, in their
//! order, rather than ask again and again for SQLite's lock; and it knows the
//! newest pages as long as nobody else writes.

use std::sync::Arc;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, watch};

/// Writes rows; cheap to clone, all clones share one connection.
#[derive(Debug, Clone)]
pub struct Writer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: Arc<SqliteConnectOptions>,
    /// Made when it is needed, and anew after an error.
    connection: Mutex<Option<SqliteConnection>>,
    committed: watch::Sender<()>,
}

impl Writer {
    pub(super) fn new(pool: &SqlitePool) -> Self {
        let options = pool.connect_options();
        let committed = watch::Sender::default();
        Self(Arc::new(Inner { options, connection: Mutex::default(), committed }))
    }

    /// Executes one statement, which takes all rows as one JSON array: one
    /// transaction, and one trip to the database's thread. On disk when this
    /// returns.
    ///
    /// # Errors
    /// The database did not take it; nothing of it is there.
    pub async fn write(&self, statement: &'static str, rows: String) -> Result<(), sqlx::Error> {
        let mut place = self.0.connection.lock().await;
        let mut connection = match place.take() {
            Some(connection) => connection,
            None => self.0.options.connect().await?,
        };
        // One that failed, or was given up half way, is not used again.
        sqlx::query(statement).bind(rows).execute(&mut connection).await?;
        *place = Some(connection);
        drop(place);
        self.0.committed.send_replace(());
        Ok(())
    }

    /// Tells, from now on, when something was written.
    pub fn commits(&self) -> watch::Receiver<()> {
        self.0.committed.subscribe()
    }

    /// Closes the connection, after what it is doing: the last one that is
    /// closed has the database in one file.
    pub(super) async fn close(&self) {
        if let Some(connection) = self.0.connection.lock().await.take() {
            let _ = connection.close().await;
        }
    }
}
