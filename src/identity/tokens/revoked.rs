//! What was revoked before it ended by itself: sign-ins, and single access
//! tokens. A restart forgets none of them.

use std::collections::HashMap;

use jiff::Timestamp;
use parking_lot::RwLock;
use sqlx::Row as _;
use uuid::Uuid;

use super::{Claims, LIFETIME};
use crate::database::{Pool, Row};

/// What was revoked, as long as that matters.
pub(in crate::identity) struct Revoked {
    pool: Pool,
    /// Until when the last token ends that this is about.
    until: RwLock<HashMap<Uuid, i64>>,
}

impl Revoked {
    /// Reads what was revoked.
    ///
    /// # Errors
    /// The database does not answer, or has something odd.
    pub(in crate::identity) async fn open(pool: Pool) -> Result<Self, sqlx::Error> {
        let rows = sqlx::query("SELECT id, until FROM revoked_tokens").fetch_all(&pool).await?;
        let read = |row: &Row| {
            let id: String = row.try_get("id")?;
            let id = id.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))?;
            Ok((id, row.try_get("until")?))
        };
        let until = rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?;
        Ok(Self { pool, until: RwLock::new(until) })
    }

    /// Whether a genuine token is void by it.
    pub(in crate::identity) fn has(&self, token: &Claims) -> bool {
        let until = self.until.read();
        // Most of the time there is none.
        !until.is_empty()
            && (until.contains_key(&token.jti)
                || token.sid.is_some_and(|family| until.contains_key(&family)))
    }

    /// Revokes a sign-in, or a single token; on disk when this returns.
    ///
    /// # Errors
    /// It is revoked, but the database did not take it.
    pub(in crate::identity) async fn add(&self, id: Uuid) -> Result<(), sqlx::Error> {
        let until = (Timestamp::now() + LIFETIME).as_millisecond();
        self.until.write().insert(id, until);
        let add = sqlx::query(
            "INSERT INTO revoked_tokens (id, until) VALUES ($1, $2) \
             ON CONFLICT (id) DO UPDATE SET until = excluded.until",
        );
        add.bind(id.to_string()).bind(until).execute(&self.pool).await.map(|_| ())
    }

    /// Forgets what does not matter any more.
    ///
    /// # Errors
    /// The database does not take it.
    pub(in crate::identity) async fn prune(&self) -> Result<(), sqlx::Error> {
        let now = Timestamp::now().as_millisecond();
        self.until.write().retain(|_, until| *until > now);
        let old = sqlx::query("DELETE FROM revoked_tokens WHERE until <= $1");
        old.bind(now).execute(&self.pool).await.map(|_| ())
    }
}
