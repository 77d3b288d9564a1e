//! The debug hook: the flow of packets in the log, without passwords.
//! `cargo run -p latchlight-broker --example debug -- 127.0.0.1:1883`, and then:
//!
//! ```text
//! mosquitto_pub -u alice -P wonderland -q 1 -t lamp/set -m on
//! ```

use latchlight_broker::{AllowAll, Broker, Debug};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).init();
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1883".to_owned());
    let listener = std::net::TcpListener::bind(address)?;
    // Payloads are not shown unless this is said.
    let hook = Debug::new().with_payloads();
    let broker = Broker::builder().access(AllowAll).observer(hook).listener(listener).serve()?;
    println!("listening on {}; Ctrl-C ends it", broker.addresses()[0]);
    tokio::signal::ctrl_c().await?;
    broker.close().await;
    Ok(())
}
