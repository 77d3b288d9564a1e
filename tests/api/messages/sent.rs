//! `POST /messaging/send`.

use latchlight_mqtt::QoS;
use serde_json::{Value, json};

use super::reader::{Reader, id_of, open_house};
use crate::harness::{Server, until};

#[tokio::test]
async fn a_message_reaches_who_listens_with_all_that_was_said_of_it() {
    let server = Server::start_with(open_house()).await;
    let mut reader = Reader::of(&server, "messages/#").await;
    let body = json!({
        "topic": "messages/garden/gate", "payload": "open sesame", "qos": 2,
        "content_type": "text/plain", "expires_in": 60, "properties": { "who": "ada" },
    });
    let answer = server.post_json("/messaging/send", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let sent = answer.json();
    assert_eq!(sent["detail"], "Send `open sesame` to topic `messages/garden/gate`");
    assert_eq!((&sent["state"], &sent["topic"]), (&json!("sent"), &body["topic"]));
    let id = sent["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/api/v1/messages/{id}"));
    let heard = reader.hears().await;
    assert_eq!((&*heard.topic, &*heard.payload), ("messages/garden/gate", &b"open sesame"[..]));
    assert_eq!((heard.qos, heard.retain), (QoS::ExactlyOnce, false));
    assert_eq!(id_of(&heard), id);
    assert_eq!(heard.properties.content_type.as_deref(), Some("text/plain"));
    assert!(heard.properties.message_expiry_interval.is_some_and(|s| (1..=60).contains(&s)));
    let who = heard.properties.user_properties.iter().find(|(name, _)| &**name == "who");
    assert_eq!(&*who.unwrap().1, "ada");

    let kept = server.get(&format!("/api/v1/messages/{id}")).await.json();
    for (key, value) in [
        ("direction", json!("sent")),
        ("state", json!("sent")),
        ("payload", json!("open sesame")),
        ("qos", json!(2)),
        ("content_type", json!("text/plain")),
        ("properties", json!({ "who": "ada" })),
        ("sender", json!("app:owner")),
        ("device", Value::Null),
        ("detail", Value::Null),
    ] {
        assert_eq!(kept[key], value, "{kept}");
    }
    assert!(kept["ended_at"].is_string() && kept["expires_at"].is_string(), "{kept}");
    server.stop().await;
}

