//! What came out, as a Markdown table and as JSON.
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::Context;
use latchlight_contest::{Environment, first_line, median};
use serde::Serialize;

use crate::callers::Measured;
use crate::compare::CompareArgs;
use crate::servers::Contestant;

/// One measurement of one contestant.
#[derive(Debug, Serialize)]
pub struct Run {
    pub contestant: &'static str,
    pub round: usize,
    pub peak_memory_mib: f64,
    #[serde(flatten)]
    pub measured: Measured,
}

/// The medians of a contestant at one number of callers.
#[derive(Debug, Serialize)]
struct Medians {
    contestant: &'static str,
    callers: usize,
    per_second: f64,
    p50_micros: f64,
    p99_micros: f64,
    server_cpu_micros: f64,
    devices_cpu_micros: f64,
    callers_cpu_micros: f64,
    peak_memory_mib: f64,
    failures: u64,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    environment: &'a Environment,
    rounds: usize,
    seconds: f64,
    medians: &'a [Medians],
    runs: &'a [Run],
}

/// Prints the table and writes `commands.md` and `commands.json`.
pub fn write(runs: &[Run], contestants: &[Contestant], args: &CompareArgs) -> anyhow::Result<()> {
    let medians: Vec<Medians> = args
        .callers
        .iter()
        .flat_map(|callers| contestants.iter().map(|one| medians(runs, *one, *callers)))
        .collect();
    let environment = Environment::look(versions(args));
    let table = markdown(&environment, args, &medians);
    println!("{table}");
    fs::write(args.out.join("commands.md"), &table).context("write commands.md")?;
    let (rounds, seconds) = (args.rounds, args.seconds);
    let report = Report { environment: &environment, rounds, seconds, medians: &medians, runs };
    fs::write(args.out.join("commands.json"), serde_json::to_string_pretty(&report)?)
        .context("write commands.json")?;
    eprintln!("written to {}", args.out.join("commands.{md,json}").display());
    Ok(())
}

fn medians(runs: &[Run], contestant: Contestant, callers: usize) -> Medians {
    let mine: Vec<&Run> = runs
        .iter()
        .filter(|run| run.contestant == contestant.name() && run.measured.callers == callers)
        .collect();
    let of = |value: &dyn Fn(&Run) -> f64| median(mine.iter().map(|run| value(run)).collect());
    let cpu = |run: &Run, devices: bool| {
        let times = run.measured.cpu_micros.iter();
        times.filter(|(name, _)| (*name == "devices") == devices).map(|(_, time)| time).sum()
    };
    Medians {
        contestant: contestant.name(),
        callers,
        per_second: of(&|run| run.measured.per_second),
        p50_micros: of(&|run| run.measured.p50_micros as f64),
        p99_micros: of(&|run| run.measured.p99_micros as f64),
        server_cpu_micros: of(&|run| cpu(run, false)),
        devices_cpu_micros: of(&|run| cpu(run, true)),
        callers_cpu_micros: of(&|run| run.measured.own_cpu_micros),
        peak_memory_mib: of(&|run| run.peak_memory_mib),
        failures: mine.iter().map(|run| run.measured.failures).sum(),
    }
}

fn markdown(environment: &Environment, args: &CompareArgs, medians: &[Medians]) -> String {
    let mut text = String::from(
        "`POST /lock?device=ID` → device → acknowledged → answer\n\n\
         | callers | server | per second | p50 | p99 | processor time per answer: servers | \
         devices | callers | peak memory | failures |\n\
         | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for row in medians {
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {} | {} | {:.0} µs | {:.0} µs | {:.0} µs | {:.0} MiB | {} |",
            row.callers,
            row.contestant,
            row.per_second,
            milliseconds(row.p50_micros),
            milliseconds(row.p99_micros),
            row.server_cpu_micros,
            row.devices_cpu_micros,
            row.callers_cpu_micros,
            row.peak_memory_mib,
            row.failures,
        );
    }
    text.push('\n');
    let is_ours = |row: &&Medians| row.contestant == Contestant::Latchlight.name();
    for theirs in medians.iter().filter(|row| row.contestant.starts_with("Flask")) {
        let Some(ours) = medians.iter().filter(is_ours).find(|ours| ours.callers == theirs.callers)
        else {
            continue;
        };
        let _ = writeln!(
            text,
            "- {} callers, against the {}: {:.1} times the throughput, {:.2} of the p50, {:.2} of the p99, \
                  {:.2} of the servers' processor time.",
            ours.callers,
            theirs.contestant,
            ours.per_second / theirs.per_second,
            ours.p50_micros / theirs.p50_micros,
            ours.p99_micros / theirs.p99_micros,
            ours.server_cpu_micros / theirs.server_cpu_micros,
        );
    }
    let gap = if text.ends_with("|\n\n") { "" } else { "\n" };
    let _ = writeln!(
        text,
        "{gap}Medians of {} interleaved rounds ({} s each), {}, on {}; {}. The Flask gateway is \
         Flask and paho-mqtt under gunicorn beside mosquitto. Latchlight writes every command to \
         its database, the Flask gateway keeps none.",
        args.rounds,
        args.seconds,
        environment.date,
        environment.machine,
        environment.versions.join(", "),
    );
    text
}

fn milliseconds(micros: f64) -> String {
    format!("{:.2} ms", micros / 1000.0)
}

/// What the programs say of themselves.
fn versions(args: &CompareArgs) -> [Option<String>; 3] {
    let python = args.venv.join("bin/python");
    let packages = "import sys, importlib.metadata as m; print('Python', \
         sys.version.split()[0] + ',', ', '.join(p + ' ' + m.version(p) for p in \
         ('flask', 'paho-mqtt', 'gunicorn')))";
    [
        first_line(Command::new(&args.latchlight).arg("--version")),
        first_line(Command::new(&args.mosquitto).arg("-h")),
        first_line(Command::new(python).args(["-c", packages])),
    ]
}
