//! Codes that are good for once.

use futures_util::future::join_all;
use serde_json::json;

use super::{House, credentials, unlock};
use crate::harness::{Manner, Server};

#[tokio::test]
async fn c22_of_many_at_once_with_a_one_time_code_one_unlocks() {
    let house = House::new().await;
    let (id, code) = house.code(json!({ "one_time": true })).await;
    let mut keypads = Vec::new();
    for number in 0..10 {
        let keypad = format!("keypad-{number}");
        keypads.push((keypad.clone(), credentials(&house.console, &keypad).await));
    }
    let asked = keypads.iter().cycle().take(100).map(|(keypad, secret)| {
        let (house, body) = (&house, unlock(&code));
        async move { house.ask_at(keypad, secret, &body).await.status }
    });
    let answers = join_all(asked).await;
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|status| [200, 403, 429].contains(status)), "{answers:?}");
    assert_eq!(house.unlocks(), 1);
    let pin = house.console.get(&format!("/api/v1/pins/{id}")).await.unwrap();
    assert!(pin["used_at"].is_string(), "{pin}");
    house.server.stop().await;
}

#[tokio::test]
async fn a_one_time_code_of_which_nothing_came_is_given_back() {
    let mut house = House::new().await;
    let (_, code) = house.code(json!({ "one_time": true })).await;
    let away = std::mem::replace(&mut house.door, house.server.lock("other", Manner::Obeys).await);
    away.leave(&house.server).await;
    for _ in 0..2 {
        let answer = house.ask(&code).await;
        assert_eq!(answer.devices(409)[0]["outcome"], "offline");
    }
    house.door = house.server.lock("front", Manner::Obeys).await;
    house.ask(&code).await.devices(200);
    house.ask(&code).await.problem(403, "code-refused");
    assert_eq!(house.unlocks(), 1);
    house.server.stop().await;
}

#[tokio::test]
async fn c22_a_one_time_code_whose_command_left_is_used_whatever_the_door_says() {
    let house = House::with(Manner::Jams).await;
    let (_, code) = house.code(json!({ "one_time": true })).await;
    let answer = house.ask(&code).await;
    assert_eq!(answer.devices(409)[0]["outcome"], "failed");
    house.ask(&code).await.problem(403, "code-refused");
    assert_eq!(house.unlocks(), 1);
    house.server.stop().await;
}

#[tokio::test]
async fn c22_codes_are_what_they_were_after_a_restart() {
    let house = House::new().await;
    let (_, lasting) = house.code(json!({})).await;
    let (_, used) = house.code(json!({ "one_time": true })).await;
    let (_, unused) = house.code(json!({ "one_time": true })).await;
    house.ask(&used).await.devices(200);
    let folder = house.server.stop_and_keep().await;
    let house = House::of(Server::start_in(folder).await, Manner::Obeys).await;
    house.ask(&used).await.problem(403, "code-refused");
    house.ask(&unused).await.devices(200);
    house.ask(&unused).await.problem(403, "code-refused");
    house.ask(&lasting).await.devices(200);
    assert_eq!(house.unlocks(), 2);
    house.server.stop().await;
}
