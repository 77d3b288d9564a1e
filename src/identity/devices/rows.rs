//! Devices' credentials in the database.

use jiff::Timestamp;
use sqlx::Row as _;

use super::DeviceCredential;
use crate::database::{Pool, Row};
use crate::state::{DeviceId, DeviceKind};

/// All of them.
pub(super) async fn load(pool: &Pool) -> Result<Vec<DeviceCredential>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM device_credentials").fetch_all(pool).await?;
    rows.iter().map(read).collect()
}

/// New ones, in the place of those before.
pub(super) async fn replace(pool: &Pool, credential: &DeviceCredential) -> Result<(), sqlx::Error> {
    let replace = sqlx::query(
        "INSERT INTO device_credentials (device, kind, secret, created_at, generation) \
         VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (device) DO UPDATE SET kind = excluded.kind, secret = excluded.secret, \
         created_at = excluded.created_at, generation = excluded.generation",
    );
    replace
        .bind(credential.device.as_str())
        .bind(credential.kind.map(DeviceKind::as_str))
        .bind(credential.secret.to_vec())
        .bind(credential.created_at.as_millisecond())
        .bind(credential.generation.map(Vec::from))
        .execute(pool)
        .await
        .map(|_| ())
}

/// Those of a device are gone.
pub(super) async fn delete(pool: &Pool, device: &DeviceId) -> Result<(), sqlx::Error> {
    let delete = sqlx::query("DELETE FROM device_credentials WHERE device = $1");
    delete.bind(device.as_str()).execute(pool).await.map(|_| ())
}

fn read(row: &Row) -> Result<DeviceCredential, sqlx::Error> {
    let kind: Option<String> = row.try_get("kind")?;
    let secret: Vec<u8> = row.try_get("secret")?;
    let generation: Option<Vec<u8>> = row.try_get("generation")?;
    Ok(DeviceCredential {
        device: row.try_get::<String, _>("device")?.parse().map_err(|e| odd("device", e))?,
        kind: kind
            .map(|kind| kind.parse())
            .transpose()
            .map_err(|error: String| odd("kind", std::io::Error::other(error)))?,
        created_at: Timestamp::from_millisecond(row.try_get("created_at")?)
            .map_err(|e| odd("created_at", e))?,
        generation: generation
            .map(TryInto::try_into)
            .transpose()
            .map_err(|_| odd("generation", std::fmt::Error))?,
        secret: secret.try_into().map_err(|_| odd("secret", std::fmt::Error))?,
        since: None,
    })
}

fn odd(column: &str, source: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(source) }
}
