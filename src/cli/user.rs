//! `latchlight user …`: the people.

use anyhow::Context as _;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use latchlight::identity::oidc::Subject;
use latchlight::identity::pins::PinsThen;
use latchlight::identity::{Identity, Role, Scopes};
use serde_json::{Value, json};

use super::account::{self, Account};
use super::grants::{self, GrantArgs};
use super::moment;
use super::password::PasswordArgs;
use super::rename::{self, RenameArgs};
use super::server::ServerArgs;

const PATH: &str = "/api/v1/users";

#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// Make an account for somebody; their password is asked for
    Add(AddArgs),
    /// Everybody who has an account
    List(ListArgs),
    /// What is known of somebody
    Show(NameArgs),
    /// Give somebody a new password; every token that they have is void then,
    /// and their codes for keypads are disabled unless --pins says otherwise
    Passwd(PasswdArgs),
    /// Call somebody otherwise; what they may and have stays theirs
    Rename(RenameArgs),
    /// Make somebody an owner, a member or a guest
    Role(RoleArgs),
    /// Let somebody do something to some devices, always or at certain times
    Grant(GrantCommandArgs),
    /// Let somebody sign in through the OpenID Connect provider, or no more
    Link(LinkArgs),
    /// Let somebody in no more, and at once; all else stays as it is
    Disable(NameArgs),
    /// Let somebody in again; they have to sign in anew
    Enable(NameArgs),
    /// Remove somebody's account
    Remove(NameArgs),
}

