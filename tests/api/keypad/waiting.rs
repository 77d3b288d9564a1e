//! What becomes of a code while its unlock waits behind another command.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{House, unlock};
use crate::harness::{Answer, Manner, until};

/// A door that says nothing of itself, and what it is to do by now.
struct Busy {
    house: House,
    outstanding: String,
}

impl Busy {
    /// Somebody has the door locked, and it has not answered.
    async fn new() -> Self {
        let house = House::with(Manner::Silent).await;
        let answer = house.server.post("/unlock?device=front&wait=0").await;
        let outstanding = command_of(&answer);
        let busy = Self { house, outstanding };
        busy.told(&busy.outstanding).await;
        busy
    }

    /// The door was told of this command.
    async fn told(&self, command: &str) {
        let told = || self.house.door.told().iter().any(|words| words.contains(command));
        until("the command", async || told().then_some(())).await;
    }

    /// The keypad asks, and the unlock waits.
    async fn ask(&self, code: &str) -> String {
        let mut wish = unlock(code);
        wish["wait"] = json!(0);
        let answer = self.house.ask_at("keypad", &self.house.secret, &wish).await;
        assert_eq!(answer.devices(202)[0]["outcome"], "pending");
        command_of(&answer)
    }

    /// The door answers what it was told first, and what became of the code's.
    async fn ended(&self, command: &str) -> Value {
        self.house.door.say(&format!("ack {} ok", self.outstanding)).await;
        let path = format!("/api/v1/commands/{command}");
        until("the end", async || {
            let command = self.house.server.get(&path).await.json();
            (command["ended_at"].is_string()).then_some(command)
        })
        .await
    }

    async fn expect_refused(self, command: &str, why: &str) {
        let ended = self.ended(command).await;
        assert_eq!((&ended["status"], &ended["sent_at"]), (&json!("refused"), &Value::Null));
        assert!(ended["detail"].as_str().unwrap().contains(why), "{ended}");
        assert_eq!(self.house.unlocks(), 1);
        self.house.server.stop().await;
    }
}

fn command_of(answer: &Answer) -> String {
    answer.devices(202)[0]["command"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn c22_a_code_that_is_disabled_while_its_unlock_waits_opens_nothing() {
    let busy = Busy::new().await;
    let (id, code) = busy.house.code(json!({})).await;
    let waiting = busy.ask(&code).await;
    let path = format!("/api/v1/pins/{id}");
    busy.house.console.patch(&path, &json!({ "disabled": true })).await.unwrap();
    busy.expect_refused(&waiting, "it is disabled").await;
}

#[tokio::test]
async fn c22_a_code_that_is_removed_while_its_unlock_waits_opens_nothing() {
    let busy = Busy::new().await;
    let (id, code) = busy.house.code(json!({ "one_time": true })).await;
    let waiting = busy.ask(&code).await;
    busy.house.console.delete(&format!("/api/v1/pins/{id}")).await.unwrap();
    busy.expect_refused(&waiting, "it was removed").await;
}

#[tokio::test]
async fn c22_a_code_whose_window_closes_while_its_unlock_waits_opens_nothing() {
    let busy = Busy::new().await;
    let closes = Timestamp::now() + SignedDuration::from_secs(2);
    let (_, code) = busy.house.code(json!({ "window": { "until": closes } })).await;
    let waiting = busy.ask(&code).await;
    until("the window's end", async || (Timestamp::now() > closes).then_some(())).await;
    busy.expect_refused(&waiting, "not now").await;
}

#[tokio::test]
async fn c22_a_code_whose_person_is_disabled_while_its_unlock_waits_opens_nothing() {
    let busy = Busy::new().await;
    let (_, code) = busy.house.code(json!({})).await;
    let waiting = busy.ask(&code).await;
    busy.house.change_bob(json!({ "disabled": true })).await;
    busy.expect_refused(&waiting, "is closed").await;
}

#[tokio::test]
async fn a_one_time_code_whose_unlock_waited_opens_once_and_is_given_back_where_it_was_refused() {
    let busy = Busy::new().await;
    let (id, code) = busy.house.code(json!({ "one_time": true })).await;
    let (_, other) = busy.house.code(json!({ "one_time": true })).await;
    let path = format!("/api/v1/pins/{id}");
    let refused = busy.ask(&code).await;
    busy.house.console.patch(&path, &json!({ "disabled": true })).await.unwrap();
    let waiting = busy.ask(&other).await;
    let ended = busy.ended(&refused).await;
    assert_eq!(ended["status"], "refused", "{ended}");
    until("the code to be given back", async || {
        busy.house.console.get(&path).await.unwrap()["used_at"].is_null().then_some(())
    })
    .await;
    busy.told(&waiting).await;
    busy.house.door.say(&format!("ack {waiting} ok")).await;
    let ended = busy.ended(&waiting).await;
    assert_eq!(ended["status"], "confirmed", "{ended}");
    busy.house.ask(&other).await.problem(403, "code-refused");
    busy.house.server.stop().await;
}
