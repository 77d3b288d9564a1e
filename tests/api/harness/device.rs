//! A device that speaks MQTT to the embedded broker.

use std::sync::{Arc, Mutex};

use latchlight_client::{Client, ClientOptions, Event, Events};
use latchlight_mqtt::QoS;
use tokio::task::JoinHandle;

use super::{Server, until};

/// What a device does with a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It does it, says its state and acknowledges.
    Obeys,
    /// It takes it and says nothing.
    Silent,
    /// It is jammed and says so.
    Jams,
}

pub(crate) struct Device {
    pub(crate) id: String,
    client: Client,
    told: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Device {
    /// Joins, says its state, and has been seen by the server when this
    /// returns.
    pub(crate) async fn join(
        server: &Server,
        id: &str,
        kind: &str,
        state: &str,
        manner: Manner,
    ) -> Self {
        let mut options = ClientOptions::new(server.mqtt.to_string(), id.to_owned());
        options.username = Some(id.into());
        options.password = Some(server.device_secret(id).await.into());
        let (client, mut events) = Client::connect(options).await.unwrap();
        let down = format!("latchlight/devices/{id}/down");
        client.subscribe(down, QoS::AtLeastOnce).await.unwrap();
        let hand_shake = format!(r#"hand_shake {kind} {{"features":["ack","ids"]}}"#);
        say(&client, id, &hand_shake).await;
        loop {
            let words = next(&mut events).await.expect("an answer to the hand shake");
            assert!(!words.starts_with("error"), "{words}");
            if words.starts_with("ok hand_shake") {
                break;
            }
        }
        say(&client, id, &format!("state {state}")).await;
        let told = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(live(client.clone(), events, id.to_owned(), manner, told.clone()));
        let path = format!("/api/v1/devices/{id}");
        until("the device's state", async || {
            let device = server.get(&path).await.json();
            (device["state"] == state && device["online"] == true).then_some(())
        })
        .await;
        Self { id: id.to_owned(), client, told, task }
    }

    /// Says something on its own topic.
    pub(crate) async fn say(&self, words: &str) {
        say(&self.client, &self.id, words).await;
    }

    /// Publishes the bytes of a picture; what it says next comes behind it.
    pub(crate) async fn upload(&self, bytes: Vec<u8>) {
        let topic = format!("latchlight/devices/{}/picture", self.id);
        self.client.publish(topic, bytes, QoS::AtLeastOnce, false).await.unwrap();
    }

    /// Everything that it was told since it joined.
    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    /// How often it was told this verb.
    pub(crate) fn count(&self, verb: &str) -> usize {
        self.told().iter().filter(|words| words.split(' ').next() == Some(verb)).count()
    }

    /// Goes away, and is known to be away when this returns.
    pub(crate) async fn leave(self, server: &Server) {
        self.client.disconnect().await.unwrap();
        self.task.abort();
        let path = format!("/api/v1/devices/{}", self.id);
        until("the device to be away", async || {
            (server.get(&path).await.json()["online"] == false).then_some(())
        })
        .await;
    }
}

async fn say(client: &Client, id: &str, words: &str) {
    let topic = format!("latchlight/devices/{id}/up");
    client.publish(topic, words.to_owned(), QoS::AtLeastOnce, false).await.unwrap();
}

async fn next(events: &mut Events) -> Option<String> {
    loop {
        if let Event::Message(message) = events.next().await? {
            return Some(String::from_utf8(message.payload.to_vec()).unwrap());
        }
    }
}

async fn live(
    client: Client,
    mut events: Events,
    id: String,
    manner: Manner,
    told: Arc<Mutex<Vec<String>>>,
) {
    while let Some(words) = next(&mut events).await {
        told.lock().unwrap().push(words.clone());
        let mut parts = words.split(' ');
        let (verb, command) = (parts.next().unwrap(), parts.next().unwrap_or_default());
        let state = match (verb, manner) {
            ("lock", Manner::Obeys) => "locked",
            ("unlock", Manner::Obeys) => "unlocked",
            ("on", Manner::Obeys) => "on",
            ("off", Manner::Obeys) => "off",
            ("lock" | "unlock", Manner::Jams) => "jammed",
            _ => continue,
        };
        let result = if manner == Manner::Jams { "failed jammed" } else { "ok" };
        say(&client, &id, &format!("state {state}")).await;
        say(&client, &id, &format!("ack {command} {result}")).await;
    }
}
