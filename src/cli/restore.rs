//! `latchlight restore FOLDER`.

use std::path::PathBuf;

use clap::Args;
use latchlight::backup::{self, Restored};

use super::server::print;

#[derive(Args)]
#[command(after_help = "EXAMPLES:\n  \
    latchlight restore /backups/latchlight-2026-11-22 --config var/config.json")]
pub(super) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FOLDER")]
    backup: PathBuf,
    /// Where config.json is to be; nothing may be there, nor in the data folder
    /// that it names
    #[arg(long, value_name = "FILE", default_value = "config.json")]
    config: PathBuf,
}

pub(super) async fn run(args: RestoreArgs) -> anyhow::Result<()> {
    let Restored { manifest, data } = backup::restore(&args.backup, &args.config).await?;
    print(&format!(
        "restored what was there at {:.0}: {} and {}",
        manifest.made_at,
        args.config.display(),
        data.display()
    ))?;
    if !manifest.database {
        eprintln!("not in it: the database at database.url");
    }
    if !manifest.keys {
        eprintln!(
            "not in it: the server's keys; put them into {} before the first start",
            data.join("keys").display()
        );
    }
    eprintln!(
        "What changed since then is not in it: who was removed or revoked since is let in again. \
         After the start, look at `latchlight user list`, `apikey list`, `device list` and `pin list`."
    );
    Ok(())
}
