//! A broker that is looked after from its own terminal.
//! `cargo run -p latchlight-broker --example administration -- 127.0.0.1:1883`, and then:
//!
//! ```text
//! mosquitto_sub -i bell -t 'bell/#' -v &
//! mosquitto_pub -i hand -q 1 -r -t doors/front -m locked
//! ```
//!
//! Type into its own terminal: `clients`, `client ID`, `subscriptions`,
//! `retained FILTER`, `clear FILTER`, `disconnect ID`, `end ID`, `counters`.

use std::pin::pin;

use latchlight_broker::{AllowAll, Broker, ReasonCode, TopicFilter};
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1883".to_owned());
    let listener = std::net::TcpListener::bind(address)?;
    let broker = Broker::builder().access(AllowAll).listener(listener).serve()?;
    println!("listening on {}; Ctrl-C ends it", broker.addresses()[0]);
    let mut lines = typed();
    // Once for all rounds: between two of them, it would not be seen.
    let mut stop = pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            Some(line) = lines.recv() => {
                let (verb, what) = line.split_once(' ').unwrap_or((&line, ""));
                if let Err(error) = administer(&broker, verb, what).await {
                    println!("{error}");
                }
            }
            _ = &mut stop => break,
        }
    }
    broker.close().await;
    Ok(())
}

/// What is typed. The thread that reads it ends with the program.
fn typed() -> mpsc::Receiver<String> {
    // Who types faster than it is done waits.
    let (typed, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if typed.blocking_send(line).is_err() {
                break;
            }
        }
    });
    lines
}

async fn administer(
    broker: &Broker,
    verb: &str,
    what: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let reason = ReasonCode::AdministrativeAction;
    match verb {
        // However many there are, they are taken a page at a time.
        "clients" => broker.sessions().for_each(|session| {
            let state = if session.connected { "connected" } else { "away" };
            let (received, sent) = (session.received.all_messages(), session.sent.all_messages());
            println!("{} {state} received {received} sent {sent}", session.client_id);
        }),
        "client" => println!("{:#?}", broker.session(what)),
        "subscriptions" => broker.subscriptions().for_each(|held| {
            println!("{} {} {:?}", held.client_id, held.filter.as_str(), held.options.qos);
        }),
        "retained" => broker.retained(&TopicFilter::try_from(what)?).for_each(|message| {
            println!("{} {}", message.topic, String::from_utf8_lossy(&message.payload));
        }),
        "clear" => println!("{} gone", broker.clear_retained(&TopicFilter::try_from(what)?)),
        "disconnect" => println!("{}", broker.disconnect(what, reason)),
        "end" => println!("{}", broker.end_session(what, reason).await),
        "counters" => println!("{:#?}", broker.counters()),
        _ => println!("clients, client, subscriptions, retained, clear, disconnect, end, counters"),
    }
    Ok(())
}
