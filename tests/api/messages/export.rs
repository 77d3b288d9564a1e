//! `GET /api/v1/messages/export`.

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::harness::{Server, raw_request, raw_response};

const NASTY: [&str; 8] = [
    "=cmd|' /C calc'!A0",
    "+1",
    "-2+3",
    "@SUM(A1)",
    "a \"quoted\", comma; semicolon",
    "two\r\nlines\nand more",
    "ünïcödé \u{1F6AA}",
    "",
];

fn lines(ndjson: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(ndjson).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn an_export_has_every_message_whatever_stands_in_it_and_no_formula() {
    let server = Server::start().await;
    let mut bodies: Vec<Value> = NASTY
        .iter()
        .map(
            |text| json!({ "topic": "messages/=x", "payload": text, "properties": { "=a": "=b" } }),
        )
        .collect();
    bodies.push(json!({ "topic": "messages/b", "payload_base64": "AP8=" }));
    let sent = server.post_json("/messaging/send/batch", &json!({ "messages": bodies })).await;
    assert_eq!(sent.status, 201);

    let csv = server.get("/api/v1/messages/export").await;
    assert_eq!(csv.status, 200);
    assert!(csv.header("content-type").starts_with("text/csv"));
    let file = "attachment; filename=\"latchlight-messages.csv\"";
    assert_eq!(csv.header("content-disposition"), file);
    let mut reader = csv::Reader::from_reader(csv.body.as_ref());
    let names: Vec<_> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let place = |name: &str| names.iter().position(|n| n == name).unwrap();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), bodies.len());
    for (row, text) in rows.iter().zip(NASTY) {
        for cell in row {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?}");
        }
        let payload = &row[place("payload")];
        assert_eq!(payload.strip_prefix('\'').unwrap_or(payload), text);
        assert_eq!(&row[place("topic")], "messages/=x");
        assert_eq!((&row[place("state")], &row[place("direction")]), ("sent", "sent"));
        assert_eq!(&row[place("sender")], "app:owner");
    }
    let binary = rows.last().unwrap();
    assert_eq!((&binary[place("payload")], &binary[place("payload_base64")]), ("", "AP8="));

    // As the pages have them, in the other order.
    let ndjson = server.get("/api/v1/messages/export?format=ndjson").await;
    assert_eq!(ndjson.header("content-type"), "application/x-ndjson");
    let mut listed = server.get("/api/v1/messages").await.json()["messages"].take();
    listed.as_array_mut().unwrap().reverse();
    assert_eq!(json!(lines(&ndjson.body)), listed);
    let some =
        server.get("/api/v1/messages/export?format=ndjson&topic=messages/%2B&device=b").await;
    assert_eq!(lines(&some.body).len(), 1);
    for bad in ["format=xls", "topic=a/%23/b", "limit=1", "cursor=0"] {
        server.get(&format!("/api/v1/messages/export?{bad}")).await.problem(400, "malformed");
    }
    let head = server.client.head(server.url("/api/v1/messages/export"));
    let head = server.send(head).await;
    assert_eq!(head.header("content-type"), csv.header("content-type"));
    assert_eq!(head.headers.get("content-length"), None);
    // Who takes the record away is on record.
    let events = server.get("/api/v1/events?kind=record&actor=app:owner").await.json();
    let exports: Vec<_> = events["events"].as_array().unwrap().iter().collect();
    assert_eq!(exports.len(), 3, "{events}");
    let detail = exports[2]["detail"].as_str().unwrap();
    assert!(detail.starts_with("csv of messages up to "), "{detail}");
    server.stop().await;
}

/// Also where another request comes with it, and the answer is written as if to
/// that one.
#[tokio::test]
async fn head_gives_nothing_of_an_export_away() {
    let server = Server::start().await;
    for (records, column) in [("messages", "direction"), ("events", "actor")] {
        let both = format!(
            "HEAD /api/v1/{records}/export HTTP/1.1\r\nHost: localhost\r\n\r\n\
             GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        );
        let answers = raw_response(raw_request(&server, &both).await).await;
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 2, "{answers}");
        assert!(answers.starts_with("HTTP/1.1 200"), "{answers}");
        assert!(!answers.contains(column), "{answers}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_export_of_many_pages_is_whole_and_one_that_is_left_harms_nobody() {
    let server = Server::start().await;
    let large = "x".repeat(4000);
    for batch in 0..3 {
        let messages: Vec<_> = (0..800)
            .map(|n| json!({ "topic": "messages/many", "qos": 0, "payload": format!("{} {large}", 800 * batch + n) }))
            .collect();
        let sent =
            server.post_json("/messaging/send/batch", &json!({ "messages": messages })).await;
        assert_eq!(sent.status, 201);
    }
    for path in ["format=ndjson", "format=ndjson&topic=messages/%23", "format=ndjson&topic=%23"] {
        let export = server.get(&format!("/api/v1/messages/export?{path}")).await;
        let numbers = lines(&export.body).into_iter().map(|line| {
            line["payload"].as_str().unwrap().split(' ').next().unwrap().parse::<u32>().unwrap()
        });
        assert!(numbers.eq(0..2400), "{path}");
    }
    // Somebody goes away in the middle.
    let token = server.sign_in().await["access_token"].as_str().unwrap().to_owned();
    for _ in 0..10 {
        let request = server.client.get(server.url("/api/v1/messages/export")).bearer_auth(&token);
        let mut body = request.send().await.unwrap().bytes_stream();
        assert!(body.next().await.unwrap().is_ok());
    }
    assert_eq!(server.get("/api/v1/messages?limit=1").await.status, 200);
    server.stop().await;
}
