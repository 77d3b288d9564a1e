//! A device that speaks MQTT, words by words.

use latchlight_client::{Client, ClientOptions, Event, Events};
use latchlight_mqtt::QoS;
use serde_json::json;

use super::House;
use crate::harness::PATIENCE;

pub(super) struct Talker {
    id: String,
    client: Client,
    events: Events,
}

impl Talker {
    /// A device of this kind that has joined, and is told of alerts.
    pub(super) async fn join(house: &House, id: &str, secret: &str) -> Self {
        let mut options = ClientOptions::new(house.server.mqtt.to_string(), id.to_owned());
        options.username = Some(id.into());
        options.password = Some(secret.to_owned().into());
        let (client, events) = Client::connect(options).await.unwrap();
        let down = format!("latchlight/devices/{id}/down");
        client.subscribe(down, QoS::AtLeastOnce).await.unwrap();
        let mut talker = Self { id: id.to_owned(), client, events };
        talker.say(&format!("hand_shake other {}", json!({ "features": ["alerts"] }))).await;
        while !talker.hear().await.starts_with("ok hand_shake") {}
        // It is online, and so it is told.
        let path = format!("/api/v1/devices/{id}");
        crate::harness::until("the device to be online", async || {
            let device = house.console.get(&path).await.unwrap();
            (device["online"] == true).then_some(())
        })
        .await;
        talker
    }

    pub(super) async fn say(&self, words: &str) {
        let topic = format!("latchlight/devices/{}/up", self.id);
        self.client.publish(topic, words.to_owned(), QoS::AtLeastOnce, false).await.unwrap();
    }

    pub(super) async fn hear(&mut self) -> String {
        let next = async {
            loop {
                if let Event::Message(message) = self.events.next().await.unwrap() {
                    return String::from_utf8(message.payload.to_vec()).unwrap();
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("the device hears something")
    }

    /// What it hears of an alert.
    pub(super) async fn hear_alert(&mut self) -> serde_json::Value {
        loop {
            if let Some(alert) = self.hear().await.strip_prefix("alert wrong_codes ") {
                return serde_json::from_str(alert).unwrap();
            }
        }
    }
}

/// What the keypad hears when it says these, one after the other.
pub(super) async fn answers(house: &House, keypad: &str, said: &[&str]) -> Vec<String> {
    let mut talker = Talker::join(house, keypad, &house.secret).await;
    let mut answers = Vec::new();
    for words in said {
        talker.say(words).await;
        loop {
            let answer = talker.hear().await;
            if answer != "report" {
                answers.push(answer);
                break;
            }
        }
    }
    answers
}
