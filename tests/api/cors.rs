//! Pages of origins that the settings list, and of those that they don't.

use serde_json::json;

use crate::harness::{Answer, Manner, Server};

const APP: &str = "https://app.example";

async fn server() -> Server {
    let origins = json!([APP, "http://localhost:3000"]);
    Server::start_with(json!({ "http": { "cors_origins": origins } })).await
}

async fn send(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = server.client.request(method.parse().unwrap(), server.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.send(request).await
}

fn allowed(answer: &Answer) -> Option<&str> {
    let allowed = answer.headers.get("access-control-allow-origin");
    allowed.map(|origin| origin.to_str().unwrap())
}

#[tokio::test]
async fn a_listed_page_may_ask_and_operate_and_read_what_went_wrong() {
    let server = server().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    for origin in [APP, "http://localhost:3000"] {
        let wish = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type,idempotency-key"),
            ("sec-fetch-site", "cross-site"),
        ];
        let preflight = send(&server, "OPTIONS", "/unlock", &wish).await;
        assert_eq!(preflight.status, 200, "{preflight:?}");
        assert_eq!(allowed(&preflight), Some(origin));
        assert!(preflight.header("access-control-allow-methods").contains("POST"));
        assert!(preflight.header("access-control-allow-headers").contains("authorization"));
        assert!(preflight.headers.get("access-control-allow-credentials").is_none());

        let from = [("origin", origin), ("sec-fetch-site", "cross-site")];
        let answer = send(&server, "POST", "/unlock?device=front-door&wait=10", &from).await;
        assert_eq!((answer.status, allowed(&answer)), (200, Some(origin)), "{answer:?}");
        assert!(answer.header("vary").to_lowercase().contains("origin"));
        let answer = send(&server, "GET", "/api/v1/devices", &from).await;
        assert_eq!((answer.status, allowed(&answer)), (200, Some(origin)));
        let answer = send(&server, "GET", "/api/v1/devices/none", &from).await;
        assert_eq!((answer.status, allowed(&answer)), (404, Some(origin)), "{answer:?}");
    }
    assert_eq!(door.count("unlock"), 2);
    server.stop().await;
}

#[tokio::test]
async fn c23a_a_page_that_is_not_listed_is_told_nothing_and_changes_nothing() {
    let server = server().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    for origin in [
        "null",
        "*",
        "https://evil.example",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "https://evil.example/https://app.example",
        "https://sub.app.example",
        "http://localhost",
        "http://localhost:3001",
        "https://localhost:3000",
        "https://app.example, https://evil.example",
    ] {
        let wish = [("origin", origin), ("access-control-request-method", "POST")];
        let preflight = send(&server, "OPTIONS", "/unlock", &wish).await;
        preflight.problem(403, "foreign");
        assert_eq!(allowed(&preflight), None, "{origin}");
        let answer = send(&server, "POST", "/unlock", &[("origin", origin)]).await;
        answer.problem(403, "foreign");
        assert_eq!(allowed(&answer), None, "{origin}");
        let answer = send(&server, "GET", "/api/v1/devices", &[("origin", origin)]).await;
        assert_eq!((answer.status, allowed(&answer)), (200, None), "{origin}");
    }
    assert_eq!(door.told(), [""; 0]);
    server.stop().await;
}

#[tokio::test]
async fn c23a_a_listed_page_does_not_come_under_a_foreign_name() {
    let server = server().await;
    for headers in [
        &[("host", "evil.example"), ("origin", APP)][..],
        &[("host", "evil.example"), ("origin", APP), ("access-control-request-method", "POST")],
    ] {
        for method in ["GET", "POST", "OPTIONS"] {
            send(&server, method, "/unlock", headers).await.problem(403, "foreign");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn c23a_a_listed_page_uses_no_sign_in_of_the_board() {
    let server = server().await;
    let form = [("grant_type", "refresh_token"), ("refresh_token_in", "cookie")];
    for (path, status) in [("/oauth/token", 400), ("/oauth/revoke", 400)] {
        let request = server.stranger.post(server.url(path)).form(&form);
        let request = request.header("origin", APP).header("cookie", "latchlight_refresh=llr_x_y");
        let answer = server.send(request).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.json()["error"], "invalid_request", "{answer:?}");
        assert!(answer.headers.get("set-cookie").is_none());
    }
    // With a password it signs in as any app does.
    let form =
        [("grant_type", "password"), ("username", "owner"), ("password", crate::harness::PASSWORD)];
    let request = server.stranger.post(server.url("/oauth/token")).form(&form);
    let answer = server.send(request.header("origin", APP)).await;
    assert_eq!((answer.status, allowed(&answer)), (200, Some(APP)));
    server.stop().await;
}
