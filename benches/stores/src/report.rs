//! The table of what came out.

use std::fmt::Write as _;

use crate::measure::Figures;
use crate::{CANDIDATES, DISK};

/// A Markdown table: medians of the rounds, and in brackets what they are to
/// the first candidate's.
pub(crate) fn table(all: &[(&str, Figures)]) -> String {
    let mut out =
        format!("| | {} |\n| --- |{}\n", CANDIDATES.join(" | "), " --- |".repeat(CANDIDATES.len()));
    let sizes = all.iter().find(|(name, _)| *name == CANDIDATES[0]);
    let sizes = sizes.map_or(0, |(_, figures)| figures.commits.len());
    for at in 0..sizes {
        let rows = all.iter().find_map(|(_, figures)| Some(figures.commits.get(at)?.rows));
        let rows = rows.unwrap_or_default();
        line(&mut out, &format!("{rows} rows: µs, mean"), all, |it| it.commits[at].mean);
        line(&mut out, &format!("{rows} rows: µs, 99 %"), all, |it| it.commits[at].p99);
        line(&mut out, &format!("{rows} rows: µs of processor"), all, |it| it.commits[at].cpu);
        line(&mut out, &format!("{rows} rows: KiB written"), all, |it| it.commits[at].written);
    }
    line(&mut out, "restore of 100,000 rows, ms", all, |it| it.restore);
    line(&mut out, "on disk after all that, KiB", all, |it| it.disk as f64);
    line(&mut out, "memory then, KiB", all, |it| it.memory as f64);
    line(&mut out, "memory after the restore, KiB", all, |it| it.memory_restored as f64);
    let disk = median(all, DISK, |it| it.commits[0].mean);
    let _ = write!(out, "\nThe disk itself, 4 KiB appended and synced: {disk:.0} µs.");
    out
}

fn line(out: &mut String, what: &str, all: &[(&str, Figures)], of: impl Fn(&Figures) -> f64) {
    let first = median(all, CANDIDATES[0], &of);
    let _ = write!(out, "| {what} |");
    for name in CANDIDATES {
        let value = median(all, name, &of);
        let digits = usize::from(value < 10.0);
        let _ = write!(out, " {value:.digits$}");
        if name != CANDIDATES[0] {
            let _ = write!(out, " ({:.1})", value / first);
        }
        out.push_str(" |");
    }
    out.push('\n');
}

fn median(all: &[(&str, Figures)], name: &str, of: impl Fn(&Figures) -> f64) -> f64 {
    let ours = all.iter().filter(|(its, _)| *its == name);
    let mut values: Vec<f64> = ours.map(|(_, figures)| of(figures)).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
