//! What came out, as Markdown tables and as JSON.
use std::fmt::Write as _;
use std::fs;

use anyhow::Context;
use latchlight_contest::{Environment, median};
use serde::Serialize;

use crate::compare::CompareArgs;
use crate::contestants::Contestant;
use crate::outcome::{Figure, Outcome};
use crate::works::Work;

/// One work done once by one broker.
#[derive(Debug, Serialize)]
pub struct Run {
    /// Which work.
    pub work: &'static str,
    /// Which broker.
    pub contestant: String,
    /// In which round.
    pub round: usize,
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    environment: &'a Environment,
    rounds: usize,
    scale: f64,
    runs: &'a [Run],
}

/// Prints the tables and writes `broker.md` and `broker.json`.
///
/// # Errors
/// They cannot be written.
pub fn write(
    works: &[&Work],
    contestants: &[Box<dyn Contestant>],
    runs: &[Run],
    args: &CompareArgs,
) -> anyhow::Result<()> {
    let environment = Environment::look(contestants.iter().map(|one| one.version()));
    let names: Vec<&str> = contestants.iter().map(|one| one.name()).collect();
    let text = markdown(&environment, works, &names, runs, args);
    println!("{text}");
    fs::write(args.out.join("broker.md"), &text).context("write broker.md")?;
    let (rounds, scale) = (args.rounds, args.scale);
    let report = Report { environment: &environment, rounds, scale, runs };
    fs::write(args.out.join("broker.json"), serde_json::to_string_pretty(&report)?)
        .context("write broker.json")?;
    eprintln!("written to {}", args.out.join("broker.{md,json}").display());
    Ok(())
}

fn markdown(
    environment: &Environment,
    works: &[&Work],
    names: &[&str],
    runs: &[Run],
    args: &CompareArgs,
) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = writeln!(
        text,
        "Medians of {} interleaved rounds, {}, on {}; {}. In parentheses: how many times ours.{}\n",
        args.rounds,
        environment.date,
        environment.machine,
        environment.versions.join(", "),
        if args.scale == 1.0 { String::new() } else { part(args.scale) },
    );
    table(&mut text, works, names, runs, |work, figure| work.headline.contains(&figure));
    text.push_str("\nWhat else was measured:\n\n");
    table(&mut text, works, names, runs, |work, figure| !work.headline.contains(&figure));
    failures(&mut text, works, names, runs);
    text
}

fn part(scale: f64) -> String {
    format!(" Of each work's messages, {scale} was done.")
}

/// A row for each work and each of its figures that is wanted.
fn table(
    text: &mut String,
    works: &[&Work],
    names: &[&str],
    runs: &[Run],
    wanted: impl Fn(&Work, Figure) -> bool,
) {
    let _ = writeln!(text, "| work | | {} |", names.join(" | "));
    let _ = writeln!(text, "| --- | --- |{}", " ---: |".repeat(names.len()));
    for work in works {
        let of = |run: &&Run| run.work == work.name;
        let mut figures: Vec<Figure> =
            runs.iter().filter(of).flat_map(|run| run.outcome.figures.keys().copied()).collect();
        figures.sort_unstable();
        figures.dedup();
        let mut what = work.what;
        for figure in figures.into_iter().filter(|figure| wanted(work, *figure)) {
            let ours = value(runs, work, names[0], figure);
            let cells = names.iter().enumerate().map(|(at, name)| {
                let theirs = value(runs, work, name, figure);
                cell(figure, theirs, ours.filter(|_| at > 0))
            });
            let cells: Vec<String> = cells.collect();
            let _ = writeln!(text, "| {what} | {} | {} |", figure.label(), cells.join(" | "));
            what = "";
        }
    }
}

fn cell(figure: Figure, value: Option<f64>, ours: Option<f64>) -> String {
    match (value, ours) {
        (None, _) => "–".to_owned(),
        (Some(value), Some(ours)) if ours > 0.0 => {
            format!("{} ({:.2})", figure.show(value), value / ours)
        }
        (Some(value), _) => figure.show(value),
    }
}

/// The median over the rounds that went well; none where a round did not.
fn value(runs: &[Run], work: &Work, name: &str, figure: Figure) -> Option<f64> {
    let mut values = Vec::new();
    for run in runs.iter().filter(|run| run.work == work.name && run.contestant == name) {
        if !run.outcome.failures.is_empty() {
            return None;
        }
        values.push(run.outcome.get(figure)?);
    }
    (!values.is_empty()).then(|| median(values))
}

/// Why some cells are empty.
fn failures(text: &mut String, works: &[&Work], names: &[&str], runs: &[Run]) {
    for work in works {
        for name in names {
            let mine = runs.iter().filter(|run| run.work == work.name && run.contestant == *name);
            let why = mine.flat_map(|run| &run.outcome.failures).next();
            if let Some(why) = why {
                let _ = writeln!(text, "\n- {name} has no figures for {}: {why}", work.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::works::WORKS;

    fn run(contestant: &str, round: usize, seconds: f64, failures: &[&str]) -> Run {
        let mut outcome = Outcome::default();
        outcome.set(Figure::BrokerCpu, seconds);
        outcome.failures = failures.iter().map(|failure| (*failure).to_owned()).collect();
        Run { work: "qos1", contestant: contestant.to_owned(), round, outcome }
    }

    fn rows(runs: &[Run]) -> String {
        let works: Vec<&Work> = WORKS.iter().filter(|work| work.name == "qos1").collect();
        let mut text = String::new();
        table(&mut text, &works, &["ours", "theirs"], runs, |_, _| true);
        failures(&mut text, &works, &["ours", "theirs"], runs);
        text
    }

    #[test]
    fn a_cell_has_the_median_and_how_many_times_ours_it_is() {
        let runs = [(1, 0.5, 1.0), (2, 0.4, 9.0), (3, 0.1, 1.2)].map(|(round, ours, theirs)| {
            [run("ours", round, ours, &[]), run("theirs", round, theirs, &[])]
        });
        let text = rows(&runs.into_iter().flatten().collect::<Vec<_>>());
        assert!(text.contains("| processor time | 0.40 s | 1.20 s (3.00) |"), "{text}");
    }

    #[test]
    fn who_failed_in_one_round_has_no_figure_and_the_reason_is_said() {
        let runs = [
            run("ours", 1, 0.4, &[]),
            run("theirs", 1, 0.1, &["3 deliveries did not come"]),
            run("theirs", 2, 0.1, &[]),
        ];
        let text = rows(&runs);
        assert!(text.contains("| processor time | 0.40 s | – |"), "{text}");
        assert!(text.contains("theirs has no figures for qos1: 3 deliveries"), "{text}");
    }
}
