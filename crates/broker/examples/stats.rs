//! A broker that tells how it is, over HTTP and from its own code.
//! `cargo run -p latchlight-broker --example stats --features http -- 127.0.0.1:1883 127.0.0.1:8084`,
//! and then:
//!
//! ```text
//! curl http://127.0.0.1:8084/stats
//! curl http://127.0.0.1:8084/healthz
//! curl http://127.0.0.1:8084/metrics
//! mosquitto_sub -t '$SYS/#' -v
//! ```

use std::net::TcpListener;
use std::time::Duration;

use latchlight_broker::{AllowAll, Broker, Options};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let (mqtt, http) = (next("127.0.0.1:1883"), next("127.0.0.1:8084"));
    let options = Options {
        sys_interval: Duration::from_secs(1),
        measure_latency: true,
        ..Options::default()
    };
    let listener = TcpListener::bind(mqtt)?;
    let broker = Broker::builder().options(options).access(AllowAll).listener(listener).serve()?;
    let address = broker.serve_http(TcpListener::bind(http)?)?;
    println!(
        "MQTT on {}, statistics on http://{address}/stats; Ctrl-C ends it",
        broker.addresses()[0]
    );

    // The same for a program that has metrics of its own: `broker.metrics()` is a
    // collector for a registry of the prometheus-client crate.
    println!("{} lines of metrics", broker.metrics().text().lines().count());

    tokio::signal::ctrl_c().await?;
    broker.close().await;
    Ok(())
}
