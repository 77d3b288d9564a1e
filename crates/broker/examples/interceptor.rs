//! An interceptor: it gives each client its own room of topics, keeps words out
//! of messages, and lowers a QoS. `cargo run --example interceptor`; it brings
//! its own clients.

use std::error::Error;
use std::sync::Arc;

use latchlight_broker::{
    AllowAll, Broker, ClientInfo, Interceptor, Publication, QoS, ReasonCode, Steps, Stop,
    SubscribeFilter,
};
use latchlight_client::{Client, ClientError, ClientOptions};

/// What a client calls `lamp` is `rooms/<its client id>/lamp` to everybody else.
struct Rooms;

impl Interceptor for Rooms {
    // Only what is asked for costs anything.
    fn steps(&self) -> Steps {
        Steps { publish: true, subscribe: true, ..Steps::NONE }
    }

    fn publish(
        &self,
        publisher: Option<&Arc<ClientInfo>>,
        message: &mut Publication,
    ) -> Result<(), Stop> {
        // The program itself sees all rooms.
        let Some(client) = publisher else { return Ok(()) };
        let topic = format!("rooms/{}/{}", client.client_id, message.topic);
        message.topic = topic.try_into().map_err(|_| Stop::Refuse(ReasonCode::TopicNameInvalid))?;
        Ok(())
    }

    fn subscribe(
        &self,
        client: &Arc<ClientInfo>,
        wanted: &mut SubscribeFilter,
    ) -> Result<(), ReasonCode> {
        let filter = format!("rooms/{}/{}", client.client_id, wanted.filter);
        wanted.filter = filter.try_into().map_err(|_| ReasonCode::TopicFilterInvalid)?;
        wanted.options.qos = wanted.options.qos.min(QoS::AtLeastOnce);
        Ok(())
    }
}

/// Refuses what is no text, and drops what is empty.
struct Words;

impl Interceptor for Words {
    fn steps(&self) -> Steps {
        Steps { publish: true, ..Steps::NONE }
    }

    fn publish(&self, _: Option<&Arc<ClientInfo>>, message: &mut Publication) -> Result<(), Stop> {
        if message.payload.is_empty() {
            return Err(Stop::Silently);
        }
        let text = std::str::from_utf8(&message.payload);
        let text = text.map_err(|_| Stop::Refuse(ReasonCode::PayloadFormatInvalid))?;
        message.payload = text.replace("damn", "****").into();
        Ok(())
    }
}

/// What a server answers.
fn told(answer: Result<ReasonCode, ClientError>) -> String {
    answer.map_or_else(|error| error.to_string(), |reason| format!("{reason:?}"))
}

/// Shows it to clients of its own.
pub async fn run(say: impl Fn(String)) -> Result<(), Box<dyn Error>> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let builder = Broker::builder().access(AllowAll).listener(listener);
    let broker = builder.interceptor(Rooms).interceptor(Words).serve()?;
    let address = broker.addresses()[0].to_string();

    let (hall, mut in_hall) = Client::connect(ClientOptions::new(&address, "hall")).await?;
    let (attic, _) = Client::connect(ClientOptions::new(&address, "attic")).await?;
    let granted = hall.subscribe("#", QoS::ExactlyOnce).await?;
    say(format!("hall asks for QoS 2: {granted:?}"));
    attic.publish("lamp", "damn dark here", QoS::AtMostOnce, false).await?;
    for payload in ["", "the damn lamp is on"] {
        let answer = hall.publish("lamp", payload, QoS::AtLeastOnce, false).await;
        say(format!("hall publishes {payload:?}: {}", told(answer)));
    }
    let answer = hall.publish("lamp", vec![0xFF], QoS::AtLeastOnce, false).await;
    say(format!("hall publishes bytes: {}", told(answer)));
    if let Some(message) = in_hall.next_message().await {
        let text = String::from_utf8_lossy(&message.payload).into_owned();
        say(format!("hall hears {}: {text}", message.topic));
    }
    hall.disconnect().await?;
    attic.disconnect().await?;
    broker.close().await;
    Ok(())
}

#[allow(dead_code, reason = "a test calls what this calls")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(|line| println!("{line}")).await
}
