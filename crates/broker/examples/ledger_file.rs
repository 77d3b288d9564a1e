//! A broker whose users and rules are in a file: `users.yaml` beside this
//! example, where alice's password is `wonder`. From this folder:
//! `cargo run -p latchlight-broker --example ledger_file --features ledger -- 127.0.0.1:1883 users.yaml`,
//! and then:
//!
//! ```text
//! mosquitto_sub -u alice -P wonder -t 'users/alice/#' -v &
//! mosquitto_pub -u alice -P wonder -t users/alice/diary -m hello
//! mosquitto_pub -V 5 -q 1 -u alice -P wonder -t users/bob/diary -m hello
//! ```
//!
//! SIGHUP reads the file again: who may not be there any more is disconnected.
//! If something is wrong with it, the rules stay as they are.

use std::path::Path;

use latchlight_broker::Broker;
use latchlight_broker::ledger::Ledger;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let (address, file) = (next("127.0.0.1:1883"), next("users.yaml"));
    let listener = std::net::TcpListener::bind(address)?;
    let ledger = Ledger::load(Path::new(&file))?;
    let broker = Broker::builder().access(ledger.clone()).listener(listener).serve()?;
    println!("listening on {}; Ctrl-C ends it", broker.addresses()[0]);
    run(&ledger, &broker).await?;
    broker.close().await;
    Ok(())
}

#[cfg(unix)]
async fn run(ledger: &Ledger, broker: &Broker) -> std::io::Result<()> {
    use std::pin::pin;

    use tokio::signal::unix::{SignalKind, signal};

    let mut hang_up = signal(SignalKind::hangup())?;
    // Once for all rounds: between two of them, it would not be seen.
    let mut stop = pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            ended = &mut stop => return ended,
            _ = hang_up.recv() => match ledger.reload() {
                Ok(()) => println!("read again; sessions that were not kept: {}", broker.review()),
                Err(error) => println!("the rules stay as they are: {error}"),
            }
        }
    }
}

#[cfg(not(unix))]
async fn run(_: &Ledger, _: &Broker) -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
