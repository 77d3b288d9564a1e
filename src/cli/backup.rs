//! `latchlight backup FOLDER`.

use std::path::PathBuf;

use clap::Args;
use latchlight::backup::{self, Made};

use super::output::{note, print};

#[derive(Args)]
#[command(after_help = "EXAMPLES:\n  \
    latchlight backup /backups/latchlight-$(date +%F)\n  \
    latchlight restore /backups/latchlight-2026-11-22 --config /etc/latchlight/config.json")]
pub(super) struct BackupArgs {
    /// The folder that is to be the backup, which must not be there yet
    #[arg(value_name = "FOLDER")]
    to: PathBuf,
    /// Leave the server's keys out, to keep them elsewhere: without them nobody
    /// can make tokens of a stolen backup, and restored PIN codes and signed
    /// commands need them
    #[arg(long)]
    without_keys: bool,
    /// The configuration of the server, as `latchlight serve` has it
    #[arg(long, value_name = "FILE", default_value = "config.json")]
    config: PathBuf,
}

pub(super) async fn run(args: BackupArgs) -> anyhow::Result<()> {
    let Made { manifest, left_out } =
        backup::make(&args.config, &args.to, !args.without_keys).await?;
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let (to, files) = (args.to.display(), manifest.files.len());
    print(format!("{to} is whole: {files} files, {bytes} bytes"))?;
    for what in left_out {
        note(format!("not in it: {what}"));
    }
    let keys = if manifest.keys { "the server's keys, " } else { "" };
    note(format!(
        "It has secrets: {keys}hashes of passwords, pictures, what config.json and tls/ have. \
         Keep it as you keep the server."
    ));
    Ok(())
}
