//! When and where something was measured.
use std::fs;
use std::process::Command;

use serde::Serialize;

/// The head of a report.
#[derive(Debug, Serialize)]
pub struct Environment {
    /// The day, in UTC.
    pub date: String,
    /// The processor's model and how many cores there are.
    pub machine: String,
    /// What the programs say of themselves.
    pub versions: Vec<String>,
}

impl Environment {
    /// Now and here, with these versions, each said once.
    pub fn look(versions: impl IntoIterator<Item = Option<String>>) -> Self {
        let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = processor
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("an unknown processor", |(_, model)| model);
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let mut versions: Vec<String> = versions.into_iter().flatten().collect();
        versions.dedup();
        Self {
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            machine: format!("{model}, {cores} cores"),
            versions,
        }
    }
}

/// The first line that a command prints.
pub fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(str::to_owned)
}
