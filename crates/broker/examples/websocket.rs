//! A broker for web pages:
//! `cargo run -p latchlight-broker --features websocket --example websocket -- 127.0.0.1:8083`, and
//! then, with mqtt.js (`npm install mqtt`):
//!
//! ```text
//! npx mqtt publish -l ws -h 127.0.0.1 -p 8083 -r -t doors/front -m locked
//! npx mqtt subscribe -l ws -h 127.0.0.1 -p 8083 -t 'doors/#' -v
//! ```
//!
//! Only programs that are no browsers may, and pages that this very address
//! would serve. What follows the address are origins whose pages may connect,
//! say `http://localhost:8000`; in such a page:
//! `mqtt.connect("ws://127.0.0.1:8083").subscribe("doors/#")`.

use latchlight_broker::{AllowAll, Broker, Listener, WebSocket};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8083".to_owned());
    let settings = arguments.fold(WebSocket::new(), |settings, origin| settings.origin(&origin));
    let socket = std::net::TcpListener::bind(address)?;
    let listener = Listener::tcp(socket).websocket(settings);
    let broker = Broker::builder().access(AllowAll).listener(listener).serve()?;
    println!("listening at {}; Ctrl-C ends it", broker.listeners()[0].name);
    tokio::signal::ctrl_c().await?;
    broker.close().await;
    Ok(())
}
