//! An observer: it writes down who comes and goes, what is published, and what
//! is dropped. `cargo run --example observer`; it brings its own clients.

use std::error::Error;
use std::sync::Arc;

use latchlight_broker::{
    AllowAll, Broker, ClientInfo, DropReason, Interests, Observer, Publication, QoS, ReasonCode,
};
use latchlight_client::{Client, ClientOptions};

/// Says what it sees.
struct Witness<S>(S);

impl<S: Fn(String) + Send + Sync + 'static> Observer for Witness<S> {
    // Packets and exchanges are not asked for, and so they cost nothing.
    fn interests(&self) -> Interests {
        Interests { messages: true, ..Interests::NONE }
    }

    fn session_established(&self, client: &Arc<ClientInfo>, session_present: bool) {
        let session = if session_present { "goes on" } else { "begins" };
        self.0(format!("{} is here, its session {session}", client.client_id));
    }

    fn disconnected(&self, client: &Arc<ClientInfo>, reason: ReasonCode, session_ended: bool) {
        let session = if session_ended { "has ended" } else { "waits" };
        self.0(format!("{} is gone ({reason:?}), its session {session}", client.client_id));
    }

    fn subscribed(&self, client: &Arc<ClientInfo>, filter: &str, qos: QoS) {
        self.0(format!("{} hears {filter} at {qos:?}", client.client_id));
    }

    fn published(&self, publisher: Option<&Arc<ClientInfo>>, message: &Publication) {
        // What the broker says of itself comes from nobody, too.
        if !message.topic.as_str().starts_with("$SYS") {
            let publisher = publisher.map_or("this program", |client| &client.client_id);
            let size = message.payload.len();
            self.0(format!("{publisher} published {size} bytes to {}", message.topic));
        }
    }

    fn publish_dropped(
        &self,
        receiver: Option<&Arc<ClientInfo>>,
        message: &Publication,
        reason: DropReason,
    ) {
        let receiver = receiver.map_or("everybody", |client| &client.client_id);
        self.0(format!("{receiver} does not get {}: {reason:?}", message.topic));
    }
}

/// Shows it to clients of its own.
pub async fn run(say: impl Fn(String) + Send + Sync + 'static) -> Result<(), Box<dyn Error>> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let builder = Broker::builder().access(AllowAll).listener(listener);
    let broker = builder.observer(Witness(say)).serve()?;
    let address = broker.addresses()[0].to_string();

    let mut options = ClientOptions::new(&address, "lamp");
    options.session_expiry = 60;
    let (lamp, _) = Client::connect(options).await?;
    lamp.subscribe("lamp/set", QoS::AtLeastOnce).await?;
    lamp.disconnect().await?;
    while !broker.clients().is_empty() {
        tokio::task::yield_now().await;
    }
    let (hand, _) = Client::connect(ClientOptions::new(&address, "hand")).await?;
    hand.publish("lamp/set", "on", QoS::AtMostOnce, false).await?;
    hand.publish("lamp/set", "on", QoS::AtLeastOnce, false).await?;
    hand.disconnect().await?;
    broker.close().await;
    Ok(())
}

#[allow(dead_code, reason = "a test calls what this calls")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(|line| println!("{line}")).await
}
