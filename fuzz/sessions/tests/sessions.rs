//! The scripts that were kept, those of some known seeds, and some that nobody
//! has seen yet. `SEED=NUMBER` has the last begin with that seed.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use latchlight_fuzz_sessions::{hunt, run};

/// How many scripts are the same each time.
const KNOWN: u64 = 300;

/// For how long new ones are made up.
const NEW: Duration = Duration::from_secs(5);

#[test]
fn the_scripts_of_the_corpus_break_no_promise() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/sessions");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is there") {
        let path = entry.expect("an entry").path();
        println!("{}", path.display());
        run(&std::fs::read(path).expect("a script"));
        count += 1;
    }
    assert!(count > 0, "there are scripts");
}

#[test]
fn the_scripts_of_known_seeds_break_no_promise() {
    expect_nothing(1, |seed| seed <= KNOWN);
}

#[test]
fn scripts_that_nobody_has_seen_break_no_promise() {
    let given = std::env::var("SEED").ok().and_then(|text| text.parse().ok());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let first = given.unwrap_or(now.as_secs() << 20);
    println!("SEED={first}");
    let end = Instant::now() + NEW;
    expect_nothing(first, |_| Instant::now() < end);
}

/// Shows the steps of the first script that fails.
fn expect_nothing(first: u64, goes_on: impl FnMut(u64) -> bool) {
    if let Some(finding) = hunt(first, goes_on) {
        println!("SEED={} fails, shortened: {:02x?}", finding.seed, finding.script);
        run(&finding.script);
        panic!("it fails only now and then");
    }
}
