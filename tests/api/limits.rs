//! Limits, at limit + 1.

use serde_json::json;

use crate::harness::{Server, png, raw_request, raw_response};

#[tokio::test]
async fn a_body_of_one_byte_too_many_is_413_and_one_that_just_fits_is_read() {
    let server = Server::start_with(json!({ "http": { "max_body_bytes": 256 } })).await;
    let post = async |length: usize| {
        server.send(server.client.post(server.url("/test")).body("x".repeat(length))).await
    };
    post(256).await.problem(422, "invalid");
    assert!(post(257).await.problem(413, "too-large").contains("256"));
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_say_its_length_is_cut_off_at_the_limit() {
    let server = Server::start_with(json!({ "http": { "max_body_bytes": 256 } })).await;
    let chunks =
        futures_util::stream::iter((0..100).map(|_| Ok::<_, std::io::Error>("x".repeat(64))));
    let body = reqwest::Body::wrap_stream(chunks);
    let answer = server.send(server.client.post(server.url("/test")).body(body)).await;
    answer.problem(413, "too-large");
    server.stop().await;
}

#[tokio::test]
async fn a_picture_of_one_byte_too_many_is_413_raw_and_in_parts() {
    let picture = png(40, 40);
    let limit = picture.len().max(1024);
    let server = Server::start_with(json!({ "http": { "picture_max_bytes": limit } })).await;
    let mut padded = picture.clone();
    padded.resize(limit, 0);
    let raw = async |bytes: Vec<u8>| {
        let request = server.client.post(server.url("/api/v1/pictures"));
        server.send(request.header("content-type", "image/png").body(bytes)).await
    };
    assert_eq!(raw(padded.clone()).await.status, 201);
    padded.push(0);
    raw(padded.clone()).await.problem(413, "too-large");
    let part = reqwest::multipart::Part::bytes(padded);
    let form = reqwest::multipart::Form::new().part("picture", part);
    let request = server.client.post(server.url("/api/v1/pictures")).multipart(form);
    server.send(request).await.problem(413, "too-large");
    server.stop().await;
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let server = Server::start().await;
    let head = format!("GET /hello HTTP/1.1\r\nHost: localhost\r\nX-Long: {}", "x".repeat(1 << 20));
    let mut stream = raw_request(&server, "").await;
    // The server may close before all of it is written.
    let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await;
    let response = raw_response(stream).await;
    assert!(!response.starts_with("HTTP/1.1 2"), "{response}");
    assert_eq!(server.get("/hello").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_is_slow_with_its_head_is_dropped() {
    let server = Server::start_with(json!({ "http": { "request_timeout_ms": 200 } })).await;
    let stream = raw_request(&server, "GET /hello HTTP/1.1\r\nHost: localhost\r\n").await;
    let response = raw_response(stream).await;
    assert!(response.is_empty() || response.starts_with("HTTP/1.1 408"), "{response}");
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_is_slow_with_its_body_is_told_408() {
    let server = Server::start_with(json!({ "http": { "request_timeout_ms": 200 } })).await;
    let head = "POST /test HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nlo";
    let response = raw_response(raw_request(&server, head).await).await;
    assert!(response.starts_with("HTTP/1.1 408"), "{response}");
    assert!(response.contains("urn:latchlight:problem:too-slow"), "{response}");
    server.stop().await;
}

#[tokio::test]
async fn a_wait_or_a_page_beyond_its_limit_is_refused_by_name() {
    let server = Server::start().await;
    for (path, says) in [
        ("/lock?wait=301", "wait"),
        ("/lock?wait=-1", "wait"),
        ("/lock?wait=soon", "wait"),
        ("/lock?wait=NaN", "wait"),
    ] {
        let detail = server.post(path).await.problem(400, "malformed");
        assert!(detail.contains(says), "{path}: {detail}");
    }
    for path in ["/api/v1/devices?limit=0", "/api/v1/devices?limit=1001"] {
        let detail = server.get(path).await.problem(400, "malformed");
        assert!(detail.contains("limit"), "{path}: {detail}");
    }
    assert_eq!(server.get("/api/v1/devices?limit=1000").await.status, 200);
    server.stop().await;
}
