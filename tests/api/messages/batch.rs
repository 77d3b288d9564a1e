//! `POST /messaging/send/batch`.

use serde_json::{Value, json};

use super::reader::{Reader, id_of, open_house};
use crate::harness::{Manner, Server};

const PATH: &str = "/messaging/send/batch";

#[tokio::test]
async fn a_thousand_messages_arrive_in_their_order_and_one_more_is_refused() {
    let server = Server::start_with(open_house()).await;
    let mut reader = Reader::of(&server, "messages/#").await;
    let message = |n: usize| json!({ "topic": "messages/row", "payload": n });
    let mut messages: Vec<Value> = (0..1000).map(message).collect();
    let answer = server.post_json(PATH, &json!({ "messages": messages })).await;
    assert_eq!(answer.status, 201);
    let results = answer.json()["messages"].as_array().unwrap().clone();
    assert_eq!(results.len(), 1000);
    for (n, result) in results.iter().enumerate() {
        let heard = reader.hears().await;
        assert_eq!(&*heard.payload, n.to_string().as_bytes());
        assert_eq!((&result["status"], &result["id"]), (&json!(201), &json!(id_of(&heard))));
    }
    messages.push(message(1000));
    let answer = server.post_json(PATH, &json!({ "messages": messages })).await;
    answer.problem(422, "invalid");
    server.post_json(PATH, &json!({ "messages": [] })).await.problem(422, "invalid");
    server.stop().await;
}

#[tokio::test]
async fn each_message_has_a_result_of_its_own() {
    let server = Server::start_with(open_house()).await;
    let mut reader = Reader::of(&server, "messages/#").await;
    let batch = json!({ "messages": [
        { "topic": "messages/a", "payload": 1 },
        { "topic": "latchlight/devices/front/down", "payload": "unlock" },
        { "topic": "messages/+", "payload": 2 },
        { "topic": "messages/b" },
        7,
        { "imei": "c", "micro_op": 3 },
    ] });
    let post = async || {
        let request = server.client.post(server.url(PATH)).json(&batch);
        server.send(request.header("idempotency-key", "b1")).await
    };
    let (answer, again) = (post().await, post().await);
    assert_eq!((answer.status, again.status), (207, 207));
    assert_eq!(answer.body, again.body);
    let answer = answer.json();
    let results = answer["messages"].as_array().unwrap();
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64()).collect();
    assert_eq!(statuses, [201, 403, 422, 422, 422, 201].map(Some), "{results:?}");
    assert_eq!(results[1]["type"], "urn:latchlight:problem:not-allowed");
    assert_eq!(&*reader.hears().await.payload, b"1");
    assert_eq!(&*reader.hears().await.payload, b"3");
    server.stop().await;
}

#[tokio::test]
async fn a_large_batch_is_written_in_pieces_between_which_commands_have_their_turn() {
    let server = Server::start_with(open_house()).await;
    let _door = server.lock("front", Manner::Obeys).await;
    let payload = "x".repeat(60_000);
    let message = |n: usize| json!({ "topic": format!("messages/{n}"), "payload": payload });
    let batch = json!({ "messages": (0..100).map(message).collect::<Vec<_>>() });
    let before = statements(&server).await;
    let answer = server.post_json(PATH, &batch).await;
    assert_eq!(answer.status, 201);
    let pieces = statements(&server).await - before;
    assert!(pieces >= 6, "{pieces} statements for 6,000,000 bytes");
    let (answer, unlocked) =
        tokio::join!(server.post_json(PATH, &batch), server.post("/unlock?device=front&wait=10"),);
    assert_eq!(answer.status, 201);
    assert_eq!(unlocked.devices(200)[0]["outcome"], "confirmed");
    let page = server.get("/api/v1/messages?count=true&limit=1").await.json();
    assert_eq!(page["total"], 200);
    server.stop().await;
}

/// How many the database was given.
async fn statements(server: &Server) -> usize {
    let metrics = server.get("/metrics").await.body;
    let metrics = String::from_utf8(metrics.to_vec()).unwrap();
    let name = "latchlight_database_write_rows_count ";
    metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
}
