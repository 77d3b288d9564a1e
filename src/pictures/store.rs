//! The store: a folder of files, and a row for each.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::files;
use super::reencode::{Reencoded, reencode};
use super::rows::Rows;
use super::{Picture, PictureError, PictureId, PictureLimits, Upload};
use crate::database::Database;
use crate::state::DeviceId;

/// How many pictures are decoded at once.
const DECODING: usize = 2;

/// How many more may wait for that, each with its bytes in memory; who comes
/// later is told that the server is busy.
const WAITING: usize = 16;

/// For how long a device may call its upload by the name that it gave it.
const NAME_LASTS: Duration = Duration::from_secs(60);

/// The pictures of this server; cheap to clone.
#[derive(Clone)]
pub struct Pictures {
    inner: Arc<Inner>,
}

struct Inner {
    rows: Rows,
    folder: PathBuf,
    limits: PictureLimits,
    decoding: Semaphore,
    in_hand: Semaphore,
}

impl Pictures {
    /// Opens the store below `folder`, which is made where it is missing.
    /// What uploads left that did not end is removed.
    ///
    /// # Errors
    /// The folder or the database cannot be used.
    pub async fn open(
        database: &Database,
        folder: &Path,
        limits: PictureLimits,
    ) -> anyhow::Result<Self> {
        files::make_folder(folder)
            .with_context(|| format!("make the picture folder {}", folder.display()))?;
        let pictures = Self {
            inner: Arc::new(Inner {
                rows: Rows { pool: database.pool.clone() },
                folder: folder.to_owned(),
                limits,
                decoding: Semaphore::new(DECODING),
                in_hand: Semaphore::new(DECODING + WAITING),
            }),
        };
        pictures.sweep().await.context("sweep the picture folder")?;
        Ok(pictures)
    }

    /// Takes a picture in. When this returns, file and row are on disk.
    ///
    /// # Errors
    /// It is no picture within the limits, or it could not be kept.
    pub async fn save(&self, upload: Upload) -> Result<Picture, PictureError> {
        upload.check_name()?;
        let inner = &self.inner;
        let _in_hand = inner.in_hand.try_acquire().map_err(|_| PictureError::Busy)?;
        let Reencoded { bytes, media_type, width, height } = self.decode(upload.bytes).await?;
        let picture = Picture {
            id: PictureId::generate(),
            device: upload.device,
            name: upload.name,
            media_type,
            width,
            height,
            size: bytes.len() as u64,
            received_at: now(),
            stranger_at: None,
        };
        // Not left half done where nobody waits for it any more.
        let kept = tokio::spawn(self.clone().keep(picture, bytes));
        kept.await.map_err(|error| PictureError::Storage(error.to_string()))?
    }

    async fn keep(self, picture: Picture, bytes: Vec<u8>) -> Result<Picture, PictureError> {
        let inner = &self.inner;
        let folder = inner.folder.clone();
        let file = blocking(move || files::write_unfinished(&folder, &bytes)).await?;
        inner.rows.insert(&picture).await?;
        let (folder, name) = (inner.folder.clone(), picture.file_name());
        if let Err(error) = blocking(move || files::finish(file, &folder, &name)).await {
            inner.rows.delete(&picture.id).await?;
            return Err(error);
        }
        self.give_way().await;
        Ok(picture)
    }

    async fn decode(&self, bytes: Bytes) -> Result<Reencoded, PictureError> {
        let _slot = self.inner.decoding.acquire().await.map_err(|_| PictureError::Busy)?;
        let limits = self.inner.limits;
        match tokio::task::spawn_blocking(move || reencode(&bytes, limits)).await {
            Ok(result) => result,
            // A decoder that panics has met a picture that it cannot decode.
            Err(_) => Err(PictureError::Broken("the decoder gave up".to_owned())),
        }
    }

