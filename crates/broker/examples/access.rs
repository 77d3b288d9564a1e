//! An access hook of one's own: who may come in, say what and hear what.
//! `cargo run --example access`; it brings its own clients.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use latchlight_broker::{
    Access, Broker, ClientInfo, ConnectRequest, PublishRequest, QoS, ReasonCode, Refusal,
};
use latchlight_client::{Client, ClientError, ClientOptions};

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

/// What a server answers.
fn told(answer: Result<ReasonCode, ClientError>) -> String {
    answer.map_or_else(|error| error.to_string(), |reason| format!("{reason:?}"))
}

/// Shows it to clients of its own.
pub async fn run(say: impl Fn(String)) -> Result<(), Box<dyn Error>> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let broker = Broker::builder().access(OwnTopics).listener(listener).serve()?;
    let address = broker.addresses()[0].to_string();

    let mut options = ClientOptions::new(&address, "laptop");
    options.username = Some("alice".into());
    options.password = Some("guess".into());
    if let Err(error) = Client::connect(options.clone()).await {
        say(format!("with a wrong password: {error}"));
    }
    options.password = Some("wonderland".into());
    let (client, _events) = Client::connect(options).await?;
    say("with the right one: let in".to_owned());
    for topic in ["alice/desk/lamp", "bob/desk/lamp"] {
        let answer = client.publish(topic, "on", QoS::AtLeastOnce, false).await;
        say(format!("publish to {topic}: {}", told(answer)));
    }
    for filter in ["alice/#", "news", "#"] {
        let answer = client.subscribe(filter, QoS::AtLeastOnce).await;
        say(format!("subscribe to {filter}: {}", told(answer)));
    }
    client.disconnect().await?;
    broker.close().await;
    Ok(())
}

#[allow(dead_code, reason = "a test calls what this calls")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(|line| println!("{line}")).await
}
