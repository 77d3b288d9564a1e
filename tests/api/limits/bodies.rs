//! Bodies: their bytes and their time. Those of pictures are in `pictures.rs`.

use std::fmt::Write as _;

use serde_json::json;

use crate::harness::{Answer, Manner, Server, raw_request, raw_response};

async fn post(server: &Server, path: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = server.client.post(server.url(path)).header("content-type", "application/json");
    server.send(request.body(body)).await
}

#[tokio::test]
async fn a_body_of_one_byte_too_many_is_413_and_one_that_just_fits_is_read() {
    let server = Server::start_with(json!({ "http": { "max_body_bytes": 256 } })).await;
    let door = server.lock("front-door", Manner::Obeys).await;
    for (path, body) in [
        ("/lock", "{}"),
        ("/unlock", "{}"),
        ("/test", r#"{"action": "lock"}"#),
        ("/api/v1/devices/front-door/commands", r#"{"verb": "lock"}"#),
    ] {
        post(&server, path, format!("{body:256}")).await.devices(200);
        let told = door.told();
        let detail = post(&server, path, format!("{body:257}")).await.problem(413, "too-large");
        assert!(detail.contains("256"), "{path}: {detail}");
        assert_eq!(door.told(), told, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_say_its_length_is_cut_off_at_the_limit() {
    let server = Server::start_with(json!({ "http": { "max_body_bytes": 256 } })).await;
    let door = server.lock("front-door", Manner::Obeys).await;
    let body = |length: usize| {
        let body = format!("{:length$}", r#"{"action": "lock"}"#);
        let chunks: Vec<_> = body.as_bytes().chunks(64).map(|chunk| Ok(chunk.to_vec())).collect();
        let chunks = futures_util::stream::iter(chunks.into_iter().map(|c: std::io::Result<_>| c));
        reqwest::Body::wrap_stream(chunks)
    };
    post(&server, "/test", body(256)).await.devices(200);
    post(&server, "/test", body(257)).await.problem(413, "too-large");
    assert_eq!(door.count("lock"), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_is_slow_with_its_body_is_told_408() {
    let server = Server::start_with(json!({ "http": { "request_timeout_ms": 1000 } })).await;
    let door = server.lock("front-door", Manner::Obeys).await;
    let begun = [
        ("/lock", "", "{"),
        ("/unlock", "", ""),
        ("/test", "text/plain", "unlock"),
        ("/api/v1/devices/front-door/commands", "application/json", "{\"verb\": "),
        ("/api/v1/pictures", "image/png", "\x7fPNG"),
        ("/api/v1/pictures", "multipart/form-data; boundary=x", "--x\r\nContent-Disp"),
    ];
    let answers = begun.map(async |(path, media_type, body)| {
        let mut request = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n");
        if !media_type.is_empty() {
            write!(request, "Content-Type: {media_type}\r\n").unwrap();
        }
        write!(request, "Content-Length: 100\r\n\r\n{body}").unwrap();
        let response = raw_response(raw_request(&server, &request).await).await;
        assert!(response.starts_with("HTTP/1.1 408"), "{path}: {response}");
        assert!(response.contains("urn:latchlight:problem:too-slow"), "{path}: {response}");
    });
    futures_util::future::join_all(answers).await;
    assert_eq!(door.told(), [""; 0]);
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_no_route_reads_ends_with_its_connection() {
    let server = Server::start().await;
    for line in ["GET /hello", "GET /no/such", "PUT /lock", "DELETE /api/v1/devices/front-door"] {
        let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000000\r\n");
        let response = raw_response(raw_request(&server, &format!("{head}\r\nx")).await).await;
        assert!(response.contains("connection: close"), "{line}: {response}");
    }
    server.stop().await;
}
