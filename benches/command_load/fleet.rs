//! The devices: locks whose motors take no time.
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use latchlight::console::Console;
use latchlight_client::Connection;
use latchlight_mqtt::{
    Connect, Packet, PacketId, ProtocolVersion, PubAck, Publish, QoS, ReasonCode, Subscribe,
    SubscribeFilter, SubscriptionOptions, TopicFilter,
};
use serde_json::json;
use tokio::task::JoinSet;

const JOIN_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Args)]
pub struct FleetArgs {
    /// The broker, as HOST:PORT
    #[arg(long)]
    broker: String,
    /// The configuration of the server whose broker that is: it makes credentials
    #[arg(long)]
    config: Option<PathBuf>,
    /// How many devices: lock-1, lock-2, …
    #[arg(long, default_value_t = 64)]
    devices: usize,
    /// The first level of all topics
    #[arg(long, default_value = "latchlight")]
    prefix: String,
}

/// Joins all devices, prints `ready`, and acknowledges commands until it is killed.
pub async fn run(args: FleetArgs) -> anyhow::Result<()> {
    let server = match &args.config {
        // An older program has no socket, and asks nobody for credentials.
        Some(config) => Console::connect(config).await.ok(),
        None => None,
    };
    let mut devices = Vec::new();
    for number in 1..=args.devices {
        let id = format!("lock-{number}");
        let password = match &server {
            Some(server) => Some(password(server, &id).await?),
            None => None,
        };
        devices.push(Device::join(&args, &id, password).await?);
    }
    println!("ready");
    let mut tasks = JoinSet::new();
    for device in devices {
        tasks.spawn(device.work());
    }
    match tasks.join_next().await {
        Some(ended) => ended.context("run a device")?,
        None => bail!("there are no devices"),
    }
}

async fn password(server: &Console, id: &str) -> anyhow::Result<String> {
    let path = format!("/api/v1/devices/{id}/credentials");
    let made = server.post(&path, &json!({ "kind": "lock" })).await?;
    let password = made["password"].as_str().context("no password came")?;
    Ok(password.to_owned())
}

struct Device {
    id: String,
    connection: Connection,
    up: String,
    last_packet_id: u16,
}

impl Device {
    async fn join(args: &FleetArgs, id: &str, password: Option<String>) -> anyhow::Result<Self> {
        let username = password.as_ref().map(|_| id.into());
        let password = password.map(Into::into);
        let connect =
            Connect { keep_alive: 0, username, password, ..Connect::new(ProtocolVersion::V5, id) };
        let (connection, _) = Connection::connect(args.broker.as_str(), connect)
            .await
            .with_context(|| format!("connect {id}"))?;
        let up = format!("{}/devices/{id}/up", args.prefix);
        let mut device = Self { id: id.into(), connection, up, last_packet_id: 0 };
        let down = format!("{}/devices/{id}/down", args.prefix);
        let filter = TopicFilter::try_from(down.as_str()).context("make the filter")?;
        let options = SubscriptionOptions::qos(QoS::AtLeastOnce);
        let subscribe = Packet::Subscribe(Subscribe {
            packet_id: device.next_packet_id(),
            filters: vec![SubscribeFilter { filter, options }],
            properties: Default::default(),
        });
        device.connection.queue(&subscribe)?;
        device.say(r#"hand_shake lock {"features":["ack","ids"]}"#.to_owned())?;
        tokio::time::timeout(JOIN_TIMEOUT, device.wait_for_ok())
            .await
            .with_context(|| format!("{id}: no ok to its hand_shake"))??;
        Ok(device)
    }

    async fn wait_for_ok(&mut self) -> anyhow::Result<()> {
        loop {
            if let Some(words) = self.hear().await? {
                match words.split(' ').next() {
                    Some("ok") => return Ok(()),
                    Some("error" | "unknown") => bail!("{}: the server says {words}", self.id),
                    _ => {}
                }
            }
        }
    }

    /// Acknowledges every command until the connection ends.
    async fn work(mut self) -> anyhow::Result<()> {
        loop {
            let Some(text) = self.hear().await? else { continue };
            let mut words = text.split(' ');
            if let (Some("lock" | "unlock"), Some(command)) = (words.next(), words.next()) {
                // The PUBACK of the command stands before it and leaves with the same write.
                self.say(format!("ack {command} ok"))?;
            }
        }
    }

    /// The next message; its PUBACK is queued.
    async fn hear(&mut self) -> anyhow::Result<Option<String>> {
        match self.connection.receive().await.with_context(|| self.id.clone())? {
            Packet::Publish(publish) => {
                if let Some(packet_id) = publish.packet_id {
                    let reason = ReasonCode::Success;
                    self.connection.queue(&Packet::PubAck(PubAck::new(packet_id, reason)))?;
                }
                Ok(Some(String::from_utf8_lossy(&publish.payload).into_owned()))
            }
            Packet::SubAck(suback) if suback.reasons.iter().any(|reason| reason.is_error()) => {
                bail!("{}: may not subscribe: {:?}", self.id, suback.reasons)
            }
            Packet::Disconnect(disconnect) => {
                bail!("{}: the broker ended the connection: {:?}", self.id, disconnect.reason)
            }
            _ => Ok(None),
        }
    }

    fn say(&mut self, words: String) -> anyhow::Result<()> {
        let publish = Packet::Publish(Publish {
            qos: QoS::AtLeastOnce,
            packet_id: Some(self.next_packet_id()),
            ..Publish::new(self.up.as_str(), words)
        });
        Ok(self.connection.queue(&publish)?)
    }

    /// The next id. With one command at a time none is still in use after 65,535.
    fn next_packet_id(&mut self) -> PacketId {
        self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
        PacketId::new(self.last_packet_id).expect("it is at least 1")
    }
}
