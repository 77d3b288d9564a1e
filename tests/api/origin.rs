//! C23a: a page from elsewhere cannot operate the server through the browser.

use serde_json::json;

use crate::harness::{Answer, Manner, Server, png, raw_request, raw_response};

/// Everything that changes something, with the pattern of its URL.
const CHANGES: [(&str, &str); 7] = [
    ("POST", "/lock"),
    ("POST", "/unlock"),
    ("POST", "/test"),
    ("POST", "/api/v1/devices/front-door/commands"),
    ("DELETE", "/api/v1/devices/front-door"),
    ("POST", "/api/v1/pictures"),
    ("DELETE", "/api/v1/pictures/67e55044-10b1-426f-9247-bb680e5fe0c8"),
];

async fn send(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let method = method.parse().unwrap();
    let mut request = server.client.request(method, server.url(path)).body("unlock");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.send(request).await
}

#[tokio::test]
async fn c23a_what_a_foreign_page_wants_changed_is_403_and_not_done() {
    let server = Server::start().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    let other_port = format!("http://127.0.0.1:{}", server.http.port().wrapping_add(1));
    let other_scheme = format!("https://127.0.0.1:{}", server.http.port());
    for headers in [
        [("origin", "http://evil.example")],
        [("origin", "null")],
        [("origin", &*other_port)],
        [("origin", &*other_scheme)],
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("referer", "http://evil.example/page")],
    ] {
        for (method, path) in CHANGES {
            let answer = send(&server, method, path, &headers).await;
            let detail = answer.problem(403, "foreign");
            assert!(detail.contains(headers[0].1.split('/').next().unwrap()), "{detail}");
        }
    }
    assert_eq!(door.told(), [""; 0]);
    assert_eq!(server.get("/api/v1/devices/front-door").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn c23a_our_own_page_and_programs_without_an_origin_may() {
    let server = Server::start().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    let port = server.http.port();
    let (own, by_name) = (format!("http://127.0.0.1:{port}"), format!("http://localhost:{port}"));
    for headers in [
        &[][..],
        &[("origin", &*own), ("sec-fetch-site", "same-origin")],
        &[("origin", &*by_name)],
        &[("sec-fetch-site", "none")],
    ] {
        send(&server, "POST", "/test", headers).await.devices(200);
    }
    assert_eq!(door.count("unlock"), 4);
    server.stop().await;
}

#[tokio::test]
async fn c23a_a_get_that_operates_is_guarded_like_a_post_however_it_is_spelt() {
    let server = Server::start_with(json!({ "http": { "get_commands": true } })).await;
    let door = server.lock("front-door", Manner::Obeys).await;
    for path in ["/unlock", "/%75nlock", "/un%6cock"] {
        for headers in [
            [("sec-fetch-site", "cross-site")],
            [("origin", "http://evil.example")],
            [("referer", "http://evil.example/")],
        ] {
            let answer = send(&server, "GET", path, &headers).await;
            answer.problem(403, "foreign");
        }
    }
    assert_eq!(door.told(), [""; 0]);
    server.stop().await;
}

#[tokio::test]
async fn c23a_under_a_foreign_name_nothing_is_answered_not_even_to_be_read() {
    let server = Server::start().await;
    let port = server.http.port();
    for host in ["evil.example", &format!("evil.example:{port}"), "localhost:1", "", "127.0.0.2"] {
        for path in ["/", "/hello", "/api/v1/devices", "/healthz", "/get_pic", "/no/such/route"] {
            let answer = send(&server, "GET", path, &[("host", host)]).await;
            answer.problem(403, "foreign");
        }
        let answer = send(&server, "POST", "/unlock", &[("host", host)]).await;
        answer.problem(403, "foreign");
    }
    for host in ["localhost", "LocalHost", "127.0.0.1", "[::1]", &format!("localhost:{port}")] {
        assert_eq!(send(&server, "GET", "/hello", &[("host", host)]).await.status, 200, "{host}");
    }
    server.stop().await;
}

#[tokio::test]
async fn c23a_no_host_two_hosts_and_an_absolute_foreign_target_are_refused() {
    let server = Server::start().await;
    for request in [
        "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        "GET http://evil.example/hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "GET /hello HTTP/1.0\r\n\r\n",
    ] {
        let response = raw_response(raw_request(&server, request).await).await;
        let status = response.split(' ').nth(1).unwrap_or_default();
        assert!(matches!(status, "400" | "403"), "{request}: {response}");
    }
    server.stop().await;
}

#[tokio::test]
async fn c23a_a_preflight_gets_no_permission() {
    let server = Server::start().await;
    let headers = [
        ("origin", "http://evil.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    let answer = send(&server, "OPTIONS", "/unlock", &headers).await;
    answer.problem(403, "foreign");
    assert!(answer.headers.get("access-control-allow-origin").is_none());
    server.stop().await;
}

#[tokio::test]
async fn c23a_a_foreign_page_may_link_to_the_board_and_embed_nothing() {
    let server = Server::start().await;
    let board = send(&server, "GET", "/", &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(board.status, 200);
    assert_eq!(board.header("x-frame-options"), "DENY");
    assert_eq!(board.header("cross-origin-resource-policy"), "same-origin");
    server.stop().await;
}

#[tokio::test]
async fn c23a_an_upload_from_a_foreign_page_keeps_nothing() {
    let server = Server::start().await;
    let request = server.client.post(server.url("/api/v1/pictures"));
    let request = request.header("origin", "http://evil.example").body(png(8, 8));
    server.send(request).await.problem(403, "foreign");
    let files = std::fs::read_dir(server.folder().join("data/pictures")).unwrap();
    assert_eq!(files.count(), 0);
    server.stop().await;
}

#[tokio::test]
async fn c23a_a_websocket_from_a_foreign_page_is_refused() {
    let server = Server::start().await;
    let headers = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("origin", "http://evil.example"),
    ];
    send(&server, "GET", "/api/v1/devices", &headers).await.problem(403, "foreign");
    server.stop().await;
}