#[derive(Args)]
pub(super) struct NameArgs {
    /// The account's name
    name: Identity,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
#[command(after_help = "EXAMPLES:\n  \
    latchlight user add ada --role owner\n  \
    latchlight user add cleaner --role guest --actions unlock --devices front-door \
    --days mon,thu --hours 08:00-12:30 --expires 90d")]
pub(super) struct AddArgs {
    /// 1 to 64 of letters, digits, `.`, `_`, `@` and `-`
    name: Identity,
    /// owner: everything; member: lives here, may do everything unless told
    /// otherwise; guest: only what is granted
    #[arg(long, default_value = "member")]
    role: Role,
    #[command(flatten)]
    password: PasswordArgs,
    /// Give no password: nobody can sign in by one
    #[arg(long, conflicts_with = "password_stdin")]
    no_password: bool,
    #[command(flatten)]
    provider: ProviderArgs,
    /// The most that their tokens are good for, such as `devices:read
    /// lights:operate`; without it, what the role has
    #[arg(long, value_name = "SCOPES")]
    scopes: Option<Scopes>,
    /// From when on they are not let in any more: 2026-12-31, or 7d from now
    #[arg(long, value_name = "WHEN", value_parser = moment::parse)]
    expires: Option<Timestamp>,
    #[command(flatten)]
    grant: GrantArgs,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
#[command(after_help = "EXAMPLES:\n  \
    latchlight user passwd bob                   # stolen, maybe: his codes are disabled\n  \
    latchlight user passwd bob --pins keep       # forgotten, and nothing else")]
pub(super) struct PasswdArgs {
    /// The account's name
    name: Identity,
    #[command(flatten)]
    password: PasswordArgs,
    /// What becomes of their codes for keypads: keep, disable (`latchlight pin
    /// enable` has them good again), or remove
    #[arg(long, value_name = "WHAT", default_value = "disable", value_parser = pins_then())]
    pins: PinsThen,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
pub(super) struct RoleArgs {
    /// The account's name
    name: Identity,
    /// owner, member or guest
    role: Role,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
#[command(after_help = "EXAMPLES:\n  \
    latchlight user grant bob --actions lock,unlock --devices garage\n  \
    latchlight user grant bob --actions none --devices '*' --until 7d\n  \
    latchlight user grant bob --nothing")]
pub(super) struct GrantCommandArgs {
    /// The account's name
    name: Identity,
    #[command(flatten)]
    grant: GrantArgs,
    /// In the place of all that was granted before
    #[arg(long)]
    replace: bool,
    /// Take back all that was granted
    #[arg(long, conflicts_with_all = ["actions", "devices", "replace"])]
    nothing: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
pub(super) struct ProviderArgs {
    /// Whoever signs in first at the OpenID Connect provider with this address,
    /// which the provider must have verified, is theirs from then on
    #[arg(long, value_name = "ADDRESS", value_parser = Subject::of_email)]
    oidc_email: Option<Subject>,
    /// Who they are at the OpenID Connect provider: its issuer URL, a space,
    /// and their `sub` there
    #[arg(long, value_name = "SUBJECT", conflicts_with = "oidc_email")]
    oidc_subject: Option<Subject>,
}

#[derive(Args)]
#[command(after_help = "EXAMPLES:\n  \
    latchlight user link bob --oidc-email bob@example.org\n  \
    latchlight user link bob --oidc-subject 'https://accounts.google.com 1234567890'\n  \
    latchlight user link bob --nobody")]
pub(super) struct LinkArgs {
    /// The account's name
    name: Identity,
    #[command(flatten)]
    provider: ProviderArgs,
    /// Nobody signs in to it through a provider
    #[arg(long, conflicts_with_all = ["oidc_email", "oidc_subject"])]
    nobody: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn run(command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Add(args) => add(args).await,
        UserCommand::List(ListArgs { server }) => {
            let console = server.connect().await?;
            let users = account::all(&console, PATH, "users").await?;
            server.show(&users, || account::table(&users, "users"))
        }
        UserCommand::Show(NameArgs { name, server }) => {
            let console = server.connect().await?;
            show(&server, &console.get(&path_of(&name)).await?)
        }
        UserCommand::Passwd(args) => passwd(args).await,
        UserCommand::Rename(args) => rename::run(PATH, args).await,
        UserCommand::Role(RoleArgs { name, role, server }) => {
            change(&name, &server, json!({ "role": role })).await
        }
        UserCommand::Grant(args) => grant(args).await,
        UserCommand::Link(args) => link(args).await,
        UserCommand::Disable(NameArgs { name, server }) => {
            change(&name, &server, json!({ "disabled": true })).await
        }
        UserCommand::Enable(NameArgs { name, server }) => {
            change(&name, &server, json!({ "disabled": false })).await
        }
        UserCommand::Remove(NameArgs { name, server }) => {
            let console = server.connect().await?;
            let answer = console.delete(&path_of(&name)).await?;
            server.show(&answer, || Ok(format!("{name} is removed")))
        }
    }
}

async fn add(args: AddArgs) -> anyhow::Result<()> {
    let AddArgs { name, role, scopes, expires, server, .. } = args;
    let AddArgs { password, no_password, provider, grant, .. } = args;
    let (grant, subject) = (grant.into_grant()?, provider.subject());
    let wants_password = !no_password && (subject.is_none() || password.is_given());
    let console = server.connect().await?;
    let mut body = json!({ "name": name.as_str(), "role": role });
    if let Some(scopes) = scopes {
        body["scopes"] = json!(scopes);
    }
    if let Some(expires) = expires {
        body["expires_at"] = json!(expires);
    }
    if let Some(grant) = &grant {
        body["grants"] = json!([grant]);
    }
    if let Some(subject) = subject {
        body["subject"] = json!(subject);
    }
    if wants_password {
        body["password"] = password.read(name.as_str()).await?.into();
    }
    show(&server, &console.post(PATH, &body).await?)?;
    if let Some(grant) = grant {
        grants::note_unknown(&console, &grant.devices).await;
    }
    Ok(())
}

async fn passwd(args: PasswdArgs) -> anyhow::Result<()> {
    let PasswdArgs { name, password, pins, server } = args;
    let console = server.connect().await?;
    // Who has mistyped the name hears it before they think of a password.
    console.get(&path_of(&name)).await?;
    let body = json!({ "password": password.read(name.as_str()).await?, "pins": pins });
    let answer = console.post(&format!("{}/password", path_of(&name)), &body).await?;
    server.show(&answer, || {
        let codes = answer["codes"].as_u64().context("read the server's answer")?;
        let codes = match (pins, codes) {
            (_, 0) => String::new(),
            (PinsThen::Keep, n) => format!("\ncodes for keypads that are good as before: {n}"),
            (PinsThen::Remove, n) => format!("\ncodes for keypads that are removed: {n}"),
            (PinsThen::Disable, n) => format!(
                "\ncodes for keypads that are good for nothing now: {n}; `latchlight pin list \
                 {name}` shows them, and `latchlight pin enable` has one good again"
            ),
        };
        Ok(format!("{name} has a new password, and must sign in anew{codes}"))
    })
}

fn pins_then() -> impl TypedValueParser<Value = PinsThen> {
    PossibleValuesParser::new(["keep", "disable", "remove"]).map(|word| match word.as_str() {
        "keep" => PinsThen::Keep,
        "remove" => PinsThen::Remove,
        _ => PinsThen::Disable,
    })
}

async fn grant(args: GrantCommandArgs) -> anyhow::Result<()> {
    let GrantCommandArgs { name, grant, replace, nothing, server } = args;
    let grant = grant.into_grant()?;
    if grant.is_none() && !nothing {
        anyhow::bail!("what is granted? --actions unlock --devices front-door, or --nothing");
    }
    let console = server.connect().await?;
    let mut grants = if replace || nothing {
        Vec::new()
    } else {
        Account::of(&console.get(&path_of(&name)).await?)?.grants
    };
    let devices = grant.as_ref().map(|grant| grant.devices.clone()).unwrap_or_default();
    grants.extend(grant);
    change(&name, &server, json!({ "grants": grants })).await?;
    grants::note_unknown(&console, &devices).await;
    Ok(())
}

async fn link(args: LinkArgs) -> anyhow::Result<()> {
    let LinkArgs { name, provider, nobody, server } = args;
    let subject = provider.subject();
    if subject.is_none() && !nobody {
        anyhow::bail!("who is it? --oidc-email bob@example.org, --oidc-subject, or --nobody");
    }
    change(&name, &server, json!({ "subject": subject })).await
}

impl ProviderArgs {
    fn subject(self) -> Option<Subject> {
        self.oidc_email.or(self.oidc_subject)
    }
}

async fn change(name: &Identity, server: &ServerArgs, body: Value) -> anyhow::Result<()> {
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
