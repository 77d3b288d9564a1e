//! The store: a folder of files, and a row for each two of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use jiff::Timestamp;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;

use super::arrivals::{Arrivals, Held};
use super::counts::Counts;
use super::reencode::{Reencoded, reencode};
use super::retention::Retention;
use super::rows::Rows;
use super::{Picture, PictureError, PictureId, PictureSize, Upload, files};
use crate::config::PictureSettings;
use crate::database::Database;
use crate::events::Events;
use crate::identity::Principal;
use crate::state::DeviceId;

/// How many pictures are decoded at once.
pub(super) const DECODING: usize = 2;

/// How many more may wait for that, each with its bytes in memory; who comes
/// later is told that the server is busy.
pub(super) const WAITING: usize = 16;

/// For how long a device may call its upload by the name that it gave it.
const NAME_LASTS: Duration = Duration::from_secs(60);

/// The pictures of this server; cheap to clone.
#[derive(Clone)]
pub struct Pictures {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) rows: Rows,
    pub(super) folder: PathBuf,
    pub(super) settings: Arc<PictureSettings>,
    pub(super) retention: Retention,
    arrivals: Arrivals,
    decoding: Semaphore,
    in_hand: Semaphore,
    counts: Counts,
}

impl Pictures {
    /// Opens the store below `folder`, which is made where it is missing.
    /// What an earlier run left half done is removed.
    ///
    /// # Errors
    /// The folder or the database cannot be used.
    pub async fn open(
        database: &Database,
        folder: &Path,
        settings: &PictureSettings,
        events: Events,
    ) -> anyhow::Result<Self> {
        files::make_folder(folder)
            .with_context(|| format!("make the picture folder {}", folder.display()))?;
        let pictures = Self {
            inner: Arc::new(Inner {
                rows: Rows { pool: database.pool.clone() },
                folder: folder.to_owned(),
                settings: Arc::new(settings.clone()),
                retention: Retention::new(events),
                arrivals: Arrivals::new(settings),
                decoding: Semaphore::new(DECODING),
                in_hand: Semaphore::new(DECODING + WAITING),
                counts: Counts::default(),
            }),
        };
        pictures.sweep().await.context("sweep the picture folder")?;
        pictures.recount().await.context("count the pictures")?;
        Ok(pictures)
    }

    /// The most bytes that a picture may have that is sent in.
    pub fn max_bytes(&self) -> usize {
        self.inner.settings.max_bytes
    }

    /// Lets one more picture of this sender come.
    ///
    /// # Errors
    /// Too many come.
    pub fn admit(&self, sender: &Principal) -> Result<(), PictureError> {
        self.refused(self.inner.arrivals.admit(sender))
    }

    /// Lets so many bytes of this device wait.
    ///
    /// # Errors
    /// Too many wait already.
    pub fn hold(&self, device: &DeviceId, bytes: usize) -> Result<Held, PictureError> {
        self.refused(self.inner.arrivals.hold(device, bytes))
    }

    /// Takes a picture in. When this returns, files and row are on disk.
    ///
    /// # Errors
    /// It is no picture within the limits, or it could not be kept.
    pub async fn save(&self, upload: Upload) -> Result<Picture, PictureError> {
        let saved = self.take_in(upload).await;
        self.inner.counts.received(saved.as_ref().map(|picture| picture.size));
        saved
    }

    fn refused<T>(&self, result: Result<T, PictureError>) -> Result<T, PictureError> {
        result.inspect_err(|error| self.inner.counts.received(Err(error)))
    }

    async fn take_in(&self, upload: Upload) -> Result<Picture, PictureError> {
        upload.check_name()?;
        let inner = &self.inner;
        let _in_hand = inner.in_hand.try_acquire().map_err(|_| PictureError::Busy)?;
        let reencoded = self.decode(upload.bytes).await?;
        let Reencoded { bytes, thumbnail, media_type, width, height } = reencoded;
        let picture = Picture {
            id: PictureId::generate(),
            sender: Some(upload.sender.to_string()),
            device: upload.device,
            name: upload.name,
            media_type,
            width,
            height,
            size: bytes.len() as u64,
            thumbnail: Some(thumbnail.len() as u64),
            received_at: now(),
            stranger_at: None,
        };
        // Not left half done where nobody waits for it any more.
        let kept = tokio::spawn(self.clone().keep(picture, bytes, thumbnail));
        kept.await.map_err(|error| PictureError::Storage(error.to_string()))?
    }

    async fn keep(
        self,
        picture: Picture,
        bytes: Vec<u8>,
        thumbnail: Vec<u8>,
    ) -> Result<Picture, PictureError> {
        let inner = &self.inner;
        let names = PictureSize::ALL.map(|size| picture.file_name(size));
        // The files first: whoever finds the row finds them. What is left where
        // the server ends in between is swept at the next start.
        let folder = inner.folder.clone();
        let write = move || files::write(&folder, &[(&names[0], &bytes), (&names[1], &thumbnail)]);
        blocking(write).await?;
        if let Err(error) = inner.rows.insert(&picture).await {
            self.remove_files(&picture).await?;
            return Err(error);
        }
        inner.retention.add(&picture);
        self.give_way_to_newest().await;
        Ok(picture)
    }

