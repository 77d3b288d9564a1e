//! The table of features beside this file, held against the tests.

use std::fs;
use std::path::Path;

#[test]
fn every_feature_names_tests_that_exist() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let table = fs::read_to_string(tests.join("conformance/features.md")).unwrap();
    let mut errors = Vec::new();
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(2);
    for row in rows {
        let shown_by = row.trim_matches('|').rsplit('|').next().unwrap();
        let names: Vec<_> = shown_by.split('`').filter(|name| name.contains("::")).collect();
        if names.is_empty() {
            errors.push(format!("nothing shows this: {row}"));
        }
        for name in names {
            let (module, test) = name.split_once("::").unwrap();
            let file = match module.strip_prefix("tests/") {
                Some(elsewhere) => tests.join(elsewhere),
                None => tests.join("conformance").join(module),
            };
            let source = fs::read_to_string(file.with_extension("rs")).unwrap_or_default();
            if !source.contains(&format!("#[test]\nfn {test}()")) {
                errors.push(format!("there is no test {name}"));
            }
        }
    }
    assert!(errors.is_empty(), "\n{}", errors.join("\n"));
}
