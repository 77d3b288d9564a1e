//! `GET /api/v1/messages`.

use serde_json::{Value, json};

use crate::harness::Server;

/// The payloads of a page.
fn payloads(page: &Value) -> Vec<&str> {
    let messages = page["messages"].as_array().unwrap_or_else(|| panic!("{page}"));
    messages.iter().map(|message| message["payload"].as_str().unwrap()).collect()
}

async fn send(server: &Server, topics: &[&str]) {
    for (n, topic) in topics.iter().enumerate() {
        let body = json!({ "topic": format!("messages/{topic}"), "payload": n });
        assert_eq!(server.post_json("/messaging/send", &body).await.status, 201);
    }
}

#[tokio::test]
async fn filters_find_what_they_name_newest_first() {
    let server = Server::start().await;
    send(&server, &["a", "a/b", "a/b/c", "A/b", "a_b", "axb", "x/b", "a//b"]).await;
    for (filter, found) in [
        ("", vec!["7", "6", "5", "4", "3", "2", "1", "0"]),
        ("topic=messages/a/b", vec!["1"]),
        ("topic=messages/a/%23", vec!["7", "2", "1", "0"]),
        ("topic=messages/%2B/b", vec!["6", "3", "1"]),
        ("topic=%2B/a/%2B/%2B", vec!["7", "2"]),
        ("topic=messages/a_b", vec!["4"]),
        ("topic=%23", vec!["7", "6", "5", "4", "3", "2", "1", "0"]),
        ("topic=%2B/a_b/%23", vec!["4"]),
        ("topic=nothing/%23", vec![]),
        ("device=axb", vec!["5"]),
        ("device=axb&topic=messages/%23", vec!["5"]),
        ("device=axb&topic=messages/a/%23", vec![]),
        ("direction=sent&topic=messages/a/%23&state=sent", vec!["7", "2", "1", "0"]),
        ("direction=received", vec![]),
        ("direction=received&state=sent", vec![]),
        ("state=failed", vec![]),
        ("state=sent&limit=2", vec!["7", "6"]),
        ("from=2020-01-01&to=2021-01-01", vec![]),
        ("from=2020-01-01&to=2100-01-01&limit=1", vec!["7"]),
    ] {
        let page = server.get(&format!("/api/v1/messages?count=true&{filter}")).await;
        assert_eq!(page.status, 200, "{filter}: {page:?}");
        let page = page.json();
        assert_eq!(payloads(&page), found, "{filter}");
        if !filter.contains("limit") {
            assert_eq!(page["total"], found.len(), "{filter}");
            assert_eq!(
                (&page["total_is_exact"], &page["next_cursor"]),
                (&json!(true), &Value::Null)
            );
        }
    }
    for bad in
        ["topic=a/%23/b", "topic=", "state=lost", "direction=up", "cursor=1", "limit=0", "x=1"]
    {
        let answer = server.get(&format!("/api/v1/messages?{bad}")).await;
        answer.problem(400, "malformed");
    }
    for none in ["0000000000000000", "x"] {
        server.get(&format!("/api/v1/messages/{none}")).await.problem(404, "not-found");
    }
    server.stop().await;
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap_whatever_comes_meanwhile() {
    let server = Server::start().await;
    let topics: Vec<String> = (0..30).map(|n| format!("{}/{n}", n % 3)).collect();
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    send(&server, &topics).await;
    for (filter, expected) in [
        ("limit=7", (0..30).rev().collect::<Vec<_>>()),
        ("limit=4&topic=messages/1/%23", (0..30).rev().filter(|n| n % 3 == 1).collect()),
        ("limit=4&topic=%2B/2/%2B&state=sent", (0..30).rev().filter(|n| n % 3 == 2).collect()),
    ] {
        let mut seen: Vec<usize> = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = server.get(&format!("/api/v1/messages?{filter}{cursor}")).await.json();
            seen.extend(payloads(&page).iter().map(|payload| payload.parse::<usize>().unwrap()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
            let body = json!({ "topic": "messages/other", "payload": 99 });
            assert_eq!(server.post_json("/messaging/send", &body).await.status, 201);
        }
        seen.retain(|n| *n != 99);
        assert_eq!(seen, expected, "{filter}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_was_sent_is_still_known_after_a_restart() {
    let server = Server::start().await;
    send(&server, &["x"]).await;
    let before = server.get("/api/v1/messages").await.json();
    let server = Server::start_in(server.stop_and_keep().await).await;
    assert_eq!(server.get("/api/v1/messages").await.json(), before);
    send(&server, &["x"]).await;
    let after = server.get("/api/v1/messages").await.json();
    assert!(after["messages"][0]["id"].as_str() > before["messages"][0]["id"].as_str());
    server.stop().await;
}

#[tokio::test]
async fn a_page_of_large_messages_ends_early_and_goes_on() {
    let settings = json!({ "messages": { "max_bytes": 1_000_000 } });
    let server = Server::start_with(settings).await;
    for batch in 0..5 {
        let messages: Vec<_> = (8 * batch..8 * batch + 8)
            .map(|n| format!("{n} {}", "x".repeat(900_000)))
            .map(|payload| json!({ "topic": "messages/x", "qos": 0, "payload": payload }))
            .collect();
        let batch = json!({ "messages": messages });
        assert_eq!(server.post_json("/messaging/send/batch", &batch).await.status, 201);
    }
    for filter in ["", "&topic=messages/%2B", "&state=sent"] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = server.get(&format!("/api/v1/messages?limit=1000{filter}{cursor}")).await;
            let page = page.json();
            let payloads = payloads(&page);
            assert!(payloads.len() < 40, "{filter}: all of it at once");
            found.extend(payloads.iter().map(|p| p.split(' ').next().unwrap().to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let all: Vec<_> = (0..40).rev().map(|n| n.to_string()).collect();
        assert_eq!(found, all, "{filter}");
    }
    server.stop().await;
}

#[tokio::test]
async fn of_too_many_the_oldest_go() {
    let settings = json!({ "messages": { "keep": 1000 } });
    let server = Server::start_with(settings).await;
    for batch in 0..2 {
        let messages: Vec<_> = (700 * batch..700 * batch + 700)
            .map(|n| json!({ "topic": "messages/x", "qos": 0, "payload": n }))
            .collect();
        let batch = json!({ "messages": messages });
        assert_eq!(server.post_json("/messaging/send/batch", &batch).await.status, 201);
    }
    // It is looked at when the server starts.
    let server = Server::start_in(server.stop_and_keep().await).await;
    crate::harness::until("the oldest to be gone", async || {
        let page = server.get("/api/v1/messages?count=true&limit=1").await.json();
        (page["total"] == 1000).then_some(())
    })
    .await;
    let export = server.get("/api/v1/messages/export?format=ndjson").await;
    let first = String::from_utf8_lossy(&export.body).lines().next().unwrap().to_owned();
    let first: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(first["payload"], "400");
    server.stop().await;
}
