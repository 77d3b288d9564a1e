//! The whole server in figures: one device from HTTP and back, a thousand at once, `GET /hello`
//! beside a bare handler, the device interface alone, memory per device of the roster.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::callers::{Measured, Work};
use crate::compare::load;
use crate::roster;
use crate::server_report::{self, Figure};
use crate::servers::Running;

/// How many devices `POST /lock` without a name has to lock.
const ALL: usize = 1_000;

/// How many callers ask at once, where it is about throughput.
const CALLERS: usize = 64;

#[derive(Args)]
pub struct ServerArgs {
    /// The latchlight program
    #[arg(long)]
    latchlight: PathBuf,
    /// Another latchlight program to measure in turn, such as one from before a change
    #[arg(long)]
    pub before: Option<PathBuf>,
    /// The folder for results
    #[arg(long)]
    pub out: PathBuf,
    /// How often each is measured
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// For how many seconds each measurement counts
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// Measure these parts alone
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::ALL)]
    only: Vec<Part>,
}

/// A part of the measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// One device, its server's folder on disk and in memory
    Lock,
    /// All of a thousand devices with one request
    LockAll,
    /// GET /hello beside a bare handler
    Hello,
    /// The device interface alone
    Dispatch,
    /// Memory per device
    Roster,
}

impl Part {
    const ALL: [Self; 5] = [Self::Lock, Self::LockAll, Self::Hello, Self::Dispatch, Self::Roster];
}

/// A program under measurement: its name, and where it is.
pub type Program<'a> = (&'static str, &'a Path);

struct Bench<'a> {
    args: &'a ServerArgs,
    round: usize,
    figures: Vec<Figure>,
}

/// Measures, prints the table, and writes it and the figures to the folder for results.
pub fn run(args: &ServerArgs) -> anyhow::Result<()> {
    let mut programs: Vec<Program<'_>> = vec![("Latchlight", &args.latchlight)];
    programs.extend(args.before.as_deref().map(|before| ("before", before)));
    let mut bench = Bench { args, round: 0, figures: Vec::new() };
    for round in 1..=args.rounds {
        bench.round = round;
        for part in &args.only {
            eprintln!("round {round} of {}: {part:?}", args.rounds);
            for program in &programs {
                bench.measure(*part, *program)?;
            }
            match part {
                Part::Dispatch => bench.dispatch()?,
                Part::Hello => bench.bare()?,
                _ => {}
            }
            // Who comes first changes, so that a machine that grows warm is fair to both.
            programs.rotate_left(1);
        }
    }
    server_report::write(&bench.figures, args, &args.latchlight)
}

impl Bench<'_> {
    fn measure(&mut self, part: Part, program: Program<'_>) -> anyhow::Result<()> {
        let disk = self.args.out.join("run");
        let memory = PathBuf::from("/dev/shm");
        match part {
            Part::Lock => {
                self.lock(program, "on disk", &disk)?;
                self.lock(program, "in memory", &memory)
            }
            Part::LockAll => {
                self.lock_all(program, "on disk", &disk)?;
                self.lock_all(program, "in memory", &memory)
            }
            Part::Hello => {
                let running = Running::latchlight(program.1, &memory, &json!({}))?;
                self.hello("`GET /hello`", program.0, &running)
            }
            Part::Roster => {
                let bytes = roster::bytes_per_device(program.1, &memory)?;
                self.note("memory per device of the roster", "B", program.0, bytes);
                Ok(())
            }
            Part::Dispatch => Ok(()),
        }
    }

    fn lock(&mut self, program: Program<'_>, whence: &str, run: &Path) -> anyhow::Result<()> {
        let mut running = Running::latchlight(program.1, run, &json!({}))?;
        running.start_fleet(CALLERS)?;
        for callers in [1, CALLERS] {
            let what = format!("one device, {callers} callers, {whence}");
            let measured = self.load(&running, Work::Lock, callers)?;
            self.note_times(&what, program.0, &measured);
        }
        Ok(())
    }

    fn lock_all(&mut self, program: Program<'_>, whence: &str, run: &Path) -> anyhow::Result<()> {
        let mut running = Running::latchlight(program.1, run, &json!({}))?;
        running.start_fleet(ALL)?;
        let measured = self.load(&running, Work::LockAll, 1)?;
        let what = format!("{ALL} devices with one request, {whence}");
        self.note_times(&what, program.0, &measured);
        Ok(())
    }

    fn hello(&mut self, what: &str, name: &'static str, running: &Running) -> anyhow::Result<()> {
        let measured = self.load(running, Work::Hello, CALLERS)?;
        self.note_times(&format!("{what}, {CALLERS} callers"), name, &measured);
        Ok(())
    }

    fn bare(&mut self) -> anyhow::Result<()> {
        let running = Running::bare(&self.args.out.join("run"))?;
        self.hello("a bare actix-web handler", "Latchlight", &running)
    }

    fn dispatch(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(std::env::current_exe().context("find this program")?);
        let output = command.arg("dispatch").stderr(Stdio::inherit()).output();
        let output = output.context("run the device interface")?;
        ensure!(output.status.success(), "the device interface ended with {}", output.status);
        let rates: BTreeMap<String, f64> = serde_json::from_slice(&output.stdout)?;
        for (word, rate) in rates {
            let what = format!("dispatch of first words: {word}");
            self.note(&what, "/s of one core", "Latchlight", rate);
        }
        Ok(())
    }

    fn load(&self, running: &Running, work: Work, callers: usize) -> anyhow::Result<Measured> {
        let measured = load(running, work, callers, self.args.seconds)?;
        let why = measured.first_failure.as_deref().unwrap_or("no answer came");
        ensure!(measured.answers > 0, "the work was not done: {why:.300}");
        Ok(measured)
    }

    fn note_times(&mut self, what: &str, program: &'static str, measured: &Measured) {
        let servers = measured.cpu_micros.iter().filter(|(name, _)| *name != "devices");
        let cpu = servers.map(|(_, micros)| micros).sum();
        self.note(&format!("{what}: answers"), "/s", program, measured.per_second);
        self.note(&format!("{what}: p50"), "µs", program, measured.p50_micros as f64);
        self.note(&format!("{what}: p99"), "µs", program, measured.p99_micros as f64);
        self.note(&format!("{what}: processor time per answer"), "µs", program, cpu);
        // Among them those that did not come within the two seconds that an answer waits.
        self.note(&format!("{what}: not confirmed"), "", program, measured.failures as f64);
    }

    fn note(&mut self, what: &str, unit: &'static str, program: &'static str, value: f64) {
        eprintln!("  {what}, {program}: {value:.1} {unit}");
        let (what, round) = (what.to_owned(), self.round);
        self.figures.push(Figure { what, unit, program, round, value });
    }
}
