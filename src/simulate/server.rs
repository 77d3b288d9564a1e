//! The server that the devices are for: where its broker is, and what they show there.
use std::fmt;
use std::path::Path;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use latchlight_client::{BrokerUrl, CommandKey};
use serde::Deserialize;
use serde_json::json;

use crate::console::Console;
use crate::simulate::args::DevicePlan;

/// What a device shows to be let in; it is not for the log.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Password(String);

/// The server that runs on a configuration.
pub(super) struct Server {
    console: Console,
    /// Whether the broker is its own, which lets devices in by their passwords.
    is_own: bool,
    pub(super) broker: BrokerUrl,
    pub(super) prefix: String,
}

#[derive(Deserialize)]
struct Broker {
    embedded: bool,
    url: String,
    prefix: String,
}

#[derive(Deserialize)]
struct Issued {
    password: String,
    command_key: Option<String>,
}

impl Server {
    pub(super) async fn find(config: &Path) -> anyhow::Result<Self> {
        let console = Console::connect(config).await?;
        let broker = console.get("/api/v1/broker").await?;
        let broker: Broker = serde_json::from_value(broker).context("read where its broker is")?;
        if !broker.embedded {
            bail!(
                "the server uses the broker {}: name it with --broker, and as whom: \
                 mqtt://USER:PASSWORD@HOST:PORT",
                broker.url
            );
        }
        let url = broker.url.parse().context("read where its broker is")?;
        Ok(Self { console, is_own: true, broker: url, prefix: broker.prefix })
    }

    /// The same where it meets its devices on another broker.
    pub(super) async fn on(
        config: &Path,
        broker: BrokerUrl,
        prefix: String,
    ) -> anyhow::Result<Self> {
        Ok(Self { console: Console::connect(config).await?, is_own: false, broker, prefix })
    }

    /// Has the server make credentials for each device, and keys by which its commands are signed.
    pub(super) async fn let_in(
        &self,
        plans: &mut [DevicePlan],
        signed: bool,
    ) -> anyhow::Result<()> {
        for plan in plans {
            let path = format!("/api/v1/devices/{}/credentials", plan.id);
            let asked = json!({ "kind": plan.kind.to_string(), "signed": signed });
            let issued = self.console.post(&path, &asked).await;
            let issued = issued.with_context(|| format!("make credentials for {}", plan.id))?;
            let issued: Issued = serde_json::from_value(issued)
                .with_context(|| format!("read the credentials of {}", plan.id))?;
            plan.password = self.is_own.then_some(Password(issued.password));
            let key = issued.command_key.as_deref().map(str::parse::<CommandKey>);
            plan.command_key =
                key.transpose().with_context(|| format!("the key of {}", plan.id))?;
        }
        Ok(())
    }
}

impl From<Password> for Bytes {
    fn from(password: Password) -> Self {
        password.0.into()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}
