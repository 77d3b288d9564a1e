//! What a migration has to tell.

use std::fmt;

/// Three lists, each in the order in which things were met.
#[derive(Debug, Default)]
pub(super) struct Report {
    look_at: Vec<String>,
    changed: Vec<String>,
    left_out: Vec<String>,
}

impl Report {
    /// Somebody should look at this: it may allow more, or keep people out.
    pub(super) fn look_at(&mut self, what: impl Into<String>) {
        push(&mut self.look_at, what.into());
    }

    /// This means something else now.
    pub(super) fn changed(&mut self, what: impl Into<String>) {
        push(&mut self.changed, what.into());
    }

    /// This has no counterpart.
    pub(super) fn left_out(&mut self, what: impl Into<String>) {
        push(&mut self.left_out, what.into());
    }
}

/// Each thing once.
fn push(list: &mut Vec<String>, what: String) {
    if !list.contains(&what) {
        list.push(what);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, list) in [
            ("Look at these", &self.look_at),
            ("Changed in meaning", &self.changed),
            ("Not carried over", &self.left_out),
        ] {
            if !list.is_empty() {
                writeln!(f, "\n{title}:")?;
            }
            for what in list {
                writeln!(f, "- {what}")?;
            }
        }
        Ok(())
    }
}
