//! `latchlight device …`: what devices show to be let in.

use clap::{Args, Subcommand};
use latchlight::state::{DeviceId, DeviceKind};
use serde_json::{Value, json};

use super::output::{note, print, print_once};
use super::server::{ServerArgs, all_pages};

/// Who is let in, and has not come yet.
const NOT_JOINED: &str = "/api/v1/credentials?joined=false";

#[derive(Subcommand)]
pub(super) enum DeviceCommand {
    /// Make what a device shows to be let in, in the place of what it has. Its
    /// password is printed this once, alone on standard output; below it the
    /// key by which it checks its commands, where they are signed
    Add(AddArgs),
    /// All devices that have joined, and which of them have no credentials; or
    /// those that have credentials and have not come yet
    List(ListArgs),
    /// A device is let in no more, and disconnected; it stays in the roster
    Revoke(IdArgs),
    /// Forget a device, with what it shows to be let in
    Remove(IdArgs),
}

#[derive(Args)]
#[command(after_help = "EXAMPLE:\n  PASSWORD=$(latchlight device add front-door --kind lock)")]
pub(super) struct AddArgs {
    /// 1 to 64 of a-z, 0-9, `_` and `-`
    id: DeviceId,
    /// What it has to say that it is: lock, light, camera or other
    #[arg(long)]
    kind: Option<DeviceKind>,
    /// Sign its commands, by a key that is printed below the password; without
    /// this, a device that has one gets a new one. `--signed=false` ends it
    #[arg(
        long, value_name = "BOOL", require_equals = true, num_args = 0..=1,
        default_missing_value = "true"
    )]
    signed: Option<bool>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
pub(super) struct ListArgs {
    /// Those that have credentials and have not joined, instead
    #[arg(long)]
    not_joined: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
pub(super) struct IdArgs {
    /// The device's id
    id: DeviceId,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn run(command: DeviceCommand) -> anyhow::Result<()> {
    match command {
        DeviceCommand::Add(args) => add(args).await,
        DeviceCommand::List(ListArgs { not_joined: false, server }) => list(&server).await,
        DeviceCommand::List(ListArgs { not_joined: true, server }) => list_awaited(&server).await,
        DeviceCommand::Revoke(IdArgs { id, server }) => {
            let path = format!("/api/v1/devices/{id}/credentials");
            server.connect().await?.delete(&path).await?;
            print(format!("{id} is let in no more"))
        }
        DeviceCommand::Remove(IdArgs { id, server }) => {
            server.connect().await?.delete(&format!("/api/v1/devices/{id}")).await?;
            print(format!("{id} is removed"))
        }
    }
}

async fn add(args: AddArgs) -> anyhow::Result<()> {
    let AddArgs { id, kind, signed, server } = args;
    let console = server.connect().await?;
    let path = format!("/api/v1/devices/{id}/credentials");
    let issued = console.post(&path, &json!({ "kind": kind, "signed": signed })).await?;
    if server.json {
        return print_once("what the server issued", format_args!("{issued:#}"));
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    note(format!("user name  {}", text(&issued["username"])));
    note(format!("client id  {id}, or {id}. and more"));
    note(format!("says on    {}", text(&issued["topics"]["up"])));
    note(format!("hears on   {}", text(&issued["topics"]["down"])));
    if !console.settings().mqtt.is_embedded() {
        note("note: to the outside broker it signs in by what that one's operator gives it");
    }
    note("It is on the list and on the board once it has said `hand_shake` there.");
    note("password, shown this once:");
    print_once("the password", text(&issued["password"]))?;
    if let Some(key) = issued["command_key"].as_str() {
        note("the key of its commands, shown this once:");
        print_once("the key of its commands", key)?;
    }
    Ok(())
}

async fn list(server: &ServerArgs) -> anyhow::Result<()> {
    let console = server.connect().await?;
    let devices = all_pages(&console, "/api/v1/devices?limit=100", "devices").await?;
    let awaited = console.get(&format!("{NOT_JOINED}&limit=1")).await?;
    if awaited["credentials"].as_array().is_some_and(|awaited| !awaited.is_empty()) {
        note("note: others have credentials and have not joined: --not-joined lists them");
    }
    show(server, devices, |device| {
        let text = |key: &str| device[key].as_str().unwrap_or("-").to_owned();
        let online = if device["online"] == true { "online" } else { "offline" };
        let credentials = match &device["credentials"] {
            Value::Null => "no credentials",
            credentials if credentials["signed"] == true => "signed",
            _ => "",
        };
        let (id, kind, state) = (text("id"), text("kind"), text("state"));
        format!("{id:<24} {kind:<7} {state:<10} {online:<8} {credentials}")
    })
}

async fn list_awaited(server: &ServerArgs) -> anyhow::Result<()> {
    let console = server.connect().await?;
    let awaited = all_pages(&console, &format!("{NOT_JOINED}&limit=100"), "credentials").await?;
    show(server, awaited, |one| {
        let text = |key: &str| one[key].as_str().unwrap_or("-").to_owned();
        let signed = if one["signed"] == true { "signed" } else { "" };
        let (device, kind, since) = (text("device"), text("kind"), text("created_at"));
        format!("{device:<24} {kind:<7} since {since} {signed}")
    })
}

/// Prints a list: as JSON, or a line for each.
fn show(
    server: &ServerArgs,
    all: Vec<Value>,
    line: impl Fn(&Value) -> String,
) -> anyhow::Result<()> {
    if server.json {
        return print(format!("{:#}", Value::from(all)));
    }
    let lines: Vec<String> = all.iter().map(|one| line(one).trim_end().to_owned()).collect();
    if lines.is_empty() { Ok(()) } else { print(lines.join("\n")) }
}
