//! `POST /api/v1/actions/{name}`: actions by their first word, as over MQTT.

use serde_json::json;

use crate::harness::{Answer, Manner, Server};

async fn say(server: &Server, action: &str, words: &'static str) -> Answer {
    let url = server.url(&format!("/api/v1/actions/{action}"));
    server.send(server.client.post(url).body(words)).await
}

#[tokio::test]
async fn an_action_that_commands_devices_answers_as_its_own_route_does() {
    let server = Server::start().await;
    let front = server.lock("front-door", Manner::Obeys).await;
    let back = server.lock("back-door", Manner::Obeys).await;
    say(&server, "unlock", "front-door").await.devices(200);
    assert_eq!((front.count("unlock"), back.count("unlock")), (1, 0));
    assert_eq!(say(&server, "lock", "").await.devices(200).len(), 2);
    let body = json!({ "kind": "lock" });
    assert_eq!(server.post_json("/api/v1/actions/lock", &body).await.devices(200).len(), 2);
    say(&server, "unlock", "nosuch").await.problem(404, "not-found");
    say(&server, "unlock", "one two three").await.problem(422, "invalid");
    server.stop().await;
}

#[tokio::test]
async fn a_slow_device_is_waited_for_no_longer_than_the_app_wants() {
    let server = Server::start().await;
    let _door = server.lock("front-door", Manner::Silent).await;
    let answer = say(&server, "unlock?wait=0", "front-door").await;
    answer.devices(202);
    assert!(answer.header("location").starts_with("/api/v1/commands/"));
    server.stop().await;
}

#[tokio::test]
async fn an_action_that_commands_none_says_what_it_says() {
    let server = Server::start().await;
    let _door = server.lock("front-door", Manner::Obeys).await;
    let answer = say(&server, "report", "").await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "text": "asked 1 of 1" })));
    server.stop().await;
}

#[tokio::test]
async fn what_is_for_devices_alone_is_not_for_apps() {
    let server = Server::start().await;
    let _door = server.lock("front-door", Manner::Obeys).await;
    for action in ["hand_shake", "state", "ack", "find_stranger"] {
        let detail = say(&server, action, "locked").await.problem(403, "not-allowed");
        assert_eq!(detail, format!("an app may not `{action}`"));
    }
    for unknown in ["nosuch", "Lock", "ok", "%00"] {
        say(&server, unknown, "").await.problem(404, "not-found");
    }
    server.get("/api/v1/actions/lock").await.problem(405, "wrong-method");
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_is_neither_words_nor_an_object_is_refused() {
    let server = Server::start().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    let url = server.url("/api/v1/actions/lock");
    let post = |media_type: &'static str, body: &'static [u8]| {
        let request = server.client.post(&url).header("content-type", media_type);
        server.send(request.body(body))
    };
    post("application/json", b"[]").await.problem(422, "invalid");
    post("application/json", b"lock").await.problem(400, "malformed");
    post("application/json", b"{\"device\": \"front-door\"").await.problem(400, "malformed");
    post("text/plain", b"{\"door\": 1}").await.problem(422, "invalid");
    post("text/plain", b"\xff").await.problem(400, "malformed");
    post("image/png", b"front-door").await.problem(415, "wrong-type");
    assert_eq!(door.told(), [""; 0]);
    post("application/json", b"").await.devices(200);
    server.stop().await;
}

#[tokio::test]
async fn the_same_key_acts_once() {
    let server = Server::start().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    let post = |action: &str, words: &'static str| {
        let url = server.url(&format!("/api/v1/actions/{action}"));
        server.send(server.client.post(url).header("idempotency-key", "k1").body(words))
    };
    let first = post("unlock", "front-door").await;
    let again = post("unlock", "front-door").await;
    assert_eq!((first.status, &first.body), (200, &again.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    // Another action, or other words, is another request.
    post("lock", "front-door").await.problem(422, "key-reused");
    post("unlock", "").await.problem(422, "key-reused");
    assert_eq!((door.count("unlock"), door.count("lock")), (1, 0));
    server.stop().await;
}