#[tokio::test]
async fn the_older_services_body_goes_to_the_imeis_topic_and_is_reported() {
    let settings = json!({ "messages": { "imei_prefix": "micro/", "topics": ["micro/+"] } });
    let server = Server::start_with(settings).await;
    let first = json!({ "imei": "860000000000001", "micro_op": "relay 1 on" });
    let answer = server.post_json("/messaging/send", &first).await;
    assert_eq!(answer.status, 201);
    let detail = "Send `relay 1 on` to topic `micro/860000000000001`";
    assert_eq!(answer.json()["detail"], detail);
    let second = json!({ "imei": 860_000_000_000_002_u64, "micro_op": { "relay": [1, 2] } });
    assert_eq!(server.post_json("/messaging/send", &second).await.status, 201);
    let all = server.get("/reporting/all").await;
    let reports = json!([
        { "imei": "860000000000002", "micro_op": "{\"relay\":[1,2]}" },
        { "imei": "860000000000001", "micro_op": "relay 1 on" },
    ]);
    assert_eq!((all.status, all.json()), (200, reports.clone()));
    assert!(all.headers.get("link").is_none(), "there is no more");
    let newest = server.get("/reporting/all?limit=1").await;
    assert_eq!(newest.json(), json!([reports[0]]));
    let link = newest.header("link");
    let next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    assert_eq!(server.get(next).await.json(), json!([reports[1]]));
    let path = "/api/v1/messages?device=860000000000001";
    assert_eq!(server.get(path).await.json()["messages"].as_array().unwrap().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_payload_is_text_or_json_as_it_was_written_or_bytes() {
    let server = Server::start_with(open_house()).await;
    let mut reader = Reader::of(&server, "messages/x").await;
    for (payload, heard, kept) in [
        (json!({ "payload": "" }), &b""[..], json!({ "payload": "" })),
        (json!({ "payload": "ü" }), "ü".as_bytes(), json!({ "payload": "ü" })),
        (json!({ "payload": 1.50 }), b"1.5", json!({ "payload": "1.5" })),
        (json!({ "payload": [true, null] }), b"[true,null]", json!({ "payload": "[true,null]" })),
        (json!({ "payload_base64": "AP8=" }), b"\x00\xff", json!({ "payload_base64": "AP8=" })),
        (json!({ "payload_base64": "aGk=" }), b"hi", json!({ "payload": "hi" })),
        (json!({ "payload": "a\u{0}" }), b"a\0", json!({ "payload_base64": "YQA=" })),
    ] {
        let mut body = payload.clone();
        body["topic"] = "messages/x".into();
        let sent = server.post_json("/messaging/send", &body).await;
        assert_eq!(sent.status, 201, "{body}: {sent:?}");
        assert_eq!(&*reader.hears().await.payload, heard, "{body}");
        let id = sent.json()["id"].as_str().unwrap().to_owned();
        let message = server.get(&format!("/api/v1/messages/{id}")).await.json();
        for key in ["payload", "payload_base64"] {
            assert_eq!(message.get(key), kept.get(key), "{message}");
        }
    }
    // JSON goes out as it was written, not as it was understood.
    let body = r#"{"topic":"messages/x","payload":{"b":1.0, "a":1}}"#;
    let request = server.client.post(server.url("/messaging/send")).body(body);
    let request = request.header("content-type", "application/json");
    assert_eq!(server.send(request).await.status, 201);
    assert_eq!(&*reader.hears().await.payload, br#"{"b":1.0, "a":1}"#);
    server.stop().await;
}

#[tokio::test]
async fn what_is_retained_is_there_for_who_comes_later() {
    let server = Server::start_with(open_house()).await;
    let body = json!({ "topic": "messages/sign", "payload": "closed", "retain": true });
    assert_eq!(server.post_json("/messaging/send", &body).await.status, 201);
    let mut reader = Reader::of(&server, "messages/sign").await;
    let heard = reader.hears().await;
    assert_eq!((&*heard.payload, heard.retain), (&b"closed"[..], true));
    server.stop().await;
}

#[tokio::test]
async fn the_same_key_sends_once_and_another_body_is_refused() {
    let server = Server::start_with(open_house()).await;
    let mut reader = Reader::of(&server, "messages/#").await;
    let post = async |payload: &str| {
        let body = json!({ "topic": "messages/once", "payload": payload });
        let request = server.client.post(server.url("/messaging/send")).json(&body);
        server.send(request.header("idempotency-key", "k1")).await
    };
    let (first, again) = (post("a").await, post("a").await);
    assert_eq!((first.status, &first.body), (201, &again.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.header("location"), first.header("location"));
    post("b").await.problem(422, "key-reused");
    let body = json!({ "topic": "messages/after", "payload": "x" });
    assert_eq!(server.post_json("/messaging/send", &body).await.status, 201);
    assert_eq!(&*reader.hears().await.topic, "messages/once");
    assert_eq!(&*reader.hears().await.topic, "messages/after");
    server.stop().await;
}

#[tokio::test]
async fn while_the_broker_is_away_a_message_is_406_or_waits_if_it_is_told_to() {
    let settings =
        json!({ "mqtt": { "broker": "mqtt://127.0.0.1:1" }, "messages": { "outbox": 2 } });
    let server = Server::start_with(settings).await;
    let mut body = json!({ "topic": "messages/x", "payload": "now or never" });
    let answer = server.post_json("/messaging/send", &body).await;
    assert_eq!(answer.problem(406, "not-sent"), "the broker cannot be reached");
    let problem = answer.json();
    assert_eq!(problem["title"], "Something went wrong");
    let failed = server.get(&format!("/api/v1/messages/{}", problem["id"].as_str().unwrap())).await;
    assert_eq!(failed.json()["state"], "failed");
    body["queue"] = true.into();
    let waits = server.post_json("/messaging/send", &body).await;
    assert_eq!((waits.status, &waits.json()["state"]), (202, &json!("waiting")));
    let link = waits.header("location").to_owned();
    assert_eq!(server.get(&link).await.json()["state"], "waiting");
    body["expires_in"] = 1.into();
    let over = server.post_json("/messaging/send", &body).await.header("location").to_owned();
    // There are two places, and both are taken.
    server.post_json("/messaging/send", &body).await.problem(503, "busy");
    until("the message to expire", async || {
        (server.get(&over).await.json()["state"] == "expired").then_some(())
    })
    .await;
    assert_eq!(server.post_json("/messaging/send", &body).await.status, 202, "a place is free");
    let metrics = String::from_utf8(server.get("/metrics").await.body.to_vec()).unwrap();
    for line in [
        "latchlight_gateway_messages_total{state=\"failed\"} 1",
        "latchlight_gateway_messages_total{state=\"expired\"} 1",
        "latchlight_gateway_messages_waiting 2",
    ] {
        assert!(metrics.lines().any(|own| own == line), "{line}: {metrics}");
    }
    server.stop().await;
}
