//! The debug hook: the flow of packets in the log, without passwords.
//! `cargo run --example debug`; it brings its own client. With an address it
//! listens there instead: `cargo run --example debug -- 127.0.0.1:1883`.

use std::error::Error;

use latchlight_broker::{AllowAll, Broker, Debug, QoS};
use latchlight_client::{Client, ClientOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).init();
    let address = std::env::args().nth(1);
    let listener = std::net::TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0"))?;
    let hook = Debug::new().with_payloads();
    let broker = Broker::builder().access(AllowAll).observer(hook).listener(listener).serve()?;
    if address.is_some() {
        println!("listening on {}; Ctrl-C ends it", broker.addresses()[0]);
        tokio::signal::ctrl_c().await?;
    } else {
        let mut options = ClientOptions::new(broker.addresses()[0].to_string(), "lamp");
        options.username = Some("alice".into());
        options.password = Some("wonderland".into());
        let (lamp, mut events) = Client::connect(options).await?;
        lamp.subscribe("lamp/+", QoS::ExactlyOnce).await?;
        lamp.publish("lamp/set", "on", QoS::AtLeastOnce, false).await?;
        events.next_message().await;
        lamp.disconnect().await?;
    }
    broker.close().await;
    Ok(())
}