    async fn decode(&self, bytes: Bytes) -> Result<Reencoded, PictureError> {
        let _slot = self.inner.decoding.acquire().await.map_err(|_| PictureError::Busy)?;
        let settings = self.inner.settings.clone();
        let began = Instant::now();
        let decoded = tokio::task::spawn_blocking(move || reencode(&bytes, &settings)).await;
        self.inner.counts.decoded(began.elapsed());
        match decoded {
            Ok(result) => result,
            // A decoder that panics has met a picture that it cannot decode.
            Err(_) => Err(PictureError::Broken("the decoder gave up".to_owned())),
        }
    }

    /// The picture that a device means: one that it sent itself, by the name under
    /// which it did so within the last minute, or, without a reference, the newest;
    /// or by its id any that is not another device's, whoever sent it. So what an
    /// app sends in its place is never taken for what it saw, unless it says so.
    ///
    /// # Errors
    /// There is none, or the database does not answer.
    pub async fn find(
        &self,
        device: &DeviceId,
        reference: Option<&str>,
    ) -> Result<Picture, PictureError> {
        let rows = &self.inner.rows;
        let Some(reference) = reference else {
            let missing =
                || PictureError::NotFound(format!("{device} itself has uploaded no picture"));
            return rows.newest_of(device).await?.ok_or_else(missing);
        };
        let by_id = match reference.parse::<PictureId>() {
            // Whose picture it is, is nobody else's business.
            Ok(id) => rows
                .get(&id)
                .await?
                .filter(|found| found.device.as_ref().is_none_or(|owner| owner == device)),
            Err(_) => None,
        };
        let found = match by_id {
            // Cameras give names that look like ids, too.
            None => rows.newest_named(device, reference, now() - NAME_LASTS).await?,
            found => found,
        };
        found.ok_or_else(|| {
            let shown: String = reference.chars().take(80).flat_map(char::escape_default).collect();
            PictureError::NotFound(format!(
                "{device} itself has uploaded no `{shown}` within a minute"
            ))
        })
    }

    /// Notes that a picture shows a stranger.
    ///
    /// # Errors
    /// There is none, or the database does not answer.
    pub async fn mark_stranger(&self, id: &PictureId) -> Result<(), PictureError> {
        if self.inner.rows.mark_stranger(id).await? {
            Ok(())
        } else {
            Err(PictureError::NotFound(format!("there is no picture {id}")))
        }
    }

    /// The newest pictures, or those that come after this one; with
    /// `strangers` those that show one, the last said to do so first.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn page(
        &self,
        strangers: bool,
        after: Option<&PictureId>,
        limit: u32,
    ) -> Result<Vec<Picture>, PictureError> {
        self.inner.rows.page(strangers, after, limit).await
    }

    /// One picture.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn get(&self, id: &PictureId) -> Result<Option<Picture>, PictureError> {
        self.inner.rows.get(id).await
    }

    /// The bytes of a picture in this size; as it is, where it has no thumbnail.
    ///
    /// # Errors
    /// It was deleted meanwhile, or the disk failed.
    pub async fn bytes(&self, picture: &Picture, size: PictureSize) -> Result<Bytes, PictureError> {
        let file = self.inner.folder.join(picture.file_name(size));
        let id = picture.id;
        let read = move || match std::fs::read(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        };
        let bytes = blocking(read).await?;
        let gone = || PictureError::NotFound(format!("there is no picture {id}"));
        bytes.map(Bytes::from).ok_or_else(gone)
    }

    /// Deletes a picture: when this returns, neither row nor file is there,
    /// also after a power cut. False: there was none, or somebody else did it.
    ///
    /// # Errors
    /// The database or the disk failed; it can be deleted again.
    pub async fn delete(&self, id: &PictureId) -> Result<bool, PictureError> {
        let Some(picture) = self.inner.rows.get(id).await? else { return Ok(false) };
        // Not left half done where nobody waits for it any more.
        let done = tokio::spawn({
            let pictures = self.clone();
            async move { pictures.remove(&picture).await }
        });
        done.await.map_err(|error| PictureError::Storage(error.to_string()))?
    }

    /// What is counted of pictures, for Prometheus.
    pub fn register_counts(&self, registry: &mut Registry) {
        self.inner.counts.register(registry);
        let (count, bytes) = self.kept();
        let gauge = |number: u64| ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
        registry.register("pictures", "Pictures that are kept", gauge(count));
        let help = "Bytes of the pictures that are kept and of their thumbnails";
        registry.register("pictures_bytes", help, gauge(bytes));
    }

    /// Removes files and row.
    pub(super) async fn remove(&self, picture: &Picture) -> Result<bool, PictureError> {
        // The files first: a row without a file can be deleted again.
        self.remove_files(picture).await?;
        let removed = self.inner.rows.delete(&picture.id).await?;
        if removed {
            self.inner.retention.subtract(picture);
            self.inner.counts.deleted();
        }
        Ok(removed)
    }

    pub(super) async fn remove_files(&self, picture: &Picture) -> Result<(), PictureError> {
        let (folder, names) = (self.inner.folder.clone(), picture.file_names());
        blocking(move || files::remove(&folder, &names)).await
    }
}

/// Milliseconds are what the database keeps.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, PictureError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(error) => Err(PictureError::Storage(error.to_string())),
    }
}
