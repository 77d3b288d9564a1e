//! A broker that forgets nothing: sessions, what they are owed and retained
//! messages are in a file, and there again after the next start, however the
//! last run ended. `cargo run -p latchlight-broker --example persistence -- 127.0.0.1:1883 broker.sqlite`,
//! and then:
//!
//! ```text
//! mosquitto_sub -c -i bell -q 1 -t bell/ring -E
//! mosquitto_pub -q 1 -t bell/ring -m once
//! mosquitto_pub -q 1 -r -t doors/front -m locked
//! ```
//!
//! Kill it with Ctrl-C or `kill -9`, start it again, and ask for what it owes:
//!
//! ```text
//! mosquitto_sub -c -i bell -q 1 -t bell/ring -C 1 -v
//! mosquitto_sub -t 'doors/#' -C 1 -v
//! ```

use latchlight_broker::{AllowAll, Broker, SqliteStore};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let (address, file) = (next("127.0.0.1:1883"), next("broker.sqlite"));
    let listener = std::net::TcpListener::bind(address)?;
    let store = SqliteStore::open(file)?;
    let broker = Broker::builder().access(AllowAll).store(store).listener(listener).serve()?;
    println!("listening on {}; Ctrl-C ends it", broker.addresses()[0]);
    let counters = broker.counters();
    println!("{} sessions, {} retained", counters.sessions, counters.retained_messages);
    tokio::signal::ctrl_c().await?;
    // Says goodbye to clients, and writes what is still to be written.
    broker.close().await;
    Ok(())
}
