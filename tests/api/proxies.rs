//! Behind a proxy that the settings trust, the client is who the proxy says;
//! all else is what a stranger says.

use serde_json::{Value, json};

use crate::harness::{Answer, Server, raw_request, raw_response, until};

async fn sign_in(server: &Server, password: &str, headers: &[(&str, &str)]) -> Answer {
    let form = [("grant_type", "password"), ("username", "owner"), ("password", password)];
    let mut request = server.stranger.post(server.url("/oauth/token")).form(&form);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.send(request).await
}

async fn addresses_on_record(server: &Server) -> Vec<Value> {
    let events = server.get("/api/v1/events?kind=sign_in&limit=100").await.json();
    let events = events["events"].as_array().unwrap().clone();
    events.into_iter().map(|event| event["address"].clone()).collect()
}

#[tokio::test]
async fn c17_a_trusted_proxys_clients_are_throttled_and_recorded_each_for_itself() {
    let trusted = json!({ "http": { "trusted_proxies": ["127.0.0.1", "10.0.0.0/8"] } });
    let server = Server::start_with(trusted).await;
    for (header, of) in [
        ("x-forwarded-for", "1.1.1.1, 192.0.2.7, 10.0.0.3"),
        ("forwarded", "for=1.1.1.1, for=192.0.2.7;proto=https, for=10.0.0.3"),
    ] {
        let mut last = 0;
        for _ in 0..8 {
            last = sign_in(&server, "a wrong password", &[(header, of)]).await.status;
        }
        assert!(last == 400 || last == 429);
    }
    assert_eq!(
        sign_in(&server, "a wrong password", &[("x-forwarded-for", "192.0.2.7")]).await.status,
        429
    );
    assert_eq!(
        sign_in(&server, "a wrong password", &[("x-forwarded-for", "192.0.2.8")]).await.status,
        400
    );
    until("the refusals on record", async || {
        let seen = addresses_on_record(&server).await;
        let both = ["192.0.2.7", "192.0.2.8"].iter().all(|at| seen.contains(&json!(at)));
        (both && !seen.contains(&json!("1.1.1.1"))).then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn c17_what_a_stranger_says_of_where_they_come_from_is_not_believed() {
    for trusted in [json!([]), json!(["192.0.2.0/24", "::1"])] {
        let server = Server::start_with(json!({ "http": { "trusted_proxies": trusted } })).await;
        let mut last = 0;
        for n in 0..12 {
            let from = format!("198.51.100.{n}");
            let says = [
                ("x-forwarded-for", &*from),
                ("forwarded", "for=203.0.113.9;proto=https"),
                ("x-forwarded-proto", "https"),
                ("x-real-ip", &*from),
            ];
            last = sign_in(&server, "a wrong password", &says).await.status;
        }
        assert_eq!(last, 429);
        let seen = until("the refusals on record", async || {
            Some(addresses_on_record(&server).await).filter(|seen| seen.len() > 1)
        });
        assert!(seen.await.iter().all(|address| address == "127.0.0.1"));
        server.stop().await;
    }
}

#[tokio::test]
async fn over_a_proxys_tls_cookies_and_browsers_keep_to_tls() {
    let settings = json!({
        "trusted_proxies": ["127.0.0.1"], "public_url": "https://home.example",
    });
    let server = Server::start_with(json!({ "http": settings })).await;
    let form = [
        ("grant_type", "password"),
        ("username", "owner"),
        ("password", crate::harness::PASSWORD),
        ("refresh_token_in", "cookie"),
    ];
    for (proto, secure) in [("https", true), ("http", false)] {
        let request = server.stranger.post(server.url("/oauth/token")).form(&form);
        let request = request.header("x-forwarded-for", "192.0.2.7");
        let answer = server.send(request.header("x-forwarded-proto", proto)).await;
        assert_eq!(answer.header("set-cookie").contains("; Secure"), secure, "{answer:?}");
        assert_eq!(answer.headers.contains_key("strict-transport-security"), secure);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_proxy_that_passes_on_what_clients_say_of_themselves_is_told_so() {
    let settings = json!({ "http": { "trusted_proxies": "127.0.0.1" } });
    let server = Server::start_with(settings).await;
    let request = server.client.get(server.url("/api/v1/me"));
    let request =
        request.header("forwarded", "for=10.0.0.1").header("x-forwarded-for", "192.0.2.7");
    let said = server.send(request).await.problem(400, "malformed");
    assert!(said.contains("the proxy must take away"), "{said}");
    server.stop().await;
}

#[tokio::test]
async fn c15_whoever_connects_too_fast_through_a_trusted_proxy_locks_nobody_out_behind_it() {
    let limits = json!({ "accept_rate_per_address": 1, "loopback": true });
    let server = Server::start_with(json!({
        "http": { "trusted_proxies": ["127.0.0.1"] }, "limits": limits,
    }))
    .await;
    for _ in 0..50 {
        let request = "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let answer = raw_response(raw_request(&server, request).await).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    server.stop().await;
}
