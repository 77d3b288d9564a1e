//! Cameras that show their own credentials.

use reqwest::RequestBuilder;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Server, png, raw_request, raw_response, until};

fn upload(server: &Server, query: &str) -> RequestBuilder {
    let request = server.stranger.post(server.url(&format!("/api/v1/pictures{query}")));
    request.header("content-type", "image/png").body(png(8, 8))
}

#[tokio::test]
async fn a_camera_uploads_as_itself_and_its_stranger_is_that_picture() {
    let server = Server::start().await;
    let porch = server.camera("porch").await;
    let secret = server.device_secret("porch").await;
    let request = upload(&server, "?name=door.png").basic_auth("porch", Some(&secret));
    let answer = server.send(request).await;
    let picture = answer.json();
    assert_eq!((answer.status, &picture["device"]), (201, &"porch".into()), "{picture}");
    let again = upload(&server, "?device=porch").basic_auth("porch", Some(&secret));
    assert_eq!(server.send(again).await.status, 201);
    porch.say("find_stranger door.png").await;
    let seen = until("the stranger", async || {
        let request =
            server.client.get(server.url("/get_pic")).header("accept", "application/json");
        let answer = server.send(request).await;
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(seen.await["id"], picture["id"]);
    server.stop().await;
}

#[tokio::test]
async fn c19_a_camera_uploads_for_no_other_and_sees_nothing() {
    let server = Server::start().await;
    let _porch = server.camera("porch").await;
    let _yard = server.camera("yard").await;
    let secret = server.device_secret("porch").await;
    let as_porch = |request: RequestBuilder| request.basic_auth("porch", Some(&secret));
    let other = server.send(as_porch(upload(&server, "?device=yard"))).await;
    other.problem(404, "not-found");
    let spare = server.device_secret("spare").await;
    let not_joined = upload(&server, "").basic_auth("spare", Some(&spare));
    let why = server.send(not_joined).await.problem(403, "not-allowed");
    assert!(why.contains("has not joined"), "{why}");
    for (name, secret) in [("porch", "wrong"), ("yard", &*secret), ("nobody", &secret)] {
        let request = upload(&server, "").basic_auth(name, Some(secret));
        server.send(request).await.problem(401, "unknown-caller");
    }
    let picture = server.send(as_porch(upload(&server, ""))).await.json();
    let path = picture["link"].as_str().unwrap();
    for path in ["/api/v1/pictures", path, "/get_pic"] {
        let get = server.send(as_porch(server.stranger.get(server.url(path)))).await;
        get.problem(403, "insufficient-scope");
    }
    let delete = server.send(as_porch(server.stranger.delete(server.url(path)))).await;
    delete.problem(403, "insufficient-scope");
    let revoke = "/api/v1/devices/porch/credentials";
    assert_eq!(server.delete(revoke).await.status, 204);
    server.send(as_porch(upload(&server, ""))).await.problem(401, "unknown-caller");
    server.stop().await;
}

#[tokio::test]
async fn one_picture_too_many_in_a_minute_is_429_however_it_comes() {
    let server = Server::start_with(json!({ "pictures": { "per_minute": 2 } })).await;
    let porch = server.camera("porch").await;
    let secret = server.device_secret("porch").await;
    let as_porch = || upload(&server, "").basic_auth("porch", Some(&secret));
    porch.upload(png(8, 8)).await;
    until("the picture", async || porch.told().iter().find(|told| told.starts_with("ok")).cloned())
        .await;
    assert_eq!(server.send(as_porch()).await.status, 201);
    let refused = server.send(as_porch()).await;
    refused.problem(429, "too-soon");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() <= 31);
    // What an app sends is its own, in whosever place it does.
    let by_app = |query: &str| {
        let path = format!("/api/v1/pictures{query}");
        server.send(server.client.post(server.url(&path)).body(png(8, 8)))
    };
    assert_eq!(by_app("?device=porch").await.status, 201);
    assert_eq!(by_app("").await.status, 201);
    by_app("?device=porch").await.problem(429, "too-soon");
    by_app("").await.problem(429, "too-soon");
    let metrics = String::from_utf8(server.get("/metrics").await.body.to_vec()).unwrap();
    for line in [
        "latchlight_pictures 4",
        "latchlight_pictures_received_total{outcome=\"kept\"} 4",
        "latchlight_pictures_received_total{outcome=\"busy\"} 3",
    ] {
        assert!(metrics.lines().any(|said| said == line), "{line}: {metrics}");
    }
    server.stop().await;
}

#[tokio::test]
async fn c26_what_a_key_sends_in_a_cameras_place_is_on_record_and_no_stranger_of_the_cameras() {
    let server = Server::start().await;
    let porch = server.camera("porch").await;
    let key = json!({
        "name": "recorder", "scopes": "pictures:write",
        "grants": [{ "actions": [], "devices": ["porch"] }],
    });
    let key = server.post_json("/api/v1/api-keys", &key).await.json();
    let by_key = || {
        upload(&server, "?device=porch&name=door.png").bearer_auth(key["secret"].as_str().unwrap())
    };
    let answer = server.send(by_key()).await;
    let forged = answer.json();
    assert_eq!((answer.status, &forged["sender"]), (201, &"app:recorder".into()), "{forged}");
    let events = server.get("/api/v1/events?kind=picture").await.json();
    let event = &events["events"][0];
    assert_eq!((&event["action"], &event["device"]), (&"upload".into(), &"porch".into()));
    assert_eq!((&event["actor"], &event["detail"]), (&"app:recorder".into(), &forged["id"]));
    // Neither as its newest, nor by its name.
    for words in ["find_stranger", "find_stranger door.png"] {
        porch.say(words).await;
    }
    until("two answers", async || (porch.told().len() == 2).then_some(())).await;
    assert!(porch.told().iter().all(|told| told.starts_with("error find_stranger")));
    server.get("/get_pic").await.problem(404, "not-found");
    // Whom the camera believes is the camera's own affair, and is said.
    porch.say(&format!("find_stranger {}", forged["id"].as_str().unwrap())).await;
    until("the stranger", async || (server.get("/get_pic").await.status == 200).then_some(()))
        .await;
    let detail = until("the alert on record", async || {
        let events = server.get("/api/v1/events?kind=alert").await.json();
        events["events"][0]["detail"].as_str().map(str::to_owned)
    })
    .await;
    assert!(detail.contains("sender app:recorder"), "{detail}");
    server.stop().await;
}

#[tokio::test]
async fn slow_uploads_of_one_camera_hold_up_no_other() {
    let server = Server::start_with(json!({ "http": { "request_timeout_ms": 60_000 } })).await;
    let _cameras = [server.camera("porch").await, server.camera("yard").await];
    let secret = server.device_secret("porch").await;
    let picture = png(4, 4);
    let basic = data_encoding::BASE64.encode(format!("porch:{secret}").as_bytes());
    let head = format!(
        "POST /api/v1/pictures HTTP/1.1\r\nhost: localhost\r\nContent-Type: image/png\r\n\
         Authorization: Basic {basic}\r\nConnection: close\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\n\r\n",
        picture.len()
    );
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut upload = raw_request(&server, &head).await;
        let mut told = [0; 25];
        upload.read_exact(&mut told).await.unwrap();
        slow.push(upload);
    }
    let fifth = upload(&server, "").basic_auth("porch", Some(&secret));
    server.send(fifth).await.problem(503, "busy");
    let yards = server.device_secret("yard").await;
    let other = upload(&server, "").basic_auth("yard", Some(&yards));
    assert_eq!(server.send(other).await.status, 201);
    let mut first = slow.remove(0);
    first.write_all(&picture).await.unwrap();
    assert!(raw_response(first).await.starts_with("HTTP/1.1 201"));
    let fifth = upload(&server, "").basic_auth("porch", Some(&secret));
    assert_eq!(server.send(fifth).await.status, 201);
    server.stop().await;
}
