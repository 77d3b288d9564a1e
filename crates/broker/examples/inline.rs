//! A server in the same process as its broker: it hears what devices say and
//! sends them live publishes. `cargo run -p latchlight-broker --example inline -- 127.0.0.1:1883`,
//! and then, as the device `door`:
//!
//! ```text
//! mosquitto_sub -V 5 -u door -P rood -q 1 -t devices/door/down &
//! mosquitto_pub -V 5 -u door -P rood -q 1 -t devices/door/up -m hello
//! ```

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use latchlight_broker::{
    Access, Broker, ClientInfo, ConnectRequest, InlineClient, InlinePublish, PublishRequest, QoS,
    ReasonCode, Refusal, SubscriptionOptions, TopicName,
};

/// Each device speaks and listens below its own name only.
struct OwnTopics;

#[async_trait]
impl Access for OwnTopics {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        let name = request.username.ok_or(ReasonCode::BadUserNameOrPassword)?;
        // An example's password: the name backwards.
        let expected: String = name.chars().rev().collect();
        if request.password == Some(expected.as_bytes()) {
            Ok(name.into())
        } else {
            Err(ReasonCode::BadUserNameOrPassword)
        }
    }

    fn authorize_publish(
        &self,
        client: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        if request.topic == format!("devices/{}/up", client.identity) && !request.retain {
            Ok(())
        } else {
            Err(Refusal::Disconnect(ReasonCode::NotAuthorized))
        }
    }

    fn authorize_subscribe(&self, client: &ClientInfo, filter: &str) -> Result<(), ReasonCode> {
        if filter == format!("devices/{}/down", client.identity) {
            Ok(())
        } else {
            Err(ReasonCode::NotAuthorized)
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1883".to_owned());
    let listener = std::net::TcpListener::bind(address)?;
    let broker = Broker::builder().access(OwnTopics).listener(listener).serve()?;
    println!("listening on {}; Ctrl-C ends it", broker.addresses()[0]);

    let inline = broker.inline();
    let options = SubscriptionOptions::qos(QoS::AtLeastOnce);
    let mut words = inline.subscribe("devices/+/up".try_into()?, options)?;
    // Any number may listen to the same: this one counts, as long as it is held.
    let mut heard = 0;
    let _counter = inline.handle(["devices/+/up".try_into()?], options, move |message| {
        heard += 1;
        println!("message {heard} has {} bytes", message.payload.len());
    })?;
    // Once for all rounds: between two of them, it would not be seen.
    let mut stop = pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            Some(message) = words.next() => {
                let payload = String::from_utf8_lossy(&message.payload);
                println!("{}: {payload}", message.topic);
                if let Some(device) = message.publisher {
                    tokio::spawn(greet(inline.clone(), device.identity.clone()));
                }
            }
            _ = &mut stop => break,
        }
    }
    broker.close().await;
    Ok(())
}

/// Sends a word that must arrive within five seconds or never.
async fn greet(inline: InlineClient, device: Arc<str>) {
    let Ok(topic) = TopicName::try_from(format!("devices/{device}/down")) else { return };
    let mut live =
        inline.publish_live(InlinePublish::new(topic, "welcome"), Duration::from_secs(5));
    if live.receivers().is_empty() {
        println!("{device} does not listen");
    }
    while let Some(event) = live.next().await {
        println!("{}: {:?}", event.client.client_id, event.what);
    }
}
