//! Makes up scripts until one fails, and shows the steps of that, shortened:
//! `cargo run --example hunt -- SECONDS [SEED]`. The script is left in a file.

use std::time::{Duration, Instant};

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(60);
    let first: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut next = first;
    let finding = latchlight_fuzz_sessions::hunt(first, |seed| {
        next = seed;
        Instant::now() < end
    });
    let Some(finding) = finding else {
        println!("{} scripts, up to seed {next}", next - first);
        return Ok(());
    };
    println!("seed {} fails, after {} scripts", finding.seed, next - first);
    std::fs::write("finding", &finding.script)?;
    latchlight_fuzz_sessions::run(&finding.script);
    Ok(())
}
