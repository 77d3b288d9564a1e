//! A broker for the programs of one machine, by a Unix socket:
//! `cargo run -p latchlight-broker --example unix -- mqtt.sock`, and then:
//!
//! ```text
//! mosquitto_sub --unix mqtt.sock -t 'doors/#' -v &
//! mosquitto_pub --unix mqtt.sock -t doors/front -m locked
//! ```
//!
//! The socket's mode lets in its owner alone, so that the broker may let
//! everybody do everything.

#[cfg(unix)]
#[tokio::main]
async fn main() -> std::io::Result<()> {
    use latchlight_broker::{AllowAll, Broker, Listener};

    let path = std::env::args().nth(1).unwrap_or_else(|| "mqtt.sock".to_owned());
    let listener = Listener::unix(path, 0o600)?;
    let broker = Broker::builder().access(AllowAll).listener(listener).serve()?;
    println!("listening at {}; Ctrl-C ends it", broker.listeners()[0].address);
    tokio::signal::ctrl_c().await?;
    broker.close().await;
    Ok(())
}

#[cfg(not(unix))]
fn main() {
    println!("there are no Unix sockets here");
}
