//! A broker for web pages: `cargo run --features websocket --example websocket`,
//! or with the origins whose pages may connect:
//! `… --example websocket -- http://localhost:8000`.
//!
//! In a page of that origin, with mqtt.js:
//!
//! ```text
//! mqtt.connect("ws://127.0.0.1:8083").subscribe("doors/#");
//! ```
//!
//! Without an origin only programs that are no browsers may, and pages that
//! this very address would serve.

use latchlight_broker::{AllowAll, Broker, Listener, WebSocket};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let origins = std::env::args().skip(1);
    let settings = origins.fold(WebSocket::new(), |settings, origin| settings.origin(&origin));
    let socket = std::net::TcpListener::bind("127.0.0.1:8083")?;
    let listener = Listener::tcp(socket).websocket(settings);
    let broker = Broker::builder().access(AllowAll).listener(listener).serve()?;
    println!("listening at {}; Ctrl-C ends it", broker.listeners()[0].name);
    tokio::signal::ctrl_c().await?;
    broker.close().await;
    Ok(())
}
