//! A camera sees a stranger.

use std::io::Cursor;

use latchlight_mqtt::QoS;
use serde_json::Value;

use crate::harness::{Device, Server};

fn picture() -> Vec<u8> {
    picture_of(32, 24)
}

fn picture_of(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let image = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 80]));
    image.write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Jpeg).unwrap();
    bytes
}

#[tokio::test]
async fn an_alert_has_a_link_to_the_picture_and_reaches_who_asked_for_it() {
    let server = Server::start();
    let mut camera = Device::join(&server, "porch", "camera").await;
    let mut siren = Device::join(&server, "siren", "other {\"features\": [\"alerts\"]}").await;
    let mut watcher = Device::connect(server.mqtt(), server.app("watcher").await).await;
    watcher.subscribe("latchlight/alerts/#", QoS::AtLeastOnce).await;
    camera.publish("latchlight/devices/porch/picture", picture(), false).await;
    let id = camera.hear().await.strip_prefix("ok picture ").unwrap().to_owned();
    camera.say("find_stranger").await;
    let link = camera.hear().await.strip_prefix("ok find_stranger ").unwrap().to_owned();
    let alert = watcher.hear_publish().await;
    assert_eq!(&*alert.topic, "latchlight/alerts/stranger");
    let body: Value = serde_json::from_slice(&alert.payload).unwrap();
    assert_eq!(body["link"], link.as_str());
    assert_eq!((&body["device"], &body["picture"]), (&"porch".into(), &id.as_str().into()));
    assert!(siren.hear().await.starts_with("alert stranger {"));
    // The link works, and it is the newest stranger.
    let path = link.strip_prefix(&server.http).unwrap();
    let (status, bytes) = server.bytes(path).await;
    assert_eq!(status, 200);
    let shown = image::load_from_memory(&bytes).unwrap();
    assert_eq!((shown.width(), shown.height()), (32, 24));
    assert_eq!(server.bytes("/get_pic").await, (200, bytes));
}

#[tokio::test]
async fn who_says_it_right_behind_the_picture_is_understood_of_that_picture() {
    let server = Server::start();
    let cameras = ["porch", "yard", "shed"].map(async |id| {
        let mut camera = Device::join(&server, id, "camera").await;
        // Large and small by turns: a small one takes less time than the large one before it.
        let widths: Vec<u32> = (0..10).map(|turn| [900, 16][turn % 2] + turn as u32).collect();
        let publishes = widths.iter().flat_map(|width| {
            let topic = |last: &str| format!("latchlight/devices/{id}/{last}");
            let picture = picture_of(*width, 8);
            [(topic("picture"), picture.into()), (topic("up"), "find_stranger".into())]
        });
        camera.publish_at_once(publishes.collect()).await;
        for width in widths {
            let (picture, link) = (camera.hear().await, camera.hear().await);
            let picture = picture.strip_prefix("ok picture ").expect(&picture);
            let link = link.strip_prefix("ok find_stranger ").expect(&link);
            assert!(link.ends_with(picture), "{link} is not {picture}");
            let (status, bytes) = server.bytes(link.strip_prefix(&server.http).unwrap()).await;
            assert_eq!(status, 200);
            assert_eq!(image::load_from_memory(&bytes).unwrap().width(), width);
        }
    });
    futures_util::future::join_all(cameras).await;
}

#[tokio::test]
async fn what_is_no_picture_is_refused_and_alerts_nobody() {
    let server = Server::start();
    let mut camera = Device::join(&server, "porch", "camera").await;
    camera.publish("latchlight/devices/porch/picture", "GIF89a", false).await;
    let answer = camera.hear().await;
    assert!(answer.starts_with("error picture"), "{answer}");
    camera.say("find_stranger").await;
    let answer = camera.hear().await;
    assert!(answer.starts_with("error find_stranger"), "{answer}");
    camera.say("find_stranger ../../etc/passwd").await;
    assert!(camera.hear().await.starts_with("error find_stranger"));
    assert_eq!(server.bytes("/get_pic").await.0, 404);
}
