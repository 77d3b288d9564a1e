//! `latchlight pair`: a code by which a device joins.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;

use super::output::{note, print};
use super::server::ServerArgs;
use super::stop::stop_on_signal;

#[derive(Args)]
pub(super) struct PairArgs {
    /// For how many seconds a device may join, 1 to 3600
    #[arg(long, default_value_t = 180)]
    seconds: u64,
    #[command(flatten)]
    server: ServerArgs,
}

/// Shows the code, and waits until a device has joined by it.
pub(super) async fn run(args: PairArgs) -> anyhow::Result<()> {
    let PairArgs { seconds, server } = args;
    let console = server.connect().await?;
    let begun = console.post("/api/v1/pairing", &json!({ "seconds": seconds })).await?;
    if server.json {
        return print(&begun);
    }
    let text = |key: &str| begun[key].as_str().unwrap_or_default().to_owned();
    let code = QrCode::new(text("uri")).context("make the QR code")?;
    print(code.render::<Dense1x2>().quiet_zone(true).build())?;
    print(format!(
        "Join code: {}\nfor {seconds} s, for one device, at {} (user name `join`)",
        text("code"),
        text("broker")
    ))?;
    note_where(&text("broker"));
    let stop = stop_on_signal()?;
    let mut told = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => {
                // It may have ended just now.
                let _ = console.delete("/api/v1/pairing").await;
                return print("ended: nobody joins any more");
            }
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
        let status = console.get("/api/v1/pairing").await?;
        let wrong = status["wrong_codes"].as_u64().unwrap_or_default();
        let news = match status["joining"].as_str() {
            Some(device) => format!("{device} has shown the code"),
            None if wrong > 0 => format!("{wrong} wrong codes were shown"),
            None => String::new(),
        };
        if !news.is_empty() && told.as_ref() != Some(&news) {
            print(&news)?;
            told = Some(news);
        }
        if status["open"] != true {
            return match status["ended"].as_str() {
                Some("joined") => {
                    let device = status["joined"].as_str().unwrap_or_default();
                    print(format!("{device} has joined, and has credentials of its own"))
                }
                Some("wrong-codes") => anyhow::bail!("too many wrong codes: pairing is closed"),
                Some("time-over") => anyhow::bail!("nobody has joined in time"),
                _ => anyhow::bail!("pairing is closed"),
            };
        }
    }
}

/// Says so where no other machine finds the broker by this.
fn note_where(broker: &str) {
    let address = broker.rsplit_once("//").and_then(|(_, address)| address.parse().ok());
    let Some(ip) = address.map(|address: SocketAddr| address.ip()) else { return };
    if ip.is_loopback() {
        note(
            "note: that is this machine alone. Devices elsewhere come by mqtt.tls_listen \
             (docs/tls.md), or without TLS where mqtt.allow_plain says so",
        );
    }
    if ip.is_unspecified() {
        note(format!(
            "note: {ip} stands for all addresses of this machine. Add the name or the address by \
             which devices find it to http.hosts, which counts from the next start on; over TLS, \
             the certificate has to be for it, too (`latchlight tls show`)"
        ));
    }
}
