//! What commands say.

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};

use anyhow::Context as _;

/// Prints lines; who has stopped reading has had enough.
pub(super) fn print(text: impl Display) -> anyhow::Result<()> {
    match write(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("print"),
    }
}

/// Prints what is shown once, and what that is: that nobody reads it is an
/// error.
pub(super) fn print_once(what: &str, text: impl Display) -> anyhow::Result<()> {
    write(text).with_context(|| format!("print {what}, shown once, which nobody has seen"))
}

fn write(text: impl Display) -> std::io::Result<()> {
    let text = text.to_string();
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", text.trim_end_matches('\n'))?;
    output.flush()
}

/// Says something to people beside what is printed for programs; nobody has to
/// listen.
pub(super) fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The same on a terminal, in the place of what was noted so before.
pub(super) fn note_in_place(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush());
}
