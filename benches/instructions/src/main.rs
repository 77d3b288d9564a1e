//! How many instructions a message costs, counted by valgrind's callgrind: the
//! same on a busy machine as on an idle one, so that a regression shows in one
//! run. `script/bench instructions` builds it, runs it, and says what it takes.
//!
//! One program in two roles. Without `--inside` it runs itself under callgrind,
//! reads what that has counted, and compares it with `baseline.txt`. With
//! `--inside` it does the work; only what [`probe::Probe`] encloses is counted.
//!
//! Counts go with a processor's features, a compiler and a C library: those of
//! another machine differ by a little without meaning anything.
#![allow(missing_docs, unreachable_pub)]

mod baseline;
mod bed;
mod codec;
mod messages;
mod probe;
mod report;
mod sessions;
mod topics;
mod valgrind;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use latchlight_allocator as _;
use probe::Probe;

const HELP: &str = "script/bench instructions [--only TEXT] [--save] [--keep]";

/// What was asked for.
#[derive(Default)]
struct Arguments {
    inside: bool,
    save: bool,
    keep: bool,
    only: Option<String>,
    /// Where callgrind puts what it has counted.
    folder: Option<PathBuf>,
}

impl Arguments {
    fn parse() -> Result<Self, String> {
        let mut parsed = Self::default();
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} takes a value"));
            match argument.as_str() {
                "--inside" => parsed.inside = true,
                "--save" => parsed.save = true,
                "--keep" => parsed.keep = true,
                "--only" => parsed.only = Some(value()?),
                "--folder" => parsed.folder = Some(value()?.into()),
                other => return Err(format!("unknown: {other}\n{HELP}")),
            }
        }
        Ok(parsed)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::from(2)
        }
    }
}

/// False: something costs more than it should.
fn run() -> Result<bool, Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    if arguments.inside {
        let mut probe = Probe::new(arguments.only);
        codec::run(&mut probe);
        messages::run(&mut probe);
        sessions::run(&mut probe);
        topics::run(&mut probe);
        return Ok(true);
    }
    let Some(folder) = arguments.folder else {
        println!("{HELP}");
        return Ok(true);
    };
    let counted = valgrind::count(&folder, arguments.only.as_deref(), arguments.keep)?;
    let baseline = baseline::load()?;
    print!("{}", report::table(&counted, &baseline));
    if arguments.save {
        baseline::save(&baseline, &counted)?;
        return Ok(true);
    }
    Ok(report::verdict(&counted, &baseline))
}