    /// The picture that a device means: an upload's id (its own or an app's),
    /// the name under which it uploaded within the last minute, or, without a
    /// reference, its newest.
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
            let missing = || PictureError::NotFound(format!("{device} has uploaded no picture"));
            return rows.newest_of(device).await?.ok_or_else(missing);
        };
        let found = match reference.parse::<PictureId>() {
            // Whose picture it is, is nobody else's business.
            Ok(id) => rows
                .get(&id)
                .await?
                .filter(|found| found.device.as_ref().is_none_or(|owner| owner == device)),
            Err(_) => rows.newest_named(device, reference, now() - NAME_LASTS).await?,
        };
        found.ok_or_else(|| {
            let shown: String = reference.chars().take(80).flat_map(char::escape_default).collect();
            PictureError::NotFound(format!("{device} has uploaded no `{shown}` within a minute"))
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

    /// The bytes of a picture.
    ///
    /// # Errors
    /// It was deleted meanwhile, or the disk failed.
    pub async fn bytes(&self, picture: &Picture) -> Result<Bytes, PictureError> {
        let file = self.inner.folder.join(picture.file_name());
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
    /// also after a power cut. False: there was none.
    ///
    /// # Errors
    /// The database or the disk failed; what is left is said in the log.
    pub async fn delete(&self, id: &PictureId) -> Result<bool, PictureError> {
        let Some(picture) = self.inner.rows.get(id).await? else { return Ok(false) };
        let (folder, name) = (self.inner.folder.clone(), picture.file_name());
        // The file first: a row without a file can be deleted again.
        blocking(move || files::remove(&folder, &name)).await?;
        self.inner.rows.delete(id).await
    }

    /// The oldest give way to the newest.
    async fn give_way(&self) {
        let surplus = match self.inner.rows.beyond(self.inner.limits.kept).await {
            Ok(surplus) => surplus,
            Err(error) => return tracing::error!(%error, "look for pictures to delete"),
        };
        for picture in surplus {
            if let Err(error) = self.delete(&picture.id).await {
                tracing::error!(picture = %picture.id, %error, "delete an old picture");
            }
        }
    }

    async fn sweep(&self) -> Result<(), PictureError> {
        let folder = self.inner.folder.clone();
        let swept = blocking(move || files::sweep(&folder)).await?;
        if swept > 0 {
            tracing::warn!(files = swept, "removed pictures whose upload did not end");
        }
        Ok(())
    }
}

/// Milliseconds are what the database keeps.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, PictureError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(error) => Err(PictureError::Storage(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::DatabaseSettings;

    const LIMITS: PictureLimits = PictureLimits { max_bytes: 1 << 20, max_pixels: 10_000, kept: 3 };

    struct Scene {
        _folder: tempfile::TempDir,
        database: Database,
        files: PathBuf,
        pictures: Pictures,
    }

    async fn scene() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&DatabaseSettings::default(), folder.path()).await.unwrap();
        let files = folder.path().join("pictures");
        let pictures = Pictures::open(&database, &files, LIMITS).await.unwrap();
        Scene { _folder: folder, database, files, pictures }
    }

    fn upload(device: Option<&str>, name: Option<&str>) -> Upload {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(8, 8).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        Upload {
            bytes: bytes.into_inner().into(),
            device: device.map(|id| id.parse().unwrap()),
            name: name.map(str::to_owned),
        }
    }

    fn files(scene: &Scene) -> Vec<String> {
        let entries = std::fs::read_dir(&scene.files).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn what_is_deleted_is_gone_from_disk_and_database() {
        let scene = scene().await;
        let picture = scene.pictures.save(upload(None, None)).await.unwrap();
        assert_eq!(files(&scene), [format!("{}.png", picture.id)]);
        assert!(scene.pictures.delete(&picture.id).await.unwrap());
        assert_eq!(files(&scene), [""; 0]);
        assert_eq!(scene.pictures.get(&picture.id).await.unwrap(), None);
        let bytes = scene.pictures.bytes(&picture).await;
        assert!(matches!(bytes, Err(PictureError::NotFound(_))), "{bytes:?}");
        assert!(!scene.pictures.delete(&picture.id).await.unwrap());
    }

    #[tokio::test]
    async fn a_device_finds_its_own_pictures_and_an_apps_but_no_other_devices() {
        let scene = scene().await;
        let pictures = &scene.pictures;
        let (porch, yard) = ("porch".parse().unwrap(), "yard".parse().unwrap());
        let first = pictures.save(upload(Some("porch"), Some("door.jpg"))).await.unwrap();
        let of_app = pictures.save(upload(None, Some("app.jpg"))).await.unwrap();
        let newest = pictures.save(upload(Some("porch"), None)).await.unwrap();
        assert_eq!(pictures.find(&porch, None).await.unwrap(), newest);
        assert_eq!(pictures.find(&porch, Some("door.jpg")).await.unwrap(), first);
        let id = of_app.id.to_string();
        assert_eq!(pictures.find(&porch, Some(&id)).await.unwrap(), of_app);
        for reference in [None, Some("door.jpg"), Some("app.jpg"), Some(&*first.id.to_string())] {
            let found = pictures.find(&yard, reference).await;
            assert!(matches!(found, Err(PictureError::NotFound(_))), "{reference:?}: {found:?}");
        }
    }

    #[tokio::test]
    async fn a_name_lasts_a_minute() {
        let scene = scene().await;
        let porch = "porch".parse().unwrap();
        scene.pictures.save(upload(Some("porch"), Some("door.jpg"))).await.unwrap();
        sqlx::query("UPDATE pictures SET received_at = received_at - 61000")
            .execute(&scene.database.pool)
            .await
            .unwrap();
        assert!(scene.pictures.find(&porch, Some("door.jpg")).await.is_err());
        assert!(scene.pictures.find(&porch, None).await.is_ok());
    }

    #[tokio::test]
    async fn names_that_could_be_paths_or_more_than_a_word_are_refused() {
        let scene = scene().await;
        for name in ["", "a b", "../door.jpg", "a\\b", "a\0b", "line\n", &"x".repeat(129)] {
            let error = scene.pictures.save(upload(None, Some(name))).await.unwrap_err();
            assert!(matches!(error, PictureError::InvalidName(_)), "{name:?}: {error}");
        }
        assert!(scene.pictures.save(upload(None, Some(&"é".repeat(64)))).await.is_ok());
    }

    #[tokio::test]
    async fn the_oldest_give_way_at_the_limit_and_their_files_go_too() {
        let scene = scene().await;
        let first = scene.pictures.save(upload(None, None)).await.unwrap();
        for _ in 0..LIMITS.kept {
            scene.pictures.save(upload(None, None)).await.unwrap();
        }
        assert_eq!(scene.pictures.get(&first.id).await.unwrap(), None);
        assert_eq!(files(&scene).len(), LIMITS.kept as usize);
    }

    #[tokio::test]
    async fn the_newest_stranger_is_the_one_that_was_said_last() {
        let scene = scene().await;
        let pictures = &scene.pictures;
        assert_eq!(pictures.page(true, None, 1).await.unwrap(), []);
        let first = pictures.save(upload(Some("porch"), None)).await.unwrap();
        pictures.save(upload(Some("porch"), None)).await.unwrap();
        pictures.mark_stranger(&first.id).await.unwrap();
        let newest = pictures.page(true, None, 1).await.unwrap();
        assert_eq!(newest[0].id, first.id);
        assert!(newest[0].stranger_at.is_some());
    }

    #[tokio::test]
    async fn a_start_removes_what_unfinished_uploads_left_and_nothing_else() {
        let scene = scene().await;
        let kept = scene.pictures.save(upload(None, None)).await.unwrap();
        std::fs::write(scene.files.join(".upload-x"), b"half").unwrap();
        std::fs::write(scene.files.join("mine.txt"), b"a user's own file").unwrap();
        Pictures::open(&scene.database, &scene.files, LIMITS).await.unwrap();
        let mut left = files(&scene);
        left.sort();
        assert_eq!(left.len(), 2);
        assert!(left.contains(&format!("{}.png", kept.id)), "{left:?}");
    }

    #[tokio::test]
    async fn files_are_for_the_server_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let scene = scene().await;
        let picture = scene.pictures.save(upload(None, None)).await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&scene.files), 0o700);
        assert_eq!(mode(&scene.files.join(picture.file_name())), 0o600);
    }
}
