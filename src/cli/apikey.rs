//! `latchlight apikey …`: what programs show to be let in.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use latchlight::identity::{Identity, Scopes};
use serde_json::{Value, json};

use super::account::{self, Account};
use super::grants::{self, GrantArgs};
use super::moment;
use super::output::{note, print_once};
use super::rename::{self, RenameArgs};
use super::server::ServerArgs;

const PATH: &str = "/api/v1/api-keys";

#[derive(Subcommand)]
pub(super) enum ApikeyCommand {
    /// Make a key. Its secret is printed this once, alone on standard output
    Add(AddArgs),
    /// All keys, without their secrets
    List(ListArgs),
    /// What is known of a key
    Show(NameArgs),
    /// Change what a key is good for, and until when; its secret stays
    Change(ChangeArgs),
    /// Call a key otherwise; its secret stays
    Rename(RenameArgs),
    /// Have a key let nobody in, and at once; all else stays as it is
    Disable(NameArgs),
    /// Have a key let its program in again
    Enable(NameArgs),
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
#[command(after_help = "EXAMPLES:\n  \
    latchlight apikey change heating --scopes devices:read --expires 30d\n  \
    latchlight apikey change doorbell --actions unlock --devices garage\n  \
    latchlight apikey change doorbell --everything --for-ever")]
pub(super) struct ChangeArgs {
    /// The key's name
    name: Identity,
    /// What it is good for from then on
    #[arg(long, value_name = "SCOPES")]
    scopes: Option<Scopes>,
    /// From when on it lets nobody in any more: 2026-12-31, or 90d from now
    #[arg(long, value_name = "WHEN", value_parser = moment::parse)]
    expires: Option<Timestamp>,
    /// It has no end
    #[arg(long, conflicts_with = "expires")]
    for_ever: bool,
    /// In the place of all that was granted before
    #[command(flatten)]
    grant: GrantArgs,
    /// It may do everything that its scopes allow
    #[arg(long, conflicts_with_all = ["actions", "devices"])]
    everything: bool,
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
        ApikeyCommand::Show(NameArgs { name, server }) => {
            let console = server.connect().await?;
            show(&server, &console.get(&path_of(&name)).await?)
        }
        ApikeyCommand::Change(args) => change(args).await,
        ApikeyCommand::Rename(args) => rename::run(PATH, args).await,
        ApikeyCommand::Disable(NameArgs { name, server }) => {
            patch(&name, &server, json!({ "disabled": true })).await
        }
        ApikeyCommand::Enable(NameArgs { name, server }) => {
            patch(&name, &server, json!({ "disabled": false })).await
        }
        ApikeyCommand::Remove(NameArgs { name, server }) => {
            let console = server.connect().await?;
            let answer = console.delete(&path_of(&name)).await?;
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
        return print_once("the key", &made);
    }
    note(Account::of(&made)?.text().trim_end());
    note("The key's secret, which is shown this once:");
    print_once("the key's secret", made["secret"].as_str().unwrap_or_default())
}

async fn change(args: ChangeArgs) -> anyhow::Result<()> {
    let ChangeArgs { name, scopes, expires, for_ever, grant, everything, server } = args;
    let grant = grant.into_grant()?;
    let mut body = json!({});
    if let Some(scopes) = scopes {
        body["scopes"] = json!(scopes);
    }
    if expires.is_some() || for_ever {
        body["expires_at"] = json!(expires);
    }
    if let Some(grant) = grant {
        body["grants"] = json!([grant]);
    } else if everything {
        body["grants"] = Value::Null;
    }
    if body == json!({}) {
        anyhow::bail!(
            "what is to change? --scopes, --expires, --for-ever, --devices, --everything"
        );
    }
    patch(&name, &server, body).await
}

async fn patch(name: &Identity, server: &ServerArgs, body: Value) -> anyhow::Result<()> {
    let console = server.connect().await?;
    show(server, &console.patch(&path_of(name), &body).await?)
}

fn show(server: &ServerArgs, answer: &Value) -> anyhow::Result<()> {
    server.show(answer, || Ok(Account::of(answer)?.text()))
}

/// A name has nothing in it that would not stand in a path as it is.
fn path_of(name: &Identity) -> String {
    format!("{PATH}/{name}")
}
