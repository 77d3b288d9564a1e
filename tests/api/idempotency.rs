//! `Idempotency-Key`: the same request twice acts once (C5).

use serde_json::json;

use crate::events::Table;
use crate::harness::{Answer, Manner, Server, until};

async fn post(server: &Server, path: &str, key: &str) -> Answer {
    server.send(server.client.post(server.url(path)).header("idempotency-key", key)).await
}

#[tokio::test]
async fn the_same_key_acts_once_and_gets_the_same_answer() {
    let server = Server::start().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    let first = post(&server, "/unlock?device=front-door", "k1").await;
    let again = post(&server, "/unlock?device=front-door&wait=1", "k1").await;
    assert_eq!((first.status, again.status), (200, 200));
    assert_eq!(first.body, again.body);
    assert!(first.headers.get("idempotency-replayed").is_none());
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(door.count("unlock"), 1);
    server.stop().await;
}

#[tokio::test]
async fn the_same_key_with_another_request_is_refused_and_does_nothing() {
    let server = Server::start().await;
    let front = server.lock("front-door", Manner::Obeys).await;
    let back = server.lock("back-door", Manner::Obeys).await;
    post(&server, "/unlock?device=front-door", "k1").await.devices(200);
    post(&server, "/unlock?device=back-door", "k1").await.problem(422, "key-reused");
    post(&server, "/unlock", "k1").await.problem(422, "key-reused");
    assert_eq!((front.count("unlock"), back.count("unlock")), (1, 0));
    // Another route has keys of its own.
    post(&server, "/lock?device=front-door", "k1").await.devices(200);
    server.stop().await;
}

#[tokio::test]
async fn while_the_first_is_worked_on_the_second_is_409_also_when_the_first_gave_up() {
    let server = Server::start_with(json!({ "commands": { "expires_in": 6 } })).await;
    let door = server.lock("front-door", Manner::Silent).await;
    let path = "/unlock?device=front-door&wait=9";
    let request = server.client.post(server.url(path)).header("idempotency-key", "k1");
    let first = tokio::spawn(request.send());
    until("the command to leave", async || (door.count("unlock") == 1).then_some(())).await;
    // The client is gone, and its connection with it.
    first.abort();
    let answer = post(&server, path, "k1").await;
    answer.problem(409, "in-progress");
    assert_eq!(answer.header("retry-after"), "1");
    let replay = until("the kept answer", async || {
        let answer = post(&server, path, "k1").await;
        answer.headers.contains_key("idempotency-replayed").then_some(answer)
    })
    .await;
    assert!(matches!(replay.status, 202 | 409), "{replay:?}");
    assert_eq!(door.count("unlock"), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_pending_answer_is_replayed_with_its_link() {
    let server = Server::start().await;
    let _door = server.lock("front-door", Manner::Silent).await;
    let first = post(&server, "/unlock?device=front-door&wait=0", "k1").await;
    let again = post(&server, "/unlock?device=front-door&wait=0", "k1").await;
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!(first.header("location"), again.header("location"));
    server.stop().await;
}

#[tokio::test]
async fn a_key_is_free_again_when_nothing_was_done_for_it() {
    let server = Server::start().await;
    post(&server, "/unlock?device=front-door", "k1").await.problem(404, "not-found");
    let door = server.lock("front-door", Manner::Obeys).await;
    post(&server, "/unlock?device=front-door", "k1").await.devices(200);
    assert_eq!(door.count("unlock"), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_kept_answer_outlives_a_restart_and_the_door_is_not_told_again() {
    let server = Server::start().await;
    let _door = server.lock("front-door", Manner::Obeys).await;
    let first = post(&server, "/unlock?device=front-door", "k1").await;
    let server = Server::start_in(server.stop_and_keep().await).await;
    let door = server.lock("front-door", Manner::Obeys).await;
    let again = post(&server, "/unlock?device=front-door", "k1").await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!((first.status, first.body), (again.status, again.body));
    assert_eq!(door.told(), [""; 0]);
    server.stop().await;
}

#[tokio::test]
async fn what_a_crash_interrupted_is_said_and_not_done_again() {
    let server = Server::start().await;
    let _door = server.lock("front-door", Manner::Obeys).await;
    let path = "/unlock?device=front-door";
    post(&server, path, "k1").await.devices(200);
    let folder = server.stop_and_keep().await;
    // As a crash leaves it: the key is taken, and its answer was not kept.
    let forget = "UPDATE idempotency_keys SET status = NULL, answer = NULL";
    assert_eq!(Table::of(folder.path()).await.execute(forget).await, Ok(1));
    let server = Server::start_in(folder).await;
    let door = server.lock("front-door", Manner::Obeys).await;
    let detail = post(&server, path, "k1").await.problem(409, "interrupted");
    assert!(detail.contains("not done again"), "{detail}");
    assert_eq!(door.told(), [""; 0]);
    server.stop().await;
}

#[tokio::test]
async fn an_odd_key_is_refused() {
    let server = Server::start().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    for key in ["", "with space", &"x".repeat(256)] {
        let detail = post(&server, "/unlock", key).await.problem(400, "malformed");
        assert!(detail.contains("Idempotency-Key"), "{detail}");
    }
    assert_eq!(door.told(), [""; 0]);
    post(&server, "/lock", &"x".repeat(255)).await.devices(200);
    server.stop().await;
}
