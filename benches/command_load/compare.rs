//! The comparison: the contestants in turn, round after round.
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use clap::Args;

use crate::callers::{Measured, Work};
use crate::report::{self, Run};
use crate::servers::{Contestant, Running};

#[derive(Args)]
pub struct CompareArgs {
    /// The latchlight program
    #[arg(long)]
    pub latchlight: PathBuf,
    /// The mosquitto program
    #[arg(long)]
    pub mosquitto: PathBuf,
    /// The Python environment with what the Flask gateway needs
    #[arg(long)]
    pub venv: PathBuf,
    /// The folder of the Flask gateway
    #[arg(long)]
    pub flask_app: PathBuf,
    /// The folder for results
    #[arg(long)]
    pub out: PathBuf,
    /// How often each contestant is measured
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// For how many seconds each measurement counts
    #[arg(long, default_value_t = 8.0)]
    pub seconds: f64,
    /// The numbers of callers
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64])]
    pub callers: Vec<usize>,
    /// Measure only one side: latchlight or flask
    #[arg(long, value_parser = ["latchlight", "flask"])]
    pub only: Option<String>,
}

/// Measures, prints the table, and writes it and the figures to the folder for results.
pub fn run(args: &CompareArgs) -> anyhow::Result<()> {
    let contestants = match args.only.as_deref() {
        Some("latchlight") => vec![Contestant::Latchlight, Contestant::LatchlightInMemory],
        Some(_) => vec![Contestant::FlaskThreads, Contestant::FlaskProcesses],
        None => vec![
            Contestant::Latchlight,
            Contestant::LatchlightInMemory,
            Contestant::FlaskThreads,
            Contestant::FlaskProcesses,
        ],
    };
    let mut runs = Vec::new();
    for round in 1..=args.rounds {
        for step in 0..contestants.len() {
            // Who comes first changes, so that a machine that grows warm is fair to both.
            let contestant = contestants[(step + round - 1) % contestants.len()];
            eprintln!("round {round} of {}: {}", args.rounds, contestant.name());
            runs.extend(measure(contestant, round, args)?);
        }
    }
    report::write(&runs, &contestants, args)
}

fn measure(contestant: Contestant, round: usize, args: &CompareArgs) -> anyhow::Result<Vec<Run>> {
    let mut running = Running::start(contestant, args)?;
    let devices = args.callers.iter().copied().max().unwrap_or(1);
    running.start_fleet(devices)?;
    let mut runs = Vec::new();
    for callers in &args.callers {
        let measured = load(&running, Work::Lock, *callers, args.seconds)?;
        eprintln!(
            "  {callers} callers: {:.0}/s, p50 {} µs, p99 {} µs, {} failures",
            measured.per_second, measured.p50_micros, measured.p99_micros, measured.failures
        );
        if measured.answers == 0 {
            let why = measured.first_failure.as_deref().unwrap_or("no answer came");
            bail!("{} did none of the work: {why}", contestant.name());
        }
        runs.push(Run {
            contestant: contestant.name(),
            round,
            peak_memory_mib: running.peak_memory_mib(),
            measured,
        });
    }
    Ok(runs)
}

/// Runs the callers, in a process of their own.
pub fn load(
    running: &Running,
    work: Work,
    callers: usize,
    seconds: f64,
) -> anyhow::Result<Measured> {
    let mut command = Command::new(std::env::current_exe().context("find this program")?);
    command.args(["load", "--server", &running.http, "--callers", &callers.to_string()]);
    command.args(["--work", work.name(), "--seconds", &seconds.to_string()]);
    if let Some(token) = &running.token {
        command.args(["--token", token]);
    }
    for watched in running.watched() {
        command.args(["--watch", &watched]);
    }
    let output = command.stderr(Stdio::inherit()).output().context("run the callers")?;
    if !output.status.success() {
        bail!("the callers ended with {}", output.status);
    }
    serde_json::from_slice(&output.stdout).context("read what the callers measured")
}
