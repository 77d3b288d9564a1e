//! `latchlight apikey …`: what programs show to be let in.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use latchlight::identity::{Identity, Scopes};
use serde_json::json;

use super::account::{self, Account};
use super::grants::{self, GrantArgs};
use super::moment;
use super::server::{ServerArgs, print};

const PATH: &str = "/api/v1/api-keys";

#[derive(Subcommand)]
pub(super) enum ApikeyCommand {
    /// Make a key. Its secret is printed this once, alone on standard output
    Add(AddArgs),
    /// All keys, without their secrets
    List(ListArgs),
    /// Remove a key: it lets nobody in from then on
    Remove(NameArgs),
}

#[derive(Args)]
#[command(after_help = "EXAMPLES:\n  \
    latchlight apikey add heating --scopes 'devices:read lights:operate'\n  \
    KEY=$(latchlight apikey add doorbell --scopes pictures:write)")]
pub(super) struct AddArgs {
    /// 1 to 64 of letters, digits, `.`, `_`, `@` and `-`
    name: Identity,
    /// What it is good for: some of devices:read, locks:operate,
    /// lights:operate, messages:send, messages:read, pictures:read,
    /// pictures:write, events:read, metrics:read, admin
    #[arg(long, value_name = "SCOPES")]
    scopes: Scopes,
    /// From when on it lets nobody in any more: 2026-12-31, or 90d from now
    #[arg(long, value_name = "WHEN", value_parser = moment::parse)]
    expires: Option<Timestamp>,
    #[command(flatten)]
    grant: GrantArgs,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
pub(super) struct NameArgs {
    /// The key's name
    name: Identity,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn run(command: ApikeyCommand) -> anyhow::Result<()> {
    match command {
        ApikeyCommand::Add(args) => add(args).await,
        ApikeyCommand::List(ListArgs { server }) => {
            let console = server.connect().await?;
            let keys = account::all(&console, PATH, "api_keys").await?;
            server.show(&keys, || account::table(&keys, "api_keys"))
        }
        ApikeyCommand::Remove(NameArgs { name, server }) => {
            let console = server.connect().await?;
            let answer = console.delete(&format!("{PATH}/{name}")).await?;
            server.show(&answer, || Ok(format!("{name} is removed")))
        }
    }
}

async fn add(args: AddArgs) -> anyhow::Result<()> {
    let AddArgs { name, scopes, expires, grant, server } = args;
    let grant = grant.into_grant()?;
    let console = server.connect().await?;
    let mut body = json!({ "name": name.as_str(), "scopes": scopes });
    if let Some(expires) = expires {
        body["expires_at"] = json!(expires);
    }
    if let Some(grant) = &grant {
        body["grants"] = json!([grant]);
    }
    let made = console.post(PATH, &body).await?;
    if let Some(grant) = &grant {
        grants::note_unknown(&console, &grant.devices).await;
    }
    if server.json {
        return print(&made.to_string());
    }
    eprint!("{}", Account::of(&made)?.text());
    eprintln!("The key's secret, which is shown this once:");
    print(made["secret"].as_str().unwrap_or_default())
}
