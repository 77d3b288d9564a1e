//! A broker over TLS that knows its clients by their certificates:
//! `cargo run -p latchlight-broker --features tls --example tls -- 127.0.0.1:8883 server.pem server.key ca.pem`,
//! and then:
//!
//! ```text
//! mosquitto_sub -p 8883 --cafile ca.pem --cert door.pem --key door.key -t 'door/#' -v &
//! mosquitto_pub -p 8883 --cafile ca.pem --cert door.pem --key door.key -t door/bell -m rang
//! mosquitto_pub -p 8883 --cafile ca.pem -t door/bell -m rang
//! ```
//!
//! Each client must show a certificate of that authority, is called as its
//! common name says, and has the topics below that name. SIGHUP reads the files
//! again; who is connected stays connected.

use std::sync::Arc;

use async_trait::async_trait;
use latchlight_broker::{
    Access, Broker, ClientCertificates, ClientInfo, ConnectRequest, Listener, PublishRequest,
    ReasonCode, Refusal, Tls, TlsConfig, TlsError,
};

/// Who shows a certificate is who it says.
struct ByCertificate;

#[async_trait]
impl Access for ByCertificate {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        let name = request.certificate.and_then(|certificate| certificate.common_name.as_deref());
        name.map(Arc::from).ok_or(ReasonCode::NotAuthorized)
    }

    fn authorize_publish(
        &self,
        client: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        let allowed = is_below(request.topic, &client.identity);
        if allowed { Ok(()) } else { Err(Refusal::Ignore(ReasonCode::NotAuthorized)) }
    }

    fn authorize_subscribe(&self, client: &ClientInfo, filter: &str) -> Result<(), ReasonCode> {
        if is_below(filter, &client.identity) { Ok(()) } else { Err(ReasonCode::NotAuthorized) }
    }
}

fn is_below(topic: &str, name: &str) -> bool {
    topic.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'))
}

fn read(files: &[String]) -> Result<TlsConfig, TlsError> {
    TlsConfig::from_files(&files[0], &files[1])?
        .clients_from_file(&files[2], ClientCertificates::Required)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, files @ ..] = &arguments[..] else { return Err("an address is wanted".into()) };
    if files.len() != 3 {
        return Err("the files are wanted: certificate, key, the clients' authority".into());
    }
    let tls = Tls::new(read(files)?);
    let socket = std::net::TcpListener::bind(address)?;
    let listener = Listener::tcp(socket).tls(&tls);
    let broker = Broker::builder().access(ByCertificate).listener(listener).serve()?;
    println!("listening at {}; Ctrl-C ends it", broker.listeners()[0].name);
    run(&tls, files).await?;
    broker.close().await;
    Ok(())
}

#[cfg(unix)]
async fn run(tls: &Tls, files: &[String]) -> std::io::Result<()> {
    use std::pin::pin;

    use tokio::signal::unix::{SignalKind, signal};

    let mut hang_up = signal(SignalKind::hangup())?;
    // Once for all rounds: between two of them, it would not be seen.
    let mut stop = pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            ended = &mut stop => return ended,
            _ = hang_up.recv() => match read(files) {
                Ok(config) => {
                    tls.replace(config);
                    println!("the files count from now on");
                }
                Err(error) => println!("not replaced: {error}"),
            }
        }
    }
}

#[cfg(not(unix))]
async fn run(_: &Tls, _: &[String]) -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
