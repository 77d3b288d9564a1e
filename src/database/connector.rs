//! How connections are made: the writer's, and the pool's.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::ConnectOptions as _;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;

use super::{Connection, Dialect, postgres, sqlite};
use crate::config::DatabaseSettings;

/// How many connections there are beside the writer's.
const OF_SQLITE: u32 = 4;
const OF_POSTGRES: u32 = 8;

/// How long somebody waits for one of them, and for the writer's; of a server
/// that is away it is soon known.
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_AFAR: Duration = Duration::from_secs(2);

/// How often it is looked whether another server has let go of the database.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_millis(300);

/// Makes connections; cheap enough to clone.
#[derive(Clone)]
pub(super) struct Connector {
    options: AnyConnectOptions,
    pub(super) dialect: Dialect,
}

/// Without the URL, which may hold a password.
impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("dialect", &self.dialect).finish_non_exhaustive()
    }
}

impl Connector {
    pub(super) fn new(settings: &DatabaseSettings, data: &Path) -> anyhow::Result<Self> {
        let options = match &settings.url {
            Some(url) if settings.is_postgres() => postgres::options(url)?,
            url => sqlite::options(url.as_deref(), data)?,
        };
        let dialect = Dialect::of(&options);
        Ok(Self { options, dialect })
    }

    /// What the database is called in the log.
    pub(super) fn name(&self) -> String {
        match self.dialect {
            Dialect::Sqlite => sqlite::name(&self.options),
            Dialect::Postgres => postgres::name(&self.options),
        }
    }

    /// The writer's connection. While it is there, no other server has one to
    /// the same database.
    pub(super) async fn connect(&self) -> Result<Connection, sqlx::Error> {
        if self.dialect == Dialect::Sqlite {
            sqlite::make_file(&self.options);
        }
        let connect = async {
            let mut connection = self.options.connect().await?;
            match self.dialect {
                Dialect::Sqlite => sqlite::set_up(&mut connection).await?,
                Dialect::Postgres => {
                    postgres::set_up(&mut connection).await?;
                    postgres::take(&mut connection).await?;
                }
            }
            Ok(connection)
        };
        let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
        tokio::time::timeout(PATIENCE, connect).await.map_err(late)?
    }

    /// The same, where another server may have ended a moment ago, and
    /// PostgreSQL may not know it yet.
    pub(super) async fn connect_at_start(&self) -> Result<Connection, sqlx::Error> {
        for _ in 0..TRIES {
            match self.connect().await {
                Err(error) if postgres::is_used(&error) => {}
                connected => return connected,
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.connect().await
    }

    /// Brings the schema up to date.
    pub(super) async fn prepare(&self, connection: &mut Connection) -> anyhow::Result<()> {
        if self.dialect == Dialect::Sqlite {
            sqlite::check(connection).await.context("check the database")?;
        }
        self.migrations().run(connection).await.context("migrate the database")
    }

    /// What makes the schema.
    pub(super) fn migrations(&self) -> &'static Migrator {
        match self.dialect {
            Dialect::Sqlite => &sqlite::MIGRATIONS,
            Dialect::Postgres => &postgres::MIGRATIONS,
        }
    }

    /// The other connections, which are made when they are needed.
    pub(super) fn pool(&self) -> sqlx::AnyPool {
        let options = AnyPoolOptions::new();
        let options = match self.dialect {
            Dialect::Sqlite => options
                .acquire_timeout(PATIENCE)
                .max_connections(OF_SQLITE)
                .after_connect(|connection, _| Box::pin(sqlite::set_up(connection)))
                .after_release(|connection, _| Box::pin(sqlite::is_whole(connection))),
            Dialect::Postgres => options
                .acquire_timeout(PATIENCE_AFAR)
                .max_connections(OF_POSTGRES)
                .after_connect(|connection, _| Box::pin(postgres::set_up(connection)))
                .after_release(|connection, _| Box::pin(postgres::answers(connection))),
        };
        options.connect_lazy_with(self.options.clone())
    }
}
