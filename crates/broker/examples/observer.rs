//! An observer: it writes down who comes and goes, what is published, and what
//! is dropped. `cargo run -p latchlight-broker --example observer -- 127.0.0.1:1883`, and then:
//!
//! ```text
//! mosquitto_sub -c -i lamp -q 1 -t lamp/set -E
//! mosquitto_pub -i hand -t lamp/set -m on
//! mosquitto_pub -i hand -q 1 -t lamp/set -m on
//! ```
//!
//! The lamp has gone again: of what is published, QoS 0 is dropped, and the
//! rest waits for it.

use std::sync::Arc;

use latchlight_broker::{
    AllowAll, Broker, ClientInfo, DropReason, Interests, Observer, Publication, QoS, ReasonCode,
};

/// Says what it sees.
struct Witness;

impl Observer for Witness {
    // Packets and exchanges are not asked for, and so they cost nothing.
    fn interests(&self) -> Interests {
        Interests { messages: true, ..Interests::NONE }
    }

    fn session_established(&self, client: &Arc<ClientInfo>, session_present: bool) {
        let session = if session_present { "goes on" } else { "begins" };
        println!("{} is here, its session {session}", client.client_id);
    }

    fn disconnected(&self, client: &Arc<ClientInfo>, reason: ReasonCode, session_ended: bool) {
        let session = if session_ended { "has ended" } else { "waits" };
        println!("{} is gone ({reason:?}), its session {session}", client.client_id);
    }

    fn subscribed(&self, client: &Arc<ClientInfo>, filter: &str, qos: QoS) {
        println!("{} hears {filter} at {qos:?}", client.client_id);
    }

    fn published(&self, publisher: Option<&Arc<ClientInfo>>, message: &Publication) {
        // What the broker says of itself comes from nobody, too.
        if !message.topic.as_str().starts_with("$SYS") {
            let publisher = publisher.map_or("this program", |client| &client.client_id);
            let size = message.payload.len();
            println!("{publisher} published {size} bytes to {}", message.topic);
        }
    }

    fn publish_dropped(
        &self,
        receiver: Option<&Arc<ClientInfo>>,
        message: &Publication,
        reason: DropReason,
    ) {
        let receiver = receiver.map_or("everybody", |client| &client.client_id);
        println!("{receiver} does not get {}: {reason:?}", message.topic);
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1883".to_owned());
    let listener = std::net::TcpListener::bind(address)?;
    let builder = Broker::builder().access(AllowAll).listener(listener);
    let broker = builder.observer(Witness).serve()?;
    println!("listening on {}; Ctrl-C ends it", broker.addresses()[0]);
    tokio::signal::ctrl_c().await?;
    broker.close().await;
    Ok(())
}
