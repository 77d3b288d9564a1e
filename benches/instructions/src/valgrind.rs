//! Runs this program under callgrind, and reads what that has counted.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// One case.
pub struct Count {
    pub name: String,
    /// Instructions per message, in tenths.
    pub tenths: u64,
}

/// The name of all dumps but for their number, and of the last, which is empty.
const DUMP: &str = "callgrind";

/// Counts everything, or the cases with `only` in their names. The profiles are
/// left in `folder` if they are to be kept, each with its case's name.
///
/// # Errors
/// There is no valgrind, or what it says makes no sense.
pub fn count(folder: &Path, only: Option<&str>, keep: bool) -> Result<Vec<Count>, Box<dyn Error>> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder)?;
    let mut command = Command::new("valgrind");
    command
        .args(["--quiet", "--tool=callgrind", "--collect-atstart=no"])
        .arg("--toggle-collect=*instructions::probe::counted")
        .arg("--dump-after=*instructions::probe::end_of_case")
        .arg(format!("--callgrind-out-file={}", folder.join(DUMP).display()))
        .arg(std::env::current_exe()?)
        .arg("--inside")
        .args(only.iter().flat_map(|only| ["--only", only]))
        // Nothing of the surroundings is to change what is done.
        .env_clear()
        // Copied by one string instruction, each byte would count.
        .env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=1000000000")
        .stderr(Stdio::inherit());
    let output = command.output().map_err(|error| format!("valgrind: {error}"))?;
    if !output.status.success() {
        return Err(format!("valgrind: {}", output.status).into());
    }
    let cases = String::from_utf8(output.stdout)?;
    let counts = cases.lines().enumerate().map(|(at, line)| read(folder, at + 1, line));
    let counts = counts.collect();
    if !keep {
        fs::remove_dir_all(folder)?;
    }
    counts
}

/// Reads one dump; `line` is what the program has said of the case.
fn read(folder: &Path, number: usize, line: &str) -> Result<Count, Box<dyn Error>> {
    let (name, messages) = line.split_once('\t').ok_or("a case without a number of messages")?;
    let dump = folder.join(format!("{DUMP}.{number}"));
    let text = fs::read_to_string(&dump)?;
    let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    let total: u64 = total.ok_or("a dump without a total")?.trim().parse()?;
    fs::write(folder.join(file_name(name)), annotatable(&text))?;
    fs::remove_file(dump)?;
    Ok(Count { name: name.into(), tenths: total * 10 / messages.parse::<u64>()? })
}

/// The profile without the calls that had begun before the case, and have no
/// number: callgrind_annotate takes them for costs.
fn annotatable(profile: &str) -> String {
    let mut lines = profile.lines();
    let mut kept = String::with_capacity(profile.len());
    while let Some(line) = lines.next() {
        if line.starts_with("calls=0 ") {
            lines.next();
            continue;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

/// What a case's profile is called.
fn file_name(case: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    case.chars().map(plain).collect()
}
