//! A broker whose clients show who they are without sending a password, by
//! MQTT 5's enhanced authentication and SCRAM-SHA-256. The user is `user`, the
//! password `pencil`. `cargo run -p latchlight-broker --example scram -- 127.0.0.1:1883`, and then:
//!
//! ```text
//! mosquitto_pub -V 5 -t a -m b
//! mosquitto_pub -V 5 -D connect authentication-method SCRAM-SHA-1 -t a -m b
//! ```
//!
//! The first is not authorized, the second has another method than this one. Of
//! the method itself mosquitto's clients know nothing; `tests/authentication.rs`
//! has a client that does.

mod scram;

use std::sync::Arc;

use async_trait::async_trait;
use latchlight_broker::{
    Access, Authentication, AuthenticationRequest, Broker, ClientInfo, PublishRequest, ReasonCode,
    Refusal,
};
use scram::{METHOD, Scram};

/// Who has shown who it is may do everything; nobody else gets in.
struct ByChallenge(Arc<Scram>);

#[async_trait]
impl Access for ByChallenge {
    fn begin_authentication(
        &self,
        request: &AuthenticationRequest<'_>,
    ) -> Result<Box<dyn Authentication>, ReasonCode> {
        match request.method {
            METHOD => Ok(Box::new(self.0.begin()?)),
            _ => Err(ReasonCode::BadAuthenticationMethod),
        }
    }

    fn authorize_publish(&self, _: &ClientInfo, _: &PublishRequest<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut scram = Scram::new()?;
    scram.add("user", b"pencil")?;
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1883".to_owned());
    let listener = std::net::TcpListener::bind(address)?;
    let broker = Broker::builder().access(ByChallenge(scram.into())).listener(listener).serve()?;
    println!("listening on {} for {METHOD}; Ctrl-C ends it", broker.addresses()[0]);
    tokio::signal::ctrl_c().await?;
    broker.close().await;
    Ok(())
}
