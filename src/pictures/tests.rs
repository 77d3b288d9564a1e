//! The store, by itself.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use super::*;
use crate::config::{DatabaseSettings, EventSettings, PictureSettings};
use crate::database::Database;
use crate::events::Events;
use crate::identity::{Principal, Who};

struct Scene {
    folder: tempfile::TempDir,
    database: Database,
    files: PathBuf,
    pictures: Pictures,
}

fn settings() -> PictureSettings {
    PictureSettings { max_bytes: 1 << 20, max_pixels: 100_000, keep_count: 3, ..Default::default() }
}

async fn scene() -> Scene {
    scene_with(settings()).await
}

async fn scene_with(settings: PictureSettings) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&DatabaseSettings::default(), folder.path()).await.unwrap();
    let files = folder.path().join("pictures");
    let pictures = open(&database, &files, settings).await;
    Scene { folder, database, files, pictures }
}

async fn open(database: &Database, files: &Path, settings: PictureSettings) -> Pictures {
    let events = Events::open(database, &EventSettings::default());
    Pictures::open(database, files, &settings, events).await.unwrap()
}

/// The camera itself, where there is one.
fn sender(device: Option<&str>) -> Principal {
    let camera = |id: &str| Principal::over_mqtt(Who::Device(id.parse().unwrap()));
    device.map_or_else(Principal::operator, camera)
}

fn upload(device: Option<&str>, name: Option<&str>) -> Upload {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(8, 8).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    Upload {
        bytes: bytes.into_inner().into(),
        sender: sender(device),
        device: device.map(|id| id.parse().unwrap()),
        name: name.map(str::to_owned),
    }
}

impl Scene {
    async fn save(&self) -> Picture {
        self.pictures.save(upload(None, None)).await.unwrap()
    }

    /// As after a restart.
    async fn open_again(&self, settings: PictureSettings) -> Pictures {
        open(&self.database, &self.files, settings).await
    }

    async fn all(&self) -> Vec<PictureId> {
        let all = self.pictures.page(false, None, 1000).await.unwrap();
        all.into_iter().map(|picture| picture.id).collect()
    }

    async fn age(&self, picture: &PictureId, days: i64) {
        let age = "UPDATE pictures SET received_at = received_at - $1 WHERE id = $2";
        let age = sqlx::query(age).bind(days * 24 * 60 * 60 * 1000).bind(picture.to_string());
        age.execute(&self.database.pool).await.unwrap();
    }
}

fn files(scene: &Scene) -> Vec<String> {
    let entries = std::fs::read_dir(&scene.files).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The files of these pictures, and no other.
fn files_of<'a>(pictures: impl IntoIterator<Item = &'a Picture>) -> Vec<String> {
    let mut names: Vec<_> = pictures.into_iter().flat_map(Picture::file_names).collect();
    names.sort();
    names
}

#[tokio::test]
async fn c26_what_is_deleted_is_gone_from_disk_and_database_and_its_thumbnail_too() {
    let scene = scene().await;
    let picture = scene.save().await;
    let id = picture.id;
    assert_eq!(files(&scene), [format!("{id}.png"), format!("{id}.thumb.jpg")]);
    assert!(scene.pictures.delete(&id).await.unwrap());
    assert_eq!(files(&scene), [""; 0]);
    assert_eq!(scene.pictures.get(&id).await.unwrap(), None);
    for size in PictureSize::ALL {
        let bytes = scene.pictures.bytes(&picture, size).await;
        assert!(matches!(bytes, Err(PictureError::NotFound(_))), "{bytes:?}");
    }
    assert!(!scene.pictures.delete(&id).await.unwrap());
}

