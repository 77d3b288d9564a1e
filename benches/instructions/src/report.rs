//! The table, and whether all is well.

use std::fmt::Write as _;

use crate::baseline::Baseline;
use crate::valgrind::Count;

/// What a case may cost more than the baseline says, in percent. The same
/// program counts the same to within a thousandth.
const TOLERANCE: i64 = 5;

/// Markdown.
pub fn table(counted: &[Count], baseline: &Baseline) -> String {
    let mut table = String::from("| per message | instructions | baseline | |\n");
    table.push_str("| --- | ---: | ---: | ---: |\n");
    for Count { name, tenths } in counted {
        let (before, change) = match baseline.get(name) {
            Some(before) => (shown(*before), format!("{:+.1} %", change(*tenths, *before))),
            None => ("".into(), "new".into()),
        };
        let _ = writeln!(table, "| {name} | {} | {before} | {change} |", shown(*tenths));
    }
    table
}

/// Says which cases cost more than they may, and which much less; false: there
/// are some of the former.
pub fn verdict(counted: &[Count], baseline: &Baseline) -> bool {
    let changes = counted.iter().filter_map(|count| {
        let before = *baseline.get(&count.name)?;
        Some((&count.name, change(count.tenths, before)))
    });
    let limit = TOLERANCE as f64;
    let (more, less): (Vec<_>, Vec<_>) =
        changes.filter(|(_, change)| change.abs() > limit).partition(|(_, change)| *change > 0.0);
    for (name, change) in &more {
        println!("more than {TOLERANCE} % above the baseline: {name} ({change:+.1} %)");
    }
    for (name, change) in &less {
        println!("well below the baseline, which --save makes anew: {name} ({change:+.1} %)");
    }
    more.is_empty()
}

fn change(now: u64, before: u64) -> f64 {
    (now as f64 / before.max(1) as f64 - 1.0) * 100.0
}

fn shown(tenths: u64) -> String {
    match tenths {
        0..1000 => format!("{}.{}", tenths / 10, tenths % 10),
        _ => format!("{}", (tenths + 5) / 10),
    }
}
