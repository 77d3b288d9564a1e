//! The heads of requests. What is wrong with them is found before the server
//! knows what is asked, and answered by status alone.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::harness::{Server, raw_request, raw_response};

/// A whole head of so many bytes.
fn head_of(length: usize) -> String {
    let around = "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Long: \r\n\r\n";
    around.replace("X-Long: ", &format!("X-Long: {}", "x".repeat(length - around.len())))
}

async fn status_of(server: &Server, head: &str) -> String {
    let mut stream = raw_request(server, "").await;
    // The server may answer and close before all of it is written.
    let _ = stream.write_all(head.as_bytes()).await;
    let response = raw_response(stream).await;
    response.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_head_that_is_too_long_is_431() {
    let server = Server::start().await;
    assert_eq!(status_of(&server, &head_of(128 * 1024)).await, "200");
    // It is refused when more has come than fits, which is seen a read later.
    assert_eq!(status_of(&server, &head_of(256 * 1024)).await, "431");
    assert_eq!(server.get("/hello").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_head_of_one_field_too_many_is_431() {
    let server = Server::start().await;
    let head = |fields: usize| {
        let more: String = (2..fields).map(|number| format!("X-{number}: x\r\n")).collect();
        format!("GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n")
    };
    assert_eq!(status_of(&server, &head(96)).await, "200");
    assert_eq!(status_of(&server, &head(97)).await, "431");
    server.stop().await;
}

#[tokio::test]
async fn a_head_that_is_none_is_400() {
    let server = Server::start().await;
    for head in [
        "\x16\x03\x01 hello\r\n\r\n",
        "GET /hello\r\n\r\n",
        "GET /hello HTTP/1.1\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        "GET /hel lo HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost : localhost\r\n\r\n",
        "POST /lock HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /lock HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        "POST /lock HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        assert_eq!(status_of(&server, head).await, "400", "{head:?}");
    }
    assert_eq!(server.get("/hello").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_is_slow_with_its_head_is_dropped() {
    let server = Server::start_with(json!({ "http": { "request_timeout_ms": 200 } })).await;
    for begun in ["", "G", "GET /hello HTTP/1.1\r\nHost: localhost\r\n"] {
        assert_eq!(status_of(&server, begun).await, "408", "{begun:?}");
    }
    server.stop().await;
}