#[tokio::test]
async fn of_many_who_delete_a_picture_at_once_one_has_done_it() {
    let scene = scene().await;
    for _ in 0..10 {
        let picture = scene.save().await;
        let deletes = (0..8).map(|_| scene.pictures.delete(&picture.id));
        let done = futures_util::future::join_all(deletes).await;
        assert_eq!(done.iter().filter(|done| *done.as_ref().unwrap()).count(), 1, "{done:?}");
    }
    assert_eq!(files(&scene), [""; 0]);
    assert_eq!(scene.pictures.kept(), (0, 0));
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
async fn what_somebody_sends_in_a_cameras_place_is_what_it_saw_if_it_names_the_id_alone() {
    let scene = scene().await;
    let pictures = &scene.pictures;
    let porch = "porch".parse().unwrap();
    let in_its_place =
        Upload { sender: Principal::operator(), ..upload(Some("porch"), Some("door.jpg")) };
    let before = pictures.save(in_its_place.clone()).await.unwrap();
    for reference in [None, Some("door.jpg")] {
        let found = pictures.find(&porch, reference).await;
        assert!(matches!(found, Err(PictureError::NotFound(_))), "{reference:?}: {found:?}");
    }
    let own = pictures.save(upload(Some("porch"), Some("door.jpg"))).await.unwrap();
    pictures.save(in_its_place).await.unwrap();
    for reference in [None, Some("door.jpg")] {
        assert_eq!(pictures.find(&porch, reference).await.unwrap(), own, "{reference:?}");
    }
    assert_eq!(own.sender.as_deref(), Some("device:porch"));
    let id = before.id.to_string();
    assert_eq!(pictures.find(&porch, Some(&id)).await.unwrap(), before);
    assert_eq!(before.sender.as_deref(), Some("operator"));
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
async fn a_name_that_looks_like_an_id_is_a_name_and_no_other_cameras_picture() {
    let scene = scene().await;
    let yards = scene.pictures.save(upload(Some("yard"), None)).await.unwrap();
    let (porch, name) = ("porch".parse().unwrap(), yards.id.to_string());
    let found = scene.pictures.find(&porch, Some(&name)).await;
    assert!(matches!(found, Err(PictureError::NotFound(_))), "{found:?}");
    let named = scene.pictures.save(upload(Some("porch"), Some(&name))).await.unwrap();
    assert_eq!(scene.pictures.find(&porch, Some(&name)).await.unwrap(), named);
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
    let first = scene.save().await;
    let mut kept = Vec::new();
    for _ in 0..settings().keep_count {
        kept.push(scene.save().await);
    }
    assert_eq!(scene.pictures.get(&first.id).await.unwrap(), None);
    assert_eq!(files(&scene), files_of(&kept));
}

#[tokio::test]
async fn the_oldest_give_way_when_all_have_one_byte_too_many() {
    let scene = scene_with(PictureSettings { keep_count: 100, ..settings() }).await;
    let mut pictures = Vec::new();
    for _ in 0..3 {
        pictures.push(scene.save().await);
    }
    let bytes = pictures.iter().map(Picture::kept_bytes).sum::<u64>();
    assert_eq!(scene.pictures.kept(), (3, bytes));
    for (keep_bytes, left) in [(bytes, &pictures[..]), (bytes - 1, &pictures[1..])] {
        let again = PictureSettings { keep_bytes, ..settings() };
        scene.open_again(again).await.give_way().await.unwrap();
        assert_eq!(files(&scene), files_of(left));
    }
}

#[tokio::test]
async fn what_is_too_old_goes_bit_by_bit_and_is_one_event_on_record() {
    let scene = scene_with(PictureSettings { keep_count: 100, ..settings() }).await;
    let mut pictures = Vec::new();
    for _ in 0..40 {
        pictures.push(scene.save().await);
    }
    let days = i64::from(settings().keep_days);
    for old in &pictures[..37] {
        scene.age(&old.id, days).await;
    }
    scene.age(&pictures[37].id, days - 1).await;
    let again = scene.open_again(PictureSettings { keep_count: 100, ..settings() }).await;
    again.give_way().await.unwrap();
    assert_eq!(files(&scene), files_of(&pictures[37..]));
    // What goes a moment later is on record when the server ends.
    scene.age(&pictures[37].id, 2).await;
    again.give_way().await.unwrap();
    again.close().await;
    let events = &again.inner.retention.events();
    events.close().await;
    let told = events.page(&crate::events::Filter::default(), None, 10).await.unwrap();
    let told: Vec<_> = told.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    for (event, count) in told.iter().rev().zip([37, 1]) {
        assert_eq!((&event["kind"], &event["action"]), (&"picture".into(), &"expire".into()));
        let detail = format!("removed {count} pictures: {count} too old, 0 too many, 0 too large");
        assert_eq!(event["detail"], detail);
    }
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
async fn a_start_removes_what_was_left_half_done_and_nothing_else() {
    let settings = || PictureSettings { keep_count: 100, ..settings() };
    let scene = scene_with(settings()).await;
    let [kept, half, small] = [scene.save().await, scene.save().await, scene.save().await];
    // Two that were being written, one whose row was not there yet, and one of
    // whose removal the first half was done.
    std::fs::write(scene.files.join(".upload-x"), b"half").unwrap();
    let stray = scene.save().await;
    scene.pictures.inner.rows.delete(&stray.id).await.unwrap();
    std::fs::remove_file(scene.files.join(half.file_name(PictureSize::Full))).unwrap();
    for mine in ["mine.txt", "mine.jpg", "x.thumb.jpg"] {
        std::fs::write(scene.files.join(mine), b"a user's own file").unwrap();
    }
    let again = scene.open_again(settings()).await;
    let mut left = files_of([&kept, &small]);
    left.extend(["mine.jpg", "mine.txt", "x.thumb.jpg"].map(str::to_owned));
    left.sort();
    assert_eq!(files(&scene), left);
    assert_eq!(scene.all().await, [small.id, kept.id]);
    assert_eq!(again.kept(), (2, kept.kept_bytes() + small.kept_bytes()));
}

#[tokio::test]
async fn pictures_that_another_database_knew_are_kept_aside_and_rows_without_a_folder_stay() {
    let settings = || PictureSettings { keep_count: 100, ..settings() };
    let scene = scene_with(settings()).await;
    let mut pictures = Vec::new();
    for _ in 0..20 {
        pictures.push(scene.save().await);
    }
    let away = scene.folder.path().join("away");
    std::fs::rename(&scene.files, &away).unwrap();
    let again = scene.open_again(settings()).await;
    assert_eq!(again.kept().0, 20, "the folder may come back");
    std::fs::remove_dir(&scene.files).unwrap();
    std::fs::rename(&away, &scene.files).unwrap();
    sqlx::query("DELETE FROM pictures").execute(&scene.database.pool).await.unwrap();
    scene.open_again(settings()).await;
    assert_eq!(files(&scene), [""; 0]);
    let beside = std::fs::read_dir(scene.folder.path()).unwrap().map(|entry| entry.unwrap());
    let aside =
        beside.filter(|entry| entry.file_name().to_string_lossy().starts_with("pictures.lost-"));
    let aside: Vec<_> = aside.collect();
    assert_eq!(std::fs::read_dir(aside[0].path()).unwrap().count(), files_of(&pictures).len());
}

#[tokio::test]
async fn a_picture_from_before_there_were_thumbnails_is_given_as_it_is() {
    let scene = scene().await;
    let picture = scene.save().await;
    let thumbnail = scene.files.join(picture.file_name(PictureSize::Thumb));
    std::fs::remove_file(thumbnail).unwrap();
    let before = "UPDATE pictures SET thumbnail = NULL";
    sqlx::query(before).execute(&scene.database.pool).await.unwrap();
    let before = scene.pictures.get(&picture.id).await.unwrap().unwrap();
    assert_eq!(before.media_type_of(PictureSize::Thumb), MediaType::Png);
    let whole = scene.pictures.bytes(&before, PictureSize::Full).await.unwrap();
    assert_eq!(scene.pictures.bytes(&before, PictureSize::Thumb).await.unwrap(), whole);
    assert!(scene.pictures.delete(&before.id).await.unwrap());
    assert_eq!(files(&scene), [""; 0]);
}

#[tokio::test]
async fn files_are_for_the_server_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let scene = scene().await;
    let picture = scene.pictures.save(upload(None, None)).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&scene.files), 0o700);
    for name in picture.file_names() {
        assert_eq!(mode(&scene.files.join(name)), 0o600);
    }
}
