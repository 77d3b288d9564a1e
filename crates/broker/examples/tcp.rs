//! A whole broker in a few lines, over TCP. It lets everybody do everything, so
//! it listens on loopback.
//! `cargo run -p latchlight-broker --example tcp -- 127.0.0.1:1883`, and then:
//!
//! ```text
//! mosquitto_sub -t 'doors/#' -v &
//! mosquitto_pub -t doors/front -m locked
//! ```

use latchlight_broker::{AllowAll, Broker};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1883".to_owned());
    let listener = std::net::TcpListener::bind(address)?;
    let broker = Broker::builder().access(AllowAll).listener(listener).serve()?;
    println!("listening on {}; Ctrl-C ends it", broker.addresses()[0]);
    tokio::signal::ctrl_c().await?;
    broker.close().await;
    println!("{} connections were accepted", broker.counters().connections_accepted);
    Ok(())
}
