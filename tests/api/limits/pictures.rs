//! Pictures: their bytes, how many are kept, how many come at once.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Answer, Server, png, raw_request, raw_response, until};

async fn upload(server: &Server, bytes: Vec<u8>) -> Answer {
    let request = server.client.post(server.url("/api/v1/pictures"));
    server.send(request.header("content-type", "image/png").body(bytes)).await
}

async fn upload_part(server: &Server, part: reqwest::multipart::Part) -> Answer {
    let form = reqwest::multipart::Form::new().part("picture", part);
    server.send(server.client.post(server.url("/api/v1/pictures")).multipart(form)).await
}

#[tokio::test]
async fn a_picture_of_one_byte_too_many_is_413_raw_and_in_parts_and_with_no_length_said() {
    let mut picture = png(40, 40);
    let limit = picture.len().max(1024);
    picture.resize(limit, 0);
    let server = Server::start_with(json!({ "pictures": { "max_bytes": limit } })).await;
    let part = |bytes: &[u8]| reqwest::multipart::Part::bytes(bytes.to_vec());
    let unsaid = |bytes: &[u8]| {
        let chunks: Vec<_> = bytes.chunks(100).map(|chunk| Ok(chunk.to_vec())).collect();
        let chunks = futures_util::stream::iter(chunks.into_iter().map(|c: std::io::Result<_>| c));
        reqwest::multipart::Part::stream(reqwest::Body::wrap_stream(chunks))
    };
    assert_eq!(upload(&server, picture.clone()).await.status, 201);
    assert_eq!(upload_part(&server, part(&picture)).await.status, 201);
    assert_eq!(upload_part(&server, unsaid(&picture)).await.status, 201);
    picture.push(0);
    for answer in [
        upload(&server, picture.clone()).await,
        upload_part(&server, part(&picture)).await,
        upload_part(&server, unsaid(&picture)).await,
    ] {
        assert!(answer.problem(413, "too-large").contains(&limit.to_string()));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_camera_that_publishes_one_byte_too_many_is_told_so() {
    let mut picture = png(40, 40);
    let limit = picture.len().max(1024);
    picture.resize(limit, 0);
    let server = Server::start_with(json!({ "pictures": { "max_bytes": limit } })).await;
    let porch = server.camera("porch").await;
    porch.upload(picture.clone()).await;
    picture.push(0);
    porch.upload(picture).await;
    let told = until("two answers", async || Some(porch.told()).filter(|told| told.len() == 2));
    let told = told.await;
    assert!(told[0].starts_with("ok picture "), "{told:?}");
    assert!(told[1].starts_with(&format!("error picture the picture has more than {limit}")));
    server.stop().await;
}

#[tokio::test]
async fn one_picture_more_than_are_kept_pushes_the_oldest_out() {
    let server = Server::start_with(json!({ "pictures": { "keep_count": 2 } })).await;
    let mut links = Vec::new();
    for width in [4, 5, 6] {
        let picture = upload(&server, png(width, 4)).await.json();
        links.push(picture["link"].as_str().unwrap().to_owned());
    }
    server.get(&links[0]).await.problem(404, "not-found");
    for link in &links[1..] {
        assert_eq!(server.get(link).await.status, 200);
    }
    assert_eq!(std::fs::read_dir(server.folder().join("data/pictures")).unwrap().count(), 4);
    server.stop().await;
}

#[tokio::test]
async fn one_upload_too_many_at_once_is_503_until_another_one_ends() {
    let server = Server::start_with(json!({ "http": { "request_timeout_ms": 60_000 } })).await;
    let picture = png(4, 4);
    let mut cameras = Vec::new();
    for id in ["porch", "yard", "shed", "gate"] {
        let secret = server.device_secret(id).await;
        let basic = data_encoding::BASE64.encode(format!("{id}:{secret}").as_bytes());
        cameras.push((server.camera(id).await, basic));
    }
    let head = |basic: &str| {
        format!(
            "POST /api/v1/pictures HTTP/1.1\r\nhost: localhost\r\nContent-Type: image/png\r\n\
         Authorization: Basic {basic}\r\nConnection: close\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            picture.len()
        )
    };
    let begin = async |number: usize| {
        let mut slow = raw_request(&server, &head(&cameras[number / 4].1)).await;
        let mut told = [0; 25];
        slow.read_exact(&mut told).await.unwrap();
        assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
        slow
    };
    let mut slow = Vec::new();
    for number in 0..15 {
        slow.push(begin(number).await);
    }
    assert_eq!(upload(&server, picture.clone()).await.status, 201, "the sixteenth");
    slow.push(begin(15).await);
    let refused = upload(&server, picture.clone()).await;
    refused.problem(503, "busy");
    assert_eq!(refused.header("retry-after"), "1");
    let mut first = slow.remove(0);
    first.write_all(&picture).await.unwrap();
    assert!(raw_response(first).await.starts_with("HTTP/1.1 201"));
    assert_eq!(upload(&server, picture).await.status, 201);
    drop(slow);
    server.stop().await;
}
