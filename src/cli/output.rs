//! What commands say.

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};

use anyhow::Context as _;

/// Prints lines; who has stopped reading has had enough.
pub(super) fn print(text: impl Display) -> anyhow::Result<()> {
    let text = text.to_string();
    let mut output = std::io::stdout().lock();
    let written = writeln!(output, "{}", text.trim_end_matches('\n'));
    match written.and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("print"),
    }
}
