//! A small packet-level MQTT client for 3.1, 3.1.1 and 5 over TCP: for device makers, simulators,
//! tests and load.
//!
//! It has two layers. [`Client`] keeps itself connected and is what a device wants: it publishes
//! with QoS 0 to 2 and waits for the acknowledgement, subscribes, hands out an ordered stream of
//! [`Event`]s, acknowledges by itself or on your word, pings, and reconnects with backoff and
//! jitter. [`Connection`] is one connection, packet by packet, and does nothing by itself: what
//! tests want that misbehave on purpose.
//!
//! ```no_run
//! use latchlight_client::{Client, ClientOptions, Event};
//! use latchlight_mqtt::QoS;
//!
//! # async fn device() -> Result<(), latchlight_client::ClientError> {
//! let options = ClientOptions::new("127.0.0.1:1883", "lock-1");
//! let (client, mut events) = Client::connect(options).await?;
//! client.subscribe("latchlight/devices/lock-1/down", QoS::AtLeastOnce).await?;
//! client.publish("latchlight/devices/lock-1/up", "hand_shake lock", QoS::AtLeastOnce, false).await?;
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::Message(message) => println!("{}: {:?}", message.topic, message.payload),
//!         Event::Disconnected { error, .. } => eprintln!("{error}, connecting again"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A device whose commands are signed checks them by its [`CommandKey`].
//!
//! Every queue is bounded. Full request queues make the caller wait, a full event queue makes the
//! client stop reading, which makes the server hold back. What the client does not do: TLS,
//! WebSocket, enhanced authentication (a [`Connection`] can send AUTH packets), topic aliases, and
//! keeping unsent messages over a restart of the program.

mod backoff;
mod broker_url;
mod client;
mod connection;
mod driver;
mod error;
mod event;
mod exchanges;
mod incoming;
mod online;
mod options;
mod outgoing;
mod request;
mod server_limits;
mod signed;
mod subscriptions;

pub use backoff::Backoff;
pub use broker_url::{BrokerUrl, InvalidBrokerUrl};
pub use client::Client;
pub use connection::Connection;
pub use error::{ClientError, ConnectionError};
pub use event::{Event, Events, Message};
pub use options::{Acknowledge, ClientOptions};
pub use signed::{CommandKey, InvalidCommand, InvalidCommandKey, SignedCommand};
