//! What each case is to cost: `baseline.txt`, a line each.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use crate::valgrind::Count;

/// In tenths of an instruction per message, by the case's name.
pub type Baseline = BTreeMap<String, u64>;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("baseline.txt")
}

/// # Errors
/// It cannot be read, or a line is none.
pub fn load() -> Result<Baseline, String> {
    let text = match fs::read_to_string(path()) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("baseline.txt: {error}")),
    };
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| entry(line).ok_or_else(|| format!("baseline.txt: {line}"))).collect()
}

fn entry(line: &str) -> Option<(String, u64)> {
    let (count, name) = line.trim_start().split_once("  ")?;
    let (whole, tenth) = count.split_once('.')?;
    Some((name.into(), whole.parse::<u64>().ok()? * 10 + tenth.parse::<u64>().ok()?))
}

/// Puts what was counted in its place; what was not stays as it is.
///
/// # Errors
/// It cannot be written.
pub fn save(known: &Baseline, counted: &[Count]) -> io::Result<()> {
    let mut all = known.clone();
    all.extend(counted.iter().map(|count| (count.name.clone(), count.tenths)));
    let mut text = String::from(
        "# Instructions per message. `script/bench instructions --save` writes this file.\n",
    );
    for program in ["rustc", "valgrind"] {
        let _ = writeln!(text, "# {}", version(program));
    }
    for (name, tenths) in all {
        let _ = writeln!(text, "{:>9}.{}  {name}", tenths / 10, tenths % 10);
    }
    fs::write(path(), text)
}

fn version(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    said.map_or_else(|_| format!("{program}: unknown"), |said| said.trim().to_owned())
}
