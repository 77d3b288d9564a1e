//! A password that somebody types, or that a program gives: never an
//! argument, which every user of the machine could read.

use std::io::{IsTerminal as _, Read as _};

use anyhow::{Context as _, bail};
use clap::Args;

/// The most bytes that are read.
const MOST: u64 = 4096;

/// Where a password comes from.
#[derive(Debug, Args)]
pub(super) struct PasswordArgs {
    /// Read the password from standard input, without asking
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordArgs {
    /// Whether a program gives one.
    pub(super) fn is_given(&self) -> bool {
        self.password_stdin
    }

    /// Asks for a new password twice, or reads it once.
    pub(super) async fn read(&self, name: &str) -> anyhow::Result<String> {
        let from_input = self.password_stdin;
        let prompt = format!("New password for {name}: ");
        let read = move || if from_input { from_standard_input() } else { ask_twice(&prompt) };
        tokio::task::spawn_blocking(read).await.context("ask for the password")?
    }
}

fn from_standard_input() -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        bail!("--password-stdin is for programs: without it, the password is asked for");
    }
    let mut bytes = Vec::new();
    std::io::stdin().take(MOST).read_to_end(&mut bytes).context("read the password")?;
    // What was wrong with them stands in no message: they may be a password.
    let text =
        String::from_utf8(bytes).ok().context("the password on standard input is no text")?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

fn ask_twice(prompt: &str) -> anyhow::Result<String> {
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt)
            .context("there is no terminal to ask for the password: give it with --password-stdin")
    };
    let password = ask(prompt)?;
    if ask("The same again: ")? != password {
        bail!("these were two different passwords; nothing was changed");
    }
    Ok(password)
}
