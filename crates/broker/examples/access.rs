//! An access hook of one's own: who may come in, say what and hear what.
//! `cargo run -p latchlight-broker --example access -- 127.0.0.1:1883`, and then:
//!
//! ```text
//! mosquitto_sub -u alice -P wonderland -t 'alice/#' -t news -v &
//! mosquitto_pub -V 5 -q 1 -u alice -P wonderland -t alice/desk/lamp -m on
//! mosquitto_pub -V 5 -q 1 -u alice -P wonderland -t bob/desk/lamp -m on
//! mosquitto_pub -u alice -P guess -t alice/desk/lamp -m off
//! ```
//!
//! The first message arrives; the second is not authorized, and who guesses is
//! not let in.

use std::sync::Arc;

use async_trait::async_trait;
use latchlight_broker::{
    Access, Broker, ClientInfo, ConnectRequest, PublishRequest, ReasonCode, Refusal,
};

/// Everybody has the topics below their own name, and may read `news`.
struct OwnTopics;

#[async_trait]
impl Access for OwnTopics {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        match (request.username, request.password) {
            (Some("alice"), Some(b"wonderland")) => Ok("alice".into()),
            _ => Err(ReasonCode::BadUserNameOrPassword),
        }
    }

    fn authorize_publish(
        &self,
        client: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        match is_below(request.topic, &client.identity) {
            true => Ok(()),
            false => Err(Refusal::Ignore(ReasonCode::NotAuthorized)),
        }
    }

    fn authorize_subscribe(&self, client: &ClientInfo, filter: &str) -> Result<(), ReasonCode> {
        match filter == "news" || is_below(filter, &client.identity) {
            true => Ok(()),
            false => Err(ReasonCode::NotAuthorized),
        }
    }
}

fn is_below(topic: &str, name: &str) -> bool {
    topic.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1883".to_owned());
    let listener = std::net::TcpListener::bind(address)?;
    let broker = Broker::builder().access(OwnTopics).listener(listener).serve()?;
    println!("listening on {}; Ctrl-C ends it", broker.addresses()[0]);
    tokio::signal::ctrl_c().await?;
    broker.close().await;
    Ok(())
}
