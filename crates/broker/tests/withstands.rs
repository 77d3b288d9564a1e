//! docs/broker.md: the tests that its table of attacks names are there.
#![allow(clippy::unwrap_used)]

use std::path::Path;

const PAGE: &str = include_str!("../../../docs/broker.md");

#[test]
fn every_test_that_the_table_names_is_there() {
    let (_, section) = PAGE.split_once("## What it withstands").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let names = section.split('`').skip(1).step_by(2).filter_map(|name| name.split_once("::"));
    let mut count = 0;
    for (file, test) in names {
        let text = std::fs::read_to_string(folder.join(file).with_extension("rs")).unwrap();
        let is_there = text.contains(&format!("#[test]\nfn {test}()"));
        assert!(is_there, "there is no {file}::{test}");
        count += 1;
    }
    assert!(count > 50, "{count}");
    for line in 9..=16 {
        assert!(section.contains(&format!("| C{line}:")), "C{line} has no row");
    }
}
