//! Packets in the name of a client: a door that speaks a line protocol of its
//! own, over TCP, is a client of the broker all the same.
//! `cargo run -p latchlight-broker --example injection -- 127.0.0.1:1883 127.0.0.1:7000`, and then,
//! in bash:
//!
//! ```text
//! mosquitto_sub -t 'doors/#' -v &
//! echo 'front open' > /dev/tcp/127.0.0.1/7000
//! ```

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::SystemTime;

use latchlight_broker::{
    AllowAll, Broker, ClientInfo, Injection, InlinePublish, ProtocolVersion, TopicName,
};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let (mqtt, lines) = (next("127.0.0.1:1883"), next("127.0.0.1:7000"));
    let listener = std::net::TcpListener::bind(mqtt)?;
    let broker = Broker::builder().access(AllowAll).listener(listener).serve()?;
    let doors = TcpListener::bind(lines).await?;
    let (mqtt, lines) = (broker.addresses()[0], doors.local_addr()?);
    println!("MQTT on {mqtt}, lines on {lines}; Ctrl-C ends it");
    // Once for all rounds: between two of them, it would not be seen.
    let mut stop = pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            Ok((socket, address)) = doors.accept() => {
                tokio::spawn(listen_to(broker.clone(), socket, address));
            }
            _ = &mut stop => break,
        }
    }
    broker.close().await;
    Ok(())
}

/// Says what a door says: its name and its state, a line each.
async fn listen_to(broker: Broker, socket: TcpStream, address: SocketAddr) {
    let mut lines = BufReader::new(socket).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Some((door, state)) = line.split_once(' ') else { continue };
        let Ok(topic) = TopicName::try_from(format!("doors/{door}")) else { continue };
        // The access hook sees this client, and may refuse what it says.
        let client = Arc::new(ClientInfo {
            client_id: door.into(),
            identity: door.into(),
            address: Some(address),
            certificate: None,
            version: ProtocolVersion::V5,
            connected_at: SystemTime::now(),
        });
        let publish = InlinePublish { retain: true, ..InlinePublish::new(topic, state.to_owned()) };
        match broker.inject(&client, Injection::publish(publish)) {
            Ok(reason) => println!("{door} is {state}: {reason:?}"),
            Err(error) => println!("{door} is not heard: {error}"),
        }
    }
}
