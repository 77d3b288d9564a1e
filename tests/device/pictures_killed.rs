//! The folder of pictures and what is known of them, whenever the server is
//! killed.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::Path;

use bytes::Bytes;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::harness::{Device, PATIENCE, Server, configured};

const KEPT: usize = 5;

fn settings() -> TempDir {
    configured(json!({ "pictures": { "keep_count": KEPT, "per_minute": 6000 } }))
}

/// One that no other looks like.
fn picture(number: u32) -> Bytes {
    let mut bytes = Vec::new();
    let image = image::RgbImage::from_pixel(64 + number, 48, image::Rgb([number as u8, 7, 9]));
    image.write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    bytes.into()
}

fn files(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder.join("data/pictures")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// What the server knows, once the start has let go of what is too much.
async fn known(server: &Server) -> Vec<String> {
    let end = Instant::now() + PATIENCE;
    loop {
        let (_, page) = server.get("/api/v1/pictures?limit=1000").await;
        let pictures = page["pictures"].as_array().unwrap().iter();
        let ids: Vec<_> = pictures.map(|p| p["id"].as_str().unwrap().to_owned()).collect();
        if ids.len() <= KEPT {
            return ids;
        }
        assert!(Instant::now() < end, "{ids:?}");
    }
}

/// Every picture that the server knows has its two files, and there are no others.
async fn expect_whole(server: &Server, round: u32) -> Vec<String> {
    let ids = known(server).await;
    let of_known = ids.iter().flat_map(|id| [format!("{id}.png"), format!("{id}.thumb.jpg")]);
    assert_eq!(files(server.folder.path()), of_known.collect(), "round {round}");
    for id in &ids {
        let (status, bytes) = server.bytes(&format!("/api/v1/pictures/{id}")).await;
        assert_eq!(status, 200, "round {round}: {id}");
        assert!(image::load_from_memory(&bytes).is_ok(), "round {round}: {id}");
    }
    ids
}

#[tokio::test]
async fn c28_no_file_without_its_row_and_no_row_without_its_file_after_kill_9() {
    let mut server = Server::start_in(settings());
    for round in 0..4 {
        let mut camera = Device::join(&server, "porch", "camera").await;
        let topic = || "latchlight/devices/porch/picture".to_owned();
        // The oldest give way all the while.
        let sent = (0..20).map(|number| (topic(), picture(20 * round + number)));
        camera.publish_at_once(sent.collect()).await;
        let mut told = Vec::new();
        while told.len() < 7 + round as usize {
            let words = camera.hear().await;
            told.push(words.strip_prefix("ok picture ").expect(&words).to_owned());
        }
        server = Server::start_in(server.kill());
        let ids = expect_whole(&server, round).await;
        // What was told is there, unless so many newer ones came before the end.
        let last = told.last().unwrap();
        assert!(ids.contains(last) || ids.len() == KEPT, "round {round}: {last} of {ids:?}");
    }
    let (status, _) = server.bytes("/get_pic").await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn c26_what_was_deleted_does_not_come_back_by_kill_9() {
    let mut server = Server::start_in(settings());
    for round in 0..4 {
        let mut camera = Device::join(&server, "porch", "camera").await;
        let mut ids = Vec::new();
        for number in 0..4 {
            camera.publish("latchlight/devices/porch/picture", picture(number), false).await;
            let words = camera.hear().await;
            ids.push(words.strip_prefix("ok picture ").expect(&words).to_owned());
        }
        let (gone, others) = ids.split_at(2);
        for id in gone {
            assert_eq!(server.delete(&format!("/api/v1/pictures/{id}")).await, 204);
        }
        // Some of these are under way when it ends.
        let deletes = others.iter().map(|id| {
            let path = format!("/api/v1/pictures/{id}");
            let server = &server;
            async move { server.request(reqwest::Method::DELETE, &path).await }
        });
        for request in futures_util::future::join_all(deletes).await {
            tokio::spawn(request.send());
        }
        tokio::task::yield_now().await;
        server = Server::start_in(server.kill());
        let left = expect_whole(&server, round).await;
        assert!(gone.iter().all(|id| !left.contains(id)), "round {round}: {left:?}");
    }
}
