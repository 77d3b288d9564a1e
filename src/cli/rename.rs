//! An account by another name, on the command line: a person or a key.

use clap::Args;
use latchlight::identity::Identity;
use serde_json::json;

use super::server::ServerArgs;

#[derive(Args)]
pub(super) struct RenameArgs {
    /// What it is called now
    old: Identity,
    /// What it is called from then on; nobody else may be called so
    new: Identity,
    #[command(flatten)]
    server: ServerArgs,
}

/// `path` is where accounts of its kind are.
pub(super) async fn run(path: &str, args: RenameArgs) -> anyhow::Result<()> {
    let RenameArgs { old, new, server } = args;
    let console = server.connect().await?;
    let body = json!({ "name": new.as_str() });
    let answer = console.patch(&format!("{path}/{old}"), &body).await?;
    server.show(&answer, || {
        Ok(format!(
            "{old} is called {new} now; whoever is connected over MQTT as {old} has to sign in \
             as {new}"
        ))
    })
}
