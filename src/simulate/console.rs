//! What people see: one line per thing that happens.
use std::fmt::{Arguments, Write as _};
use std::io::{IsTerminal, Write as _};
use std::sync::Arc;

use jiff::Zoned;

/// How a line is meant, which a terminal shows as a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// Something goes on.
    Plain,
    /// Something is done.
    Good,
    /// Something waits or moves.
    Busy,
    /// Something went wrong; shown with `--quiet` as well.
    Bad,
}

/// Standard output, shared by all devices.
#[derive(Debug, Clone)]
pub(super) struct Console {
    look: Arc<Look>,
}

#[derive(Debug)]
struct Look {
    coloured: bool,
    quiet: bool,
    width: usize,
}

impl Console {
    /// `width` is that of the longest device id.
    pub(super) fn new(quiet: bool, width: usize) -> Self {
        // https://no-color.org: set and not empty.
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let coloured = std::io::stdout().is_terminal() && !refused;
        Self { look: Arc::new(Look { coloured, quiet, width }) }
    }

    /// Shows what happened to a device.
    pub(super) fn line(&self, device: &str, tone: Tone, text: Arguments<'_>) {
        if self.look.quiet && tone != Tone::Bad {
            return;
        }
        let time = Zoned::now().strftime("%H:%M:%S%.3f").to_string();
        self.write(&self.look.format(&time, device, tone, text));
    }

    /// Shows something about the whole fleet, also with `--quiet`.
    pub(super) fn say(&self, text: Arguments<'_>) {
        self.write(&format!("{text}\n"));
    }

    fn write(&self, line: &str) {
        // Nobody may read any more (`| head`): the devices go on all the same.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
    }
}

impl Look {
    fn format(&self, time: &str, device: &str, tone: Tone, text: Arguments<'_>) -> String {
        let width = self.width;
        let mut line = String::with_capacity(80);
        let text = text.to_string();
        // What the server sent must not steer the terminal.
        let text = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
        let (dim, colour, end) = match (self.coloured, tone) {
            (false, _) => ("", "", ""),
            (true, Tone::Plain) => ("\x1b[2m", "", "\x1b[0m"),
            (true, Tone::Good) => ("\x1b[2m", "\x1b[32m", "\x1b[0m"),
            (true, Tone::Busy) => ("\x1b[2m", "\x1b[33m", "\x1b[0m"),
            (true, Tone::Bad) => ("\x1b[2m", "\x1b[31m", "\x1b[0m"),
        };
        let _ = write!(line, "{dim}{time}{end}  {device:width$}  {colour}");
        line.extend(text);
        line.push_str(end);
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_there_is_no_colour_and_never_a_control_character() {
        let look = Look { coloured: false, quiet: false, width: 7 };
        let line = look.format("12:00:00.000", "lock-1", Tone::Bad, format_args!("a\x1b[31m\nb"));
        assert_eq!(line, "12:00:00.000  lock-1   a\u{fffd}[31m\u{fffd}b\n");
    }

    #[test]
    fn on_a_terminal_the_colour_ends_with_the_line() {
        let look = Look { coloured: true, quiet: false, width: 0 };
        let line = look.format("12", "l", Tone::Good, format_args!("locked"));
        assert!(line.ends_with("\x1b[32mlocked\x1b[0m\n"), "{line:?}");
    }
}
