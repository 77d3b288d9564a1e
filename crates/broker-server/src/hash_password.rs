//! `latchlight-broker hash-password`.

use std::io::{IsTerminal as _, stdin};

use anyhow::{Context as _, bail};
use latchlight_broker::ledger::PasswordHash;

/// Asks for a password; gives its hash as a line.
pub(crate) fn run() -> anyhow::Result<String> {
    let password = if stdin().is_terminal() { ask()? } else { read_line()? };
    if password.is_empty() {
        bail!("an empty password is none");
    }
    let hash = PasswordHash::of(password.as_bytes()).context("hash the password")?;
    Ok(format!("{hash}\n"))
}

fn ask() -> anyhow::Result<String> {
    let password = rpassword::prompt_password("Password: ").context("read the password")?;
    let again = rpassword::prompt_password("Once more: ").context("read the password")?;
    if password != again {
        bail!("these were two different passwords");
    }
    Ok(password)
}

fn read_line() -> anyhow::Result<String> {
    let mut line = String::new();
    stdin().read_line(&mut line).context("read the password from the standard input")?;
    let password = line.strip_suffix('\n').unwrap_or(&line);
    Ok(password.strip_suffix('\r').unwrap_or(password).to_owned())
}
