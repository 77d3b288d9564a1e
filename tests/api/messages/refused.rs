//! What the gateway does not send, and to whom it does not tell what it sent.

use serde_json::{Value, json};

use super::reader::open_house;
use crate::harness::{Manner, Server};

fn to(topic: &str) -> Value {
    json!({ "topic": topic, "payload": "unlock" })
}

#[tokio::test]
async fn c1_no_message_goes_to_a_device_or_where_the_server_speaks_or_listens() {
    let settings = json!({
        "messages": { "topics": ["#"], "imei_prefix": "latchlight/devices/" },
        "mqtt": { "topics": ["yard/#"] },
        "devices": { "back": { "topics": { "up": "back/says", "down": "back/hears" } } },
    });
    let server = Server::start_with(settings).await;
    let door = server.lock("front", Manner::Obeys).await;
    for topic in [
        "latchlight/devices/front/down",
        "latchlight/devices/front/up",
        "latchlight/devices/front/state",
        "latchlight/devices/front/online",
        "latchlight/devices/nobody/down",
        "latchlight/apps/owner/up",
        "latchlight/apps/owner/down",
        "latchlight/alerts/stranger",
        "latchlight/server/online",
        "latchlight/join/new/up",
        "yard/gate",
        "back/says",
        "back/hears",
    ] {
        let answer = server.post_json("/messaging/send", &to(topic)).await;
        answer.problem(403, "not-allowed");
    }
    for (imei, status) in [("front/down", 422), ("front", 403)] {
        let body = json!({ "imei": imei, "micro_op": "unlock" });
        assert_eq!(server.post_json("/messaging/send", &body).await.status, status, "{imei}");
    }
    assert_eq!(door.count("unlock"), 0);
    crate::harness::until("the refusals on record", async || {
        let events = server.get("/api/v1/events?result=refused").await.json();
        let events = events["events"].as_array().unwrap().clone();
        events.iter().any(|event| event["action"] == "POST /messaging/send").then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn c1_a_topic_that_a_device_has_come_to_listen_on_is_refused_from_then_on() {
    let server = Server::start_with(json!({ "messages": { "topics": ["yard/#"] } })).await;
    let free = server.post_json("/messaging/send", &to("yard/front/down")).await;
    assert_eq!(free.status, 201, "it is nobody's yet");
    let door = server.lock("front", Manner::Obeys).await;
    door.say(r#"hand_shake lock {"base": "yard/front"}"#).await;
    crate::harness::until("the base to be the device's", async || {
        let answer = server.post_json("/messaging/send", &to("yard/front/down")).await;
        (answer.status == 403).then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn what_the_settings_do_not_allow_is_403_and_what_cannot_be_422() {
    let server = Server::start_with(json!({ "messages": { "max_bytes": 10 } })).await;
    for topic in ["weather", "messagesx", "message/x"] {
        let answer = server.post_json("/messaging/send", &to(topic)).await;
        answer.problem(403, "not-allowed");
    }
    let long = format!("messages/{}", "x".repeat(1016));
    assert_eq!(server.post_json("/messaging/send", &to(&long[..1024])).await.status, 201);
    for topic in [
        "",
        "messages/#",
        "messages/+/x",
        "messages/\0",
        "$SYS/broker",
        "$share/a/messages/x",
        &long,
    ] {
        let answer = server.post_json("/messaging/send", &to(topic)).await;
        answer.problem(422, "invalid");
    }
    for body in [
        json!({ "topic": "messages/x", "payload": "12345678901" }),
        json!({ "topic": "messages/x", "payload_base64": "not base64" }),
        json!({ "topic": "messages/x" }),
        json!({ "topic": "messages/x", "payload": "x", "payload_base64": "" }),
        json!({ "topic": "messages/x", "imei": "1", "payload": "x" }),
        json!({ "payload": "x" }),
        json!({ "imei": "", "micro_op": "x" }),
        json!({ "imei": "1/2", "micro_op": "x" }),
        json!({ "imei": "+", "micro_op": "x" }),
        json!({ "topic": "messages/x", "payload": "x", "qos": 3 }),
        json!({ "topic": "messages/x", "payload": "x", "qos": -1 }),
        json!({ "topic": "messages/x", "payload": "x", "expires_in": 0 }),
        json!({ "topic": "messages/x", "payload": "x", "properties": { "message-id": "1" } }),
        json!({ "topic": "messages/x", "payload": "x", "properties": { "a": "\0" } }),
        json!({ "topic": "messages/x", "payload": "x", "properties": { "a": 1 } }),
        json!({ "topic": "messages/x", "payload": "x", "role": "owner" }),
        json!({ "topic": "messages/x", "payload": "x", "micro_op": "y" }),
        json!({ "topic": "messages/x", "payload": null }),
        json!({ "topic": "messages/x", "payload": "x", "qos": "1" }),
        json!({ "topic": "messages/x", "payload": "x", "expires_in": 31_622_401 }),
        json!({ "topic": "messages/x", "payload": "x", "expires_in": 1e20 }),
        json!({ "topic": "messages/a\nb", "payload": "x" }),
        json!({ "topic": "messages/\u{85}", "payload": "x" }),
        json!({ "topic": "messages/\u{FFFE}", "payload": "x" }),
        json!({ "topic": "messages/x", "payload": "x", "properties": { "a": "\n" } }),
        json!({ "topic": "messages/x", "payload": "x", "properties": { "\u{FDD0}": "a" } }),
        json!({ "topic": "messages/x", "payload": "x", "content_type": "text\r\n" }),
    ] {
        let answer = server.post_json("/messaging/send", &body).await;
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
    }
    for (body, why) in [
        (json!({ "payload": "x" }), "there is no topic and no imei: one of them is needed"),
        (json!({ "topic": "messages/x", "qos": 1.5 }), "qos: it is 0, 1 or 2"),
        (json!({ "imei": -1 }), "imei: it is a text, or a whole number that is not negative"),
        (json!({ "expires_in": 0 }), "expires_in: it is 1 to 31622400 seconds, which is a year"),
    ] {
        let answer = server.post_json("/messaging/send", &body).await;
        assert_eq!(answer.problem(422, "invalid"), why);
    }
    let request = server.client.post(server.url("/messaging/send")).body("lock front");
    server.send(request).await.problem(415, "wrong-type");
    let big = json!({ "topic": "messages/x", "payload": "x".repeat(70_000) });
    server.post_json("/messaging/send", &big).await.problem(413, "too-large");
    server.stop().await;
}

#[tokio::test]
async fn c19_who_may_send_sees_their_own_messages_and_no_others() {
    let server = Server::start_with(open_house()).await;
    let password = "a word for the member";
    let mia = json!({ "name": "mia", "role": "member", "password": password });
    assert_eq!(server.post_json("/api/v1/users", &mia).await.status, 201);
    let token = server.sign_in_as("mia", password).await["access_token"].clone();
    let token = token.as_str().unwrap();
    let others = server.post_json("/messaging/send", &to("messages/owner")).await.json();
    let request = server.stranger.post(server.url("/messaging/send")).bearer_auth(token);
    let own = server.send(request.json(&to("messages/mia"))).await.json();
    let listed = server.get_as(token, "/api/v1/messages?count=true").await.json();
    assert_eq!((&listed["messages"][0]["id"], &listed["total"]), (&own["id"], &json!(1)));
    assert_eq!(listed["messages"].as_array().unwrap().len(), 1);
    let all = server.get_as(token, "/reporting/all").await.json();
    assert_eq!(all.as_array().unwrap().len(), 1);
    for (message, status) in [(&own, 200), (&others, 404)] {
        let link = message["link"].as_str().unwrap();
        assert_eq!(server.get_as(token, link).await.status, status);
        assert_eq!(server.get(link).await.status, 200);
    }
    let listed = server.get("/api/v1/messages?count=true").await.json();
    assert_eq!(listed["total"], 2);
    server.stop().await;
}
