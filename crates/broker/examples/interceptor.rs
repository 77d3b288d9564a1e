//! Interceptors: one gives each user a room of topics and lowers a QoS, the
//! next keeps words out of messages.
//! `cargo run -p latchlight-broker --example interceptor -- 127.0.0.1:1883`, and then:
//!
//! ```text
//! mosquitto_sub -u hall -q 2 -t '#' -v &
//! mosquitto_pub -u attic -t lamp -m 'not for the hall'
//! mosquitto_pub -u hall -t lamp -m 'the damn lamp is on'
//! mosquitto_pub -u hall -V 5 -q 1 -t lamp -m "$(printf '\377')"
//! ```
//!
//! The hall hears of its own lamp alone, and not in those words; what is no
//! text is refused.

use std::sync::Arc;

use latchlight_broker::{
    AllowAll, Broker, ClientInfo, Interceptor, Publication, QoS, ReasonCode, Steps, Stop,
    SubscribeFilter,
};

/// What a user calls `lamp` is `rooms/<the user's name>/lamp` to everybody else.
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
        let topic = format!("rooms/{}/{}", client.identity, message.topic);
        message.topic = topic.try_into().map_err(|_| Stop::Refuse(ReasonCode::TopicNameInvalid))?;
        Ok(())
    }

    fn subscribe(
        &self,
        client: &Arc<ClientInfo>,
        wanted: &mut SubscribeFilter,
    ) -> Result<(), ReasonCode> {
        let filter = format!("rooms/{}/{}", client.identity, wanted.filter);
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

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1883".to_owned());
    let listener = std::net::TcpListener::bind(address)?;
    let builder = Broker::builder().access(AllowAll).listener(listener);
    // In this order: Words sees what Rooms has changed.
    let broker = builder.interceptor(Rooms).interceptor(Words).serve()?;
    println!("listening on {}; Ctrl-C ends it", broker.addresses()[0]);
    tokio::signal::ctrl_c().await?;
    broker.close().await;
    Ok(())
}
