//! `latchlight pin …`: codes for keypads.

use std::fmt::Write as _;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use latchlight::identity::pins::PinId;
use latchlight::identity::{AccountGrant, Identity};
use serde_json::{Value, json};

use super::grants::{self, GrantArgs};
use super::output::{note, print_once};
use super::server::ServerArgs;

const PATH: &str = "/api/v1/pins";

#[derive(Subcommand)]
pub(super) enum PinCommand {
    /// Make up a code for somebody, and show it: this once
    Add(AddArgs),
    /// The codes that there are; not what is typed
    List(ListArgs),
    /// Have a code be good for nothing; it may be enabled again
    Disable(IdArgs),
    /// Have a code be good again
    Enable(IdArgs),
    /// Remove a code: it is good for nothing from then on
    Remove(IdArgs),
}

/// The code is nobody's to choose here: what stands on a command line is read
/// by others.
#[derive(Args)]
#[command(after_help = "EXAMPLES:\n  \
    latchlight pin add bob\n  \
    latchlight pin add bob --name cleaner --actions unlock --devices front-door --days mon,thu \
    --hours 08:00-12:30\n  \
    latchlight pin add bob --name parcel --one-time --actions unlock --devices garage --until 1d")]
pub(super) struct AddArgs {
    /// Whose it is: it is good for no more than they may do
    user: Identity,
    /// What it is called in lists and records, such as `cleaner`
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Good for once
    #[arg(long)]
    one_time: bool,
    /// How many digits it has: 4 to 12; without it, 6
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(4..=12))]
    digits: Option<u8>,
    #[command(flatten)]
    grant: GrantArgs,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
pub(super) struct ListArgs {
    /// Theirs only
    user: Option<Identity>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
pub(super) struct IdArgs {
    /// The code's id, as the list shows it
    #[arg(value_parser = id)]
    id: PinId,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn run(command: PinCommand) -> anyhow::Result<()> {
    match command {
        PinCommand::Add(args) => add(args).await,
        PinCommand::List(ListArgs { user, server }) => {
            let console = server.connect().await?;
            let path = user.map_or_else(|| PATH.to_owned(), |user| path_of(&user));
            let list = console.get(&path).await?;
            server.show(&list, || table(&list))
        }
        PinCommand::Disable(args) => change(args, true).await,
        PinCommand::Enable(args) => change(args, false).await,
        PinCommand::Remove(IdArgs { id, server }) => {
            let console = server.connect().await?;
            let answer = console.delete(&format!("{PATH}/{id}")).await?;
            server.show(&answer, || Ok("the code is removed".to_owned()))
        }
    }
}

async fn add(args: AddArgs) -> anyhow::Result<()> {
    let AddArgs { user, name, one_time, digits, grant, server } = args;
    let mut body = json!({ "one_time": one_time });
    let grant = grant.into_grant()?;
    if let Some(AccountGrant { actions, devices, window, .. }) = &grant {
        body["actions"] = json!(actions);
        body["devices"] = json!(devices);
        body["window"] = json!(window);
    }
    if let Some(name) = name {
        body["name"] = name.into();
    }
    if let Some(digits) = digits {
        body["digits"] = digits.into();
    }
    let console = server.connect().await?;
    let made = console.post(&path_of(&user), &body).await?;
    if let Some(grant) = &grant {
        grants::note_unknown(&console, &grant.devices).await;
    }
    if server.json {
        return print_once("the code", &made);
    }
    let code = made["code"].as_str().context("read the server's answer")?;
    // The code alone is for scripts: the rest is for who looks on.
    note(format!("{}\ncode, shown this once:", line(&made)?));
    print_once("the code", code)
}

async fn change(IdArgs { id, server }: IdArgs, disabled: bool) -> anyhow::Result<()> {
    let console = server.connect().await?;
    let body = json!({ "disabled": disabled });
    let answer = console.patch(&format!("{PATH}/{id}"), &body).await?;
    server.show(&answer, || line(&answer))
}

fn table(list: &Value) -> anyhow::Result<String> {
    let pins = list["pins"].as_array().context("read the server's answer")?;
    if pins.is_empty() {
        return Ok("there are none".to_owned());
    }
    let lines: anyhow::Result<Vec<String>> = pins.iter().map(line).collect();
    Ok(lines?.join("\n"))
}

/// A code, as people read of it: whose, for what, and its id.
fn line(pin: &Value) -> anyhow::Result<String> {
    let limits = json!({
        "actions": pin["actions"], "devices": pin["devices"], "window": pin["window"],
    });
    let limits: AccountGrant =
        serde_json::from_value(limits).context("read the server's answer")?;
    let text = |member: &str| pin[member].as_str().unwrap_or_default();
    let mut line = format!("{}  {}  {}", text("id"), text("user"), text("name"));
    let _ = write!(line, "  {}", grants::line(&limits));
    match (pin["one_time"] == true, pin["used_at"].as_str()) {
        (true, Some(used_at)) => drop(write!(line, "  used {used_at}")),
        (true, None) => line.push_str("  once"),
        (false, _) => {}
    }
    if pin["disabled"] == true {
        line.push_str("  disabled");
    }
    Ok(line)
}

/// A name has nothing in it that would not stand in a path as it is.
fn path_of(user: &Identity) -> String {
    format!("/api/v1/users/{user}/pins")
}

fn id(text: &str) -> Result<PinId, String> {
    text.parse().map_err(|_| "this is no code's id: `latchlight pin list` shows them".to_owned())
}
