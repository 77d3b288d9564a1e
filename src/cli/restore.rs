//! `latchlight restore FOLDER`.

use std::path::PathBuf;

use clap::Args;
use latchlight::backup::{self, Restored, Waiting};

use super::output::{note, print};

#[derive(Args)]
#[command(after_help = "EXAMPLES:\n  \
    latchlight restore /backups/latchlight-2026-11-22 --config var/config.json")]
pub(super) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FOLDER")]
    backup: PathBuf,
    /// Send the messages that waited for the broker when the backup was made;
    /// without it they are recorded as failed
    #[arg(long)]
    send_messages: bool,
    /// Where config.json is to be; nothing may be there, nor in the data folder
    /// that it names
    #[arg(long, value_name = "FILE", default_value = "config.json")]
    config: PathBuf,
}

pub(super) async fn run(args: RestoreArgs) -> anyhow::Result<()> {
    let waiting = if args.send_messages { Waiting::Send } else { Waiting::KeepBack };
    let restored = backup::restore(&args.backup, &args.config, waiting).await?;
    let Restored { manifest, data, kept_back } = restored;
    print(format!(
        "restored what was there at {:.0}: {} and {}",
        manifest.made_at,
        args.config.display(),
        data.display()
    ))?;
    if !manifest.database {
        note(
            "not in it: the database at database.url; what waits there for the broker is sent at \
             the start, unless you keep it back as docs/databases.md says",
        );
    }
    if kept_back > 0 {
        note(format!(
            "{kept_back} messages waited for the broker when the backup was made: they are not \
             sent, and recorded as failed (--send-messages would have them sent)"
        ));
    }
    if !manifest.keys {
        note(format!(
            "not in it: the server's keys; put them into {} before the first start",
            data.join("keys").display()
        ));
    }
    note(
        "What changed since then is not in it: who was removed or revoked since is let in again. \
         After the start, look at `latchlight user list`, `apikey list`, `device list` and `pin list`.",
    );
    Ok(())
}
