//! `POST /test`.

use serde_json::json;

use crate::harness::{Answer, Manner, Server};

async fn post(server: &Server, body: &'static str, media_type: Option<&str>) -> Answer {
    let mut request = server.client.post(server.url("/test")).body(body);
    if let Some(media_type) = media_type {
        request = request.header("content-type", media_type);
    }
    server.send(request).await
}

#[tokio::test]
async fn json_says_what_and_to_which_device() {
    let server = Server::start().await;
    let front = server.lock("front-door", Manner::Obeys).await;
    let back = server.lock("back-door", Manner::Obeys).await;
    let body = json!({ "action": "unlock", "device": "front-door" });
    assert_eq!(server.post_json("/test", &body).await.devices(200).len(), 1);
    assert_eq!((front.count("unlock"), back.count("unlock")), (1, 0));
    assert_eq!(server.post_json("/test", &json!({ "action": "lock" })).await.devices(200).len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn the_plain_word_does_too_in_whatever_type_curl_sends_it() {
    let server = Server::start().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    for media_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        post(&server, "lock", media_type).await.devices(200);
        post(&server, "unlock front-door\n", media_type).await.devices(200);
        post(&server, r#"{"action": "lock"}"#, media_type).await.devices(200);
    }
    assert_eq!((door.count("lock"), door.count("unlock")), (6, 3));
    server.stop().await;
}

#[tokio::test]
async fn anything_else_is_refused_by_name() {
    let server = Server::start().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    for (body, says) in [
        ("toggle", "`lock` or `unlock`"),
        ("", "`lock` or `unlock`"),
        ("lock front-door now", "`lock` or `unlock`"),
        ("lock Front-Door", "device"),
        (r#"{"action": "toggle"}"#, "action"),
        (r#"{"action": "lock", "devcie": "x"}"#, "devcie"),
        (r#"{"device": "front-door"}"#, "action"),
        (r#"{"action": "lock", "device": "A"}"#, "device"),
    ] {
        let detail = post(&server, body, None).await.problem(422, "invalid");
        assert!(detail.contains(says), "{body}: {detail}");
    }
    post(&server, r#"{"action": "#, None).await.problem(400, "malformed");
    post(&server, "lock", Some("application/xml")).await.problem(415, "wrong-type");
    assert_eq!(door.told(), [""; 0]);
    server.stop().await;
}
