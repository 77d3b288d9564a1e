//! `latchlight-broker migrate`: from the configuration of Mochi-MQTT 2.7 to
//! ours. What has no counterpart is said, and so is what changes in meaning;
//! wherever the two cannot mean the same, ours is the stricter one, or the
//! report says that it is not.

mod acl;
mod auth;
mod filter;
mod mochi;
mod names;
mod report;
mod settings;
mod store;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use latchlight_broker::document;
use latchlight_broker::ledger::{DefaultAccess, LedgerRules};

use crate::source::Source;
use mochi::Mochi;
use report::Report;
use settings::Settings;

/// What is written, in the folder that was asked for.
const CONFIG: &str = "broker.yaml";
const LEDGER: &str = "users.yaml";

/// Reads their file and writes ours; gives what is to be said about it.
pub(crate) fn run(file: &Path, folder: &Path) -> anyhow::Result<String> {
    let theirs: Mochi = document::read_file(file)?;
    let (config, ledger) = (folder.join(CONFIG), folder.join(LEDGER));
    for path in [&config, &ledger] {
        if path.exists() {
            bail!("{} is there already; nothing was written", path.display());
        }
    }
    let mut report = Report::default();
    theirs.report_unknown(&mut report);
    let rules = ledger_of(&theirs, &mut report)?;
    let settings = settings::translate(&theirs, rules.is_some().then_some(LEDGER), &mut report);
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let mut written: Vec<PathBuf> = Vec::new();
    if let Some(rules) = &rules {
        // Hashes are nobody's business either.
        write(&ledger, &ledger_text(rules)?, 0o600)?;
        written.push(ledger);
    }
    if theirs.is_configuration() {
        let mode = if settings.has_password { 0o600 } else { 0o644 };
        write(&config, &config_text(&settings)?, mode)?;
        written.push(config.clone());
        if !settings.listeners.is_empty() {
            Source::File(config).read().context("read what was written")?;
        }
    }
    let mut said = String::new();
    for path in written {
        writeln!(said, "Written: {}", path.display())?;
    }
    write!(said, "{report}")?;
    Ok(said)
}

/// The ledger, if there is one to be.
fn ledger_of(theirs: &Mochi, report: &mut Report) -> anyhow::Result<Option<LedgerRules>> {
    if theirs.lets_everybody_in() {
        if theirs.ledger().is_some() {
            report.left_out("hooks.auth.ledger: `allow_all` was on, so nothing asked for it");
        }
        return Ok(None);
    }
    let Some(ledger) = theirs.ledger() else {
        report.look_at(
            "there was no ledger, so nobody was let in: nor is anybody by the one written",
        );
        return Ok(Some(LedgerRules::default()));
    };
    ledger.report_unknown(report);
    let mut rules = LedgerRules { default_access: DefaultAccess::Allow, ..LedgerRules::default() };
    report.changed(
        "what no rule says anything of was allowed there, unsaid; here the file says it: \
         `default: allow`. `deny` is the safer word, once the rules name all that is needed",
    );
    auth::translate(&ledger, &mut rules, report)?;
    acl::translate(&ledger, &mut rules, report);
    rules.check()?;
    Ok(Some(rules))
}

fn ledger_text(rules: &LedgerRules) -> anyhow::Result<String> {
    let head = "# Who may do what: see docs/broker.md. A deny wins, in any order.\n\
        # `latchlight-broker hash-password` makes the hash of a password.\n";
    Ok(format!("{head}{}", document::to_yaml(rules).context("write the ledger")?))
}

fn config_text(settings: &Settings) -> anyhow::Result<String> {
    let head = "# latchlight-broker --config broker.yaml; every key is in docs/broker.md.\n";
    Ok(format!("{head}{}", document::to_yaml(settings).context("write the configuration")?))
}

/// Writes a new file, whose mode is this one from the start.
fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;

    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| format!("write {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("write {}", path.display()))
}
