//! The table itself, as somebody sees it who opens the database beside the
//! server.

use std::path::Path;

use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};

use crate::harness::until;

/// An event, in the words of its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) seq: i64,
    pub(crate) kind: String,
    pub(crate) actor: String,
    pub(crate) through: String,
    pub(crate) address: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) command: Option<String>,
    pub(crate) action: String,
    pub(crate) result: String,
    pub(crate) detail: Option<String>,
    pub(crate) times: i64,
}

pub(crate) struct Table(pub(crate) AnyConnection);

impl Table {
    pub(crate) async fn of(folder: &Path) -> Self {
        sqlx::any::install_default_drivers();
        let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
        let config: Value = serde_json::from_str(&config).unwrap();
        let url = match &config["settings"]["database"]["url"] {
            Value::String(url) => url.clone(),
            _ => format!("sqlite://{}", folder.join("data/latchlight.db").display()),
        };
        Self(AnyConnection::connect(&url).await.unwrap())
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.0.backend_name() == "PostgreSQL"
    }

    /// Executes a statement; gives what the database says against it.
    pub(crate) async fn execute(&mut self, statement: &str) -> Result<u64, String> {
        let done = sqlx::query(AssertSqlSafe(statement)).execute(&mut self.0).await;
        done.map(|done| done.rows_affected()).map_err(|error| error.to_string())
    }

    /// All events of a kind, in their order.
    pub(crate) async fn events(&mut self, kind: &str) -> Vec<Row> {
        let query = sqlx::query("SELECT * FROM events WHERE kind = $1 ORDER BY seq").bind(kind);
        let rows = query.fetch_all(&mut self.0).await.unwrap();
        rows.iter()
            .map(|row| Row {
                seq: row.get("seq"),
                kind: row.get("kind"),
                actor: row.get("actor"),
                through: row.get("through"),
                address: row.get("address"),
                device: row.get("device"),
                command: row.get("command"),
                action: row.get("action"),
                result: row.get("result"),
                detail: row.get("detail"),
                times: row.get("times"),
            })
            .collect()
    }

    /// The ends of commands, in their order.
    pub(crate) async fn ends(&mut self) -> Vec<Row> {
        let mut ends = self.events("command").await;
        ends.retain(|event| event.result != "issued");
        ends
    }

    /// Waits until there are so many events of a kind, and gives them.
    pub(crate) async fn events_when(&mut self, kind: &str, count: usize) -> Vec<Row> {
        until(&format!("{count} events of {kind}"), async || {
            Some(self.events(kind).await).filter(|events| events.len() >= count)
        })
        .await
    }

    pub(crate) async fn number(&mut self, query: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut self.0).await.unwrap()
    }
}
