//! How many commands one may give in a minute.

use serde_json::{Value, json};

use crate::harness::{Answer, Manner, Server, until};

async fn server_with(per_minute: u32) -> Server {
    Server::start_with(json!({ "commands": { "per_minute": per_minute } })).await
}

async fn refusals(server: &Server, actor: &str) -> Vec<Value> {
    let path = format!("/api/v1/events?kind=refusal&actor={actor}");
    let events = server.get(&path).await.json();
    events["events"].as_array().unwrap().clone()
}

/// Another account, and what it shows.
async fn member(server: &Server, name: &str) -> String {
    let user = json!({ "name": name, "role": "member", "password": "correct horse" });
    assert_eq!(server.post_json("/api/v1/users", &user).await.status, 201);
    let token = server.sign_in_as(name, "correct horse").await;
    token["access_token"].as_str().unwrap().to_owned()
}

async fn post_as(server: &Server, token: &str, path: &str) -> Answer {
    server.send(server.client.post(server.url(path)).bearer_auth(token)).await
}

#[tokio::test]
async fn one_command_too_many_is_429_and_on_record_once_and_holds_up_nobody_else() {
    let server = server_with(3).await;
    let door = server.lock("front", Manner::Obeys).await;
    let ann = member(&server, "ann").await;
    for _ in 0..3 {
        assert_eq!(post_as(&server, &ann, "/unlock?device=front&wait=10").await.status, 200);
    }
    for _ in 0..5 {
        let answer = post_as(&server, &ann, "/unlock?device=front&wait=10").await;
        let said = answer.problem(429, "too-fast");
        assert!(said.starts_with("app:ann gives more than 3 commands a minute: "), "{said}");
        assert!((1..=60).contains(&answer.header("retry-after").parse::<u64>().unwrap()));
    }
    assert_eq!(door.count("unlock"), 3, "what is refused does not reach the door");
    let recorded = until("the refusal on record", async || {
        let refusals = refusals(&server, "app:ann").await;
        (!refusals.is_empty()).then_some(refusals)
    })
    .await;
    assert_eq!(recorded.len(), 1, "{recorded:?}");
    assert_eq!(
        (&recorded[0]["action"], &recorded[0]["result"]),
        (&json!("unlock"), &json!("refused"))
    );
    // Whoever has had enough can still lock, and whoever has not can do anything.
    assert_eq!(post_as(&server, &ann, "/lock?device=front&wait=10").await.status, 200);
    server.post("/unlock?device=front&wait=10").await.devices(200);
    server.post("/lock?device=front&wait=10").await.devices(200);
    server.stop().await;
}

#[tokio::test]
async fn a_request_to_several_devices_is_so_many_commands_and_goes_as_a_whole_or_not() {
    let server = server_with(3).await;
    let doors =
        [server.lock("front", Manner::Obeys).await, server.lock("back", Manner::Obeys).await];
    server.post("/unlock?wait=10").await.devices(200);
    server.post("/unlock?wait=10").await.problem(429, "too-fast");
    assert_eq!(doors.map(|door| door.count("unlock")), [1, 1]);
    server.post("/unlock?device=front&wait=10").await.devices(200);
    server.stop().await;
}

#[tokio::test]
async fn more_devices_than_the_limit_can_be_locked_at_once() {
    let server = server_with(1).await;
    let _front = server.lock("front", Manner::Obeys).await;
    let _back = server.lock("back", Manner::Obeys).await;
    assert_eq!(server.post("/lock?wait=10").await.devices(200).len(), 2);
    server.post("/lock?wait=10").await.problem(429, "too-fast");
    server.stop().await;
}

#[tokio::test]
async fn a_refusal_does_not_spend_the_idempotency_key() {
    let server = server_with(1).await;
    let door = server.lock("front", Manner::Obeys).await;
    let ask = async |path: &str, key: &str| {
        let request = server.client.post(server.url(path)).header("idempotency-key", key);
        server.send(request).await
    };
    assert_eq!(ask("/unlock?device=front&wait=10", "one").await.status, 200);
    ask("/unlock?device=front&wait=10", "two").await.problem(429, "too-fast");
    ask("/unlock?device=front&wait=10", "two").await.problem(429, "too-fast");
    let replayed = ask("/unlock?device=front&wait=10", "one").await;
    assert_eq!(replayed.status, 200, "what was answered before is no new command");
    assert_eq!(door.count("unlock"), 1);
    server.stop().await;
}
