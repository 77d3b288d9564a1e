//! The table of pictures.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::any::{Any, AnyArguments};

use super::{MediaType, Picture, PictureError, PictureId};
use crate::database::{Pool, Row};
use crate::identity::Who;
use crate::state::DeviceId;

/// The rows of the table `pictures`.
#[derive(Clone)]
pub(super) struct Rows {
    pub(super) pool: Pool,
}

impl Rows {
    pub(super) async fn insert(&self, picture: &Picture) -> Result<(), PictureError> {
        sqlx::query(
            "INSERT INTO pictures (id, device, sender, name, media_type, width, height, size, thumbnail, received_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(picture.id.to_string())
        .bind(picture.device.as_ref().map(DeviceId::as_str))
        .bind(&picture.sender)
        .bind(&picture.name)
        .bind(picture.media_type.as_str())
        .bind(i64::from(picture.width))
        .bind(i64::from(picture.height))
        .bind(i64::try_from(picture.size).unwrap_or(i64::MAX))
        .bind(picture.thumbnail.map(|size| i64::try_from(size).unwrap_or(i64::MAX)))
        .bind(picture.received_at.as_millisecond())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    pub(super) async fn get(&self, id: &PictureId) -> Result<Option<Picture>, PictureError> {
        self.one(sqlx::query("SELECT * FROM pictures WHERE id = $1").bind(id.to_string())).await
    }

    /// The newest that a device sent itself.
    pub(super) async fn newest_of(
        &self,
        device: &DeviceId,
    ) -> Result<Option<Picture>, PictureError> {
        let query = sqlx::query(
            "SELECT * FROM pictures WHERE device = $1 AND sender = $2 ORDER BY seq DESC LIMIT 1",
        );
        self.one(query.bind(device.as_str()).bind(itself(device))).await
    }

    /// The newest that a device sent itself by this name.
    pub(super) async fn newest_named(
        &self,
        device: &DeviceId,
        name: &str,
        since: Timestamp,
    ) -> Result<Option<Picture>, PictureError> {
        let query = sqlx::query(
            "SELECT * FROM pictures WHERE device = $1 AND sender = $2 AND name = $3 AND received_at >= $4 \
             ORDER BY seq DESC LIMIT 1",
        );
        let query = query.bind(device.as_str()).bind(itself(device)).bind(name);
        self.one(query.bind(since.as_millisecond())).await
    }

    /// The newest, or those that come after this one; with `strangers` those
    /// that show one, the last said to do so first.
    pub(super) async fn page(
        &self,
        strangers: bool,
        after: Option<&PictureId>,
        limit: u32,
    ) -> Result<Vec<Picture>, PictureError> {
        let query = if strangers {
            "SELECT * FROM pictures WHERE stranger_at IS NOT NULL AND ($1 IS NULL \
             OR (stranger_at, seq) < (SELECT stranger_at, seq FROM pictures WHERE id = $1)) \
             ORDER BY stranger_at DESC, seq DESC LIMIT $2"
        } else {
            "SELECT * FROM pictures WHERE $1 IS NULL \
             OR seq < (SELECT seq FROM pictures WHERE id = $1) ORDER BY seq DESC LIMIT $2"
        };
        let query = sqlx::query(query).bind(after.map(PictureId::to_string)).bind(i64::from(limit));
        query.fetch_all(&self.pool).await?.iter().map(read).collect()
    }

    /// False: there is none.
    pub(super) async fn mark_stranger(&self, id: &PictureId) -> Result<bool, PictureError> {
        let done = sqlx::query("UPDATE pictures SET stranger_at = $1 WHERE id = $2")
            .bind(Timestamp::now().as_millisecond())
            .bind(id.to_string())
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// False: there was none.
    pub(super) async fn delete(&self, id: &PictureId) -> Result<bool, PictureError> {
        let done = sqlx::query("DELETE FROM pictures WHERE id = $1")
            .bind(id.to_string())
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The oldest, the first that came first.
    pub(super) async fn oldest(&self, limit: u32) -> Result<Vec<Picture>, PictureError> {
        let rows = sqlx::query("SELECT * FROM pictures ORDER BY seq LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(read).collect()
    }

    /// How many there are, and the bytes of all of them together.
    pub(super) async fn sum(&self) -> Result<(u64, u64), PictureError> {
        // The sum of whole numbers is none in every database.
        let sum = "SELECT count(*), \
             CAST(coalesce(sum(size + coalesce(thumbnail, 0)), 0) AS BIGINT) FROM pictures";
        let (count, bytes): (i64, i64) = sqlx::query_as(sum).fetch_one(&self.pool).await?;
        let odd = |_| PictureError::Storage("an odd number of pictures".to_owned());
        Ok((u64::try_from(count).map_err(odd)?, u64::try_from(bytes).map_err(odd)?))
    }

    async fn one(
        &self,
        query: sqlx::query::Query<'_, Any, AnyArguments>,
    ) -> Result<Option<Picture>, PictureError> {
        let row = query.fetch_optional(&self.pool).await?;
        row.map(|row| read(&row)).transpose()
    }
}

/// A device as the sender of its own pictures.
fn itself(device: &DeviceId) -> String {
    Who::Device(device.clone()).to_string()
}

fn read(row: &Row) -> Result<Picture, PictureError> {
    let odd = |column: &str| PictureError::Storage(format!("a row with an odd {column}"));
    let time = |milliseconds: i64, column| {
        Timestamp::from_millisecond(milliseconds).map_err(|_| odd(column))
    };
    let number = |number: i64, column| u32::try_from(number).map_err(|_| odd(column));
    let device: Option<String> = row.try_get("device")?;
    let stranger_at: Option<i64> = row.try_get("stranger_at")?;
    let thumbnail: Option<i64> = row.try_get("thumbnail")?;
    Ok(Picture {
        id: row.try_get::<String, _>("id")?.parse().map_err(|_| odd("id"))?,
        device: device.map(|id| id.parse()).transpose().map_err(|_| odd("device"))?,
        sender: row.try_get("sender")?,
        name: row.try_get("name")?,
        media_type: MediaType::parse(row.try_get("media_type")?).ok_or_else(|| odd("type"))?,
        width: number(row.try_get("width")?, "width")?,
        height: number(row.try_get("height")?, "height")?,
        size: u64::try_from(row.try_get::<i64, _>("size")?).map_err(|_| odd("size"))?,
        thumbnail: thumbnail.map(u64::try_from).transpose().map_err(|_| odd("thumbnail"))?,
        received_at: time(row.try_get("received_at")?, "received_at")?,
        stranger_at: stranger_at.map(|at| time(at, "stranger_at")).transpose()?,
    })
}
