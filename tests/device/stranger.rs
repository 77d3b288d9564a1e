//! A camera sees a stranger.

use std::io::Cursor;

use latchlight_mqtt::{Connect, ProtocolVersion, QoS};
use serde_json::{Value, json};

use crate::harness::{Device, Server};
use crate::mosquitto::Mosquitto;

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
    let server = Server::start_with(json!({ "devices": { "siren": { "alerts": ["porch"] } } }));
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
            assert!(link.contains(&format!("/picture/{picture}?")), "{link} is not {picture}");
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
    assert_eq!(answer, "error picture the bytes are neither a JPEG nor a PNG picture");
    camera.say("find_stranger").await;
    let answer = camera.hear().await;
    assert!(answer.starts_with("error find_stranger"), "{answer}");
    camera.say("find_stranger ../../etc/passwd").await;
    assert!(camera.hear().await.starts_with("error find_stranger"));
    assert_eq!(server.bytes("/get_pic").await.0, 404);
}

#[tokio::test]
async fn a_picture_of_a_device_that_has_not_joined_is_refused() {
    let server = Server::start();
    let mut camera = Device::connect(server.mqtt(), server.device("porch").await).await;
    camera.listen(QoS::AtLeastOnce).await;
    camera.publish("latchlight/devices/porch/picture", picture(), false).await;
    let answer = camera.hear().await;
    assert!(answer.starts_with("error picture `porch` has not joined"), "{answer}");
    assert_eq!(std::fs::read_dir(server.folder.path().join("data/pictures")).unwrap().count(), 0);
}

#[tokio::test]
async fn one_picture_too_many_in_a_minute_is_told_and_another_cameras_is_taken() {
    let server = Server::start_with(json!({ "pictures": { "per_minute": 2 } }));
    let mut porch = Device::join(&server, "porch", "camera").await;
    let mut yard = Device::join(&server, "yard", "camera").await;
    for _ in 0..2 {
        porch.publish("latchlight/devices/porch/picture", picture(), false).await;
        assert!(porch.hear().await.starts_with("ok picture "));
    }
    porch.publish("latchlight/devices/porch/picture", picture(), false).await;
    let answer = porch.hear().await;
    assert!(answer.starts_with("error picture too many pictures from one sender"), "{answer}");
    yard.publish("latchlight/devices/yard/picture", picture(), false).await;
    assert!(yard.hear().await.starts_with("ok picture "));
}

#[tokio::test]
async fn a_camera_sends_pictures_over_an_outside_broker() {
    let mosquitto = Mosquitto::start();
    let broker = format!("mqtt://{}", mosquitto.address());
    let server = Server::start_with(json!({ "mqtt": { "broker": broker } }));
    server.logged("connected to the broker").await;
    let connect = Connect::new(ProtocolVersion::V5, "porch");
    let mut camera = Device::connect(&mosquitto.address(), connect).await;
    camera.listen(QoS::AtLeastOnce).await;
    camera.say("hand_shake camera").await;
    assert_eq!(camera.hear().await, "ok hand_shake");
    // As large as a small camera's.
    let large = picture_of(1600, 1200);
    assert!(large.len() > 100_000, "{}", large.len());
    camera.publish("latchlight/devices/porch/picture", large, false).await;
    let answer = camera.hear().await;
    let id = answer.strip_prefix("ok picture ").expect(&answer).to_owned();
    camera.say(&format!("find_stranger {id}")).await;
    let link = camera.hear().await.strip_prefix("ok find_stranger ").unwrap().to_owned();
    let shown = reqwest::get(&link).await.unwrap().bytes().await.unwrap();
    assert_eq!(image::load_from_memory(&shown).unwrap().width(), 1600);
    camera.publish("latchlight/devices/porch/picture", "GIF89a", false).await;
    assert!(camera.hear().await.starts_with("error picture "));
}

#[tokio::test]
async fn c30_the_signature_of_a_link_is_in_no_log_and_no_event() {
    let server = Server::start_with(json!({ "log": { "level": "debug" } }));
    let mut camera = Device::join(&server, "porch", "camera").await;
    camera.publish("latchlight/devices/porch/picture", picture(), false).await;
    let id = camera.hear().await.strip_prefix("ok picture ").unwrap().to_owned();
    camera.say("find_stranger").await;
    let link = camera.hear().await.strip_prefix("ok find_stranger ").unwrap().to_owned();
    let (status, made) = server.post(&format!("/api/v1/pictures/{id}/link")).await;
    assert_eq!(status, 201, "{made}");
    let mut links = vec![link];
    links.extend(["link", "thumbnail"].map(|link| made[link].as_str().unwrap().to_owned()));
    let mut secrets = Vec::new();
    for link in links {
        assert_eq!(reqwest::get(&link).await.unwrap().status(), 200);
        let (rest, signature) = link.split_once("&signature=").unwrap();
        let altered = format!("{rest}1&signature={signature}");
        assert_eq!(reqwest::get(&altered).await.unwrap().status(), 403);
        secrets.push(signature.to_owned());
    }
    let (_, events) = server.bytes("/api/v1/events/export?format=ndjson").await;
    let events = String::from_utf8(events.to_vec()).unwrap();
    assert!(events.contains(&id), "that links were made is on record");
    let log = server.stop_and_read_log().await;
    let log = Value::from(log).to_string();
    assert!(log.contains("request answered"));
    for secret in secrets {
        assert!(!log.contains(&secret) && !events.contains(&secret));
    }
}
