//! The whole server's figures, as a Markdown table and as JSON.
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use latchlight_contest::{Environment, first_line, median};
use serde::Serialize;

use crate::server::ServerArgs;

/// One measurement.
#[derive(Debug, Serialize)]
pub struct Figure {
    pub what: String,
    pub unit: &'static str,
    pub program: &'static str,
    pub round: usize,
    pub value: f64,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    what: &'a str,
    unit: &'a str,
    latchlight: f64,
    /// Of the program that was measured in turn, where one was.
    before: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    environment: &'a Environment,
    rounds: usize,
    seconds: f64,
    medians: &'a [Row<'a>],
    figures: &'a [Figure],
}

/// Prints the table and writes `server.md` and `server.json`.
pub fn write(figures: &[Figure], args: &ServerArgs, program: &Path) -> anyhow::Result<()> {
    let rows = rows(figures);
    let environment = Environment::look([first_line(Command::new(program).arg("--version"))]);
    let table = markdown(&rows, &environment, args);
    println!("{table}");
    fs::write(args.out.join("server.md"), &table).context("write server.md")?;
    let (rounds, seconds) = (args.rounds, args.seconds);
    let report = Report { environment: &environment, rounds, seconds, medians: &rows, figures };
    fs::write(args.out.join("server.json"), serde_json::to_string_pretty(&report)?)
        .context("write server.json")?;
    eprintln!("written to {}", args.out.join("server.{md,json}").display());
    Ok(())
}

/// The medians, in the order in which they were measured.
fn rows(figures: &[Figure]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for Figure { what, unit, .. } in figures {
        if rows.iter().any(|row| row.what == what) {
            continue;
        }
        let of = |program: &str| {
            let theirs = figures.iter().filter(|one| one.what == *what && one.program == program);
            median(theirs.map(|one| one.value).collect())
        };
        let before = Some(of("before")).filter(|before| !before.is_nan());
        rows.push(Row { what, unit, latchlight: of("Latchlight"), before });
    }
    rows
}

fn markdown(rows: &[Row<'_>], environment: &Environment, args: &ServerArgs) -> String {
    let compared = args.before.is_some();
    let mut text = String::from(if compared {
        "| work | before | Latchlight | |\n| --- | ---: | ---: | ---: |\n"
    } else {
        "| work | Latchlight |\n| --- | ---: |\n"
    });
    for Row { what, unit, latchlight, before } in rows {
        // Writing to a String does not fail.
        let _ = match before {
            Some(before) => writeln!(
                text,
                "| {what} | {before:.0} {unit} | {latchlight:.0} {unit} | × {:.2} |",
                latchlight / before
            ),
            None if compared => writeln!(text, "| {what} | | {latchlight:.0} {unit} | |"),
            None => writeln!(text, "| {what} | {latchlight:.0} {unit} |"),
        };
    }
    let Environment { date, machine, versions } = environment;
    let ServerArgs { rounds, seconds, .. } = args;
    let _ = writeln!(
        text,
        "\nMedians of {rounds} interleaved rounds ({seconds} s each), {}, on {date}; {machine}.",
        versions.join(", "),
    );
    text
}
