//! `GET /hello`.

use crate::harness::Server;

#[tokio::test]
async fn hello_says_name_and_version() {
    let server = Server::start().await;
    let answer = server.get("/hello").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["name"], "latchlight");
    assert_eq!(answer.json()["version"], env!("CARGO_PKG_VERSION"));
    server.stop().await;
}

#[tokio::test]
async fn hello_is_a_line_of_text_for_who_asks_for_text() {
    let server = Server::start().await;
    let request = server.client.get(server.url("/hello")).header("accept", "text/plain");
    let answer = server.send(request).await;
    assert_eq!(answer.body, format!("latchlight {}\n", env!("CARGO_PKG_VERSION")));
    server.stop().await;
}

#[tokio::test]
async fn every_answer_keeps_browsers_in_bounds() {
    let server = Server::start().await;
    for path in ["/hello", "/", "/api/v1/devices", "/no/such/route"] {
        let answer = server.get(path).await;
        assert!(answer.header("content-security-policy").contains("default-src 'none'"));
        assert!(!answer.header("content-security-policy").contains("unsafe"));
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        let cors = |name: &str| name.starts_with("access-control-");
        assert!(!answer.headers.keys().any(|name| cors(name.as_str())), "{answer:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_sane_request_id_is_echoed_and_any_other_replaced() {
    let server = Server::start().await;
    let ask = async |id: &[u8]| {
        let request = server.client.get(server.url("/hello")).header("x-request-id", id);
        server.send(request).await.header("x-request-id").to_owned()
    };
    assert_eq!(ask(b"app-7:42").await, "app-7:42");
    for odd in [&b"with space"[..], b"<script>", b"", &[b'x'; 129], b"caf\xc3\xa9"] {
        let id: uuid::Uuid = ask(odd).await.parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
    }
    server.stop().await;
}

#[tokio::test]
async fn head_is_answered_like_get_without_a_body() {
    let server = Server::start().await;
    let answer = server.send(server.client.head(server.url("/hello"))).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    server.stop().await;
}

#[tokio::test]
async fn json_ends_with_a_newline_for_who_reads_it_in_a_terminal() {
    let server = Server::start().await;
    for path in ["/hello", "/healthz", "/readyz", "/api/v1/devices", "/api/v1/nothing"] {
        let answer = server.get(path).await;
        assert_eq!(answer.body.iter().filter(|byte| **byte == b'\n').count(), 1, "{answer:?}");
        assert!(answer.body.ends_with(b"}\n"), "{answer:?}");
        assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    }
    assert!(server.post("/lock").await.body.ends_with(b"}\n"));
    server.stop().await;
}
