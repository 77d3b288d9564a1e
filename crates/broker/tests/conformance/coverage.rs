//! Which statements are tested: the tables beside this file, held against the
//! doc comments of the tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The versions, and where their statements stand.
const TABLES: [(&str, &str); 2] = [("5.0", "mqtt_5_0.md"), ("3.1.1", "mqtt_3_1_1.md")];

/// This file, whose statements are made up.
const OWN: &str = "coverage.rs";

/// A statement of one version.
type Statement = (&'static str, String);

/// How the statements of one chapter are covered.
#[derive(Default)]
struct Chapter {
    tested: usize,
    for_clients: usize,
    excepted: usize,
    missing: Vec<String>,
}

impl Chapter {
    fn all(&self) -> usize {
        self.tested + self.for_clients + self.excepted + self.missing.len()
    }
}

#[test]
fn every_statement_has_a_test_or_a_reason() {
    let mut errors = Vec::new();
    let tags = tags(&mut errors);
    for (version, file) in TABLES {
        let table = table(file, &mut errors);
        let mut chapters = BTreeMap::<_, Chapter>::new();
        for (id, reason) in &table {
            let chapter = chapters.entry(chapter_of(id)).or_default();
            match (tags.contains(&(version, id.clone())), reason.as_str()) {
                (true, "") => chapter.tested += 1,
                (false, "") => chapter.missing.push(id.clone()),
                (true, _) => errors.push(format!("{version} {id}: has a test and a reason")),
                (false, reason) if reason.starts_with("client:") => chapter.for_clients += 1,
                (false, _) => chapter.excepted += 1,
            }
        }
        for (_, id) in tags.iter().filter(|(of, id)| *of == version && !table.contains_key(id)) {
            errors.push(format!("{version} {id}: there is no such statement"));
        }
        print(version, &chapters);
        let missing = chapters.values().flat_map(|chapter| &chapter.missing);
        errors.extend(missing.map(|id| format!("{version} {id}: no test names it")));
    }
    assert!(errors.is_empty(), "\n{}", errors.join("\n"));
}

/// The first two numbers: 3.1 is CONNECT, 4.7 topics.
fn chapter_of(id: &str) -> (u32, u32) {
    let mut numbers = id.trim_start_matches("MQTT-").split(['.', '-']).map(str::parse::<u32>);
    let mut next = || numbers.next().unwrap().unwrap();
    (next(), next())
}

fn print(version: &str, chapters: &BTreeMap<(u32, u32), Chapter>) {
    let sum = |of: fn(&Chapter) -> usize| chapters.values().map(of).sum::<usize>();
    println!(
        "MQTT {version}: {} statements: {} tested, {} for clients only, {} excepted for other \
         reasons, {} missing",
        sum(Chapter::all),
        sum(|chapter| chapter.tested),
        sum(|chapter| chapter.for_clients),
        sum(|chapter| chapter.excepted),
        sum(|chapter| chapter.missing.len()),
    );
    println!("| chapter | statements | tested | clients only | excepted | missing |");
    for ((first, second), chapter) in chapters {
        println!(
            "| {:<7} | {:>10} | {:>6} | {:>12} | {:>8} | {:>7} |{}",
            format!("{first}.{second}"),
            chapter.all(),
            chapter.tested,
            chapter.for_clients,
            chapter.excepted,
            chapter.missing.len(),
            chapter.missing.iter().map(|id| format!(" {id}")).collect::<String>(),
        );
    }
}

/// Behind `3.1.1:` in its line, a tag is of that version; otherwise of 5.0.
#[test]
fn the_tags_of_the_code_name_statements_that_exist() {
    let mut errors = Vec::new();
    let tables = TABLES.map(|(version, file)| (version, table(file, &mut errors)));
    for folder in ["src", "tests", "examples", "../mqtt/src", "../mqtt/tests"] {
        each_source(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder), &mut |path, text| {
            for (number, line) in text.lines().enumerate() {
                for (at, _) in line.match_indices("[MQTT-") {
                    let of = if line[..at].contains("3.1.1:") { "3.1.1" } else { "5.0" };
                    let id = line[at + 1..].split(']').next().unwrap_or_default();
                    let (_, table) = tables.iter().find(|(version, _)| *version == of).unwrap();
                    if !table.contains_key(id) {
                        let place = format!("{}:{}", path.display(), number + 1);
                        errors.push(format!("{place}: {of} has no {id}"));
                    }
                }
            }
        });
    }
    assert!(errors.is_empty(), "\n{}", errors.join("\n"));
}

/// Reads the sources below a folder, but for this suite, which has its own test.
fn each_source(folder: &Path, look: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("conformance") {
            each_source(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

/// The statements of a version, and why they have no test, where they have none.
fn table(file: &str, errors: &mut Vec<String>) -> BTreeMap<String, String> {
    let text = fs::read_to_string(folder().join(file)).unwrap();
    let mut statements = BTreeMap::new();
    for row in text.lines().filter(|line| line.starts_with("| MQTT-")) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [id, summary, reason] = cells[..] else { panic!("{file}: {row}") };
        assert!(!summary.is_empty(), "{file}: {id} says nothing");
        if statements.insert(id.to_owned(), reason.to_owned()).is_some() {
            errors.push(format!("{file}: {id} stands there twice"));
        }
    }
    statements
}

/// What the tests name.
fn tags(errors: &mut Vec<String>) -> BTreeSet<Statement> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with(OWN) {
            let text = fs::read_to_string(&path).unwrap();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            tags_of(&file, &text, &mut found, errors);
        }
    }
    found
}

/// What the tests of one file name. Only what stands above `#[test]` counts.
fn tags_of(file: &str, text: &str, found: &mut BTreeSet<Statement>, errors: &mut Vec<String>) {
    let mut doc = String::new();
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if let Some(words) = line.strip_prefix("///") {
            doc += words;
        } else if line == "#[test]" {
            match named(&doc) {
                Ok(named) => found.extend(named),
                Err(error) => errors.push(format!("{file}:{}: {error}", number + 1)),
            }
            doc.clear();
        } else {
            if doc.contains("[MQTT-") {
                errors.push(format!("{file}:{}: names a statement and is no test", number + 1));
            }
            doc.clear();
        }
        if line.starts_with("#[ignore") {
            errors.push(format!("{file}:{}: a test that is not run shows nothing", number + 1));
        }
    }
}

/// The statements that a doc comment names, each behind its version.
fn named(doc: &str) -> Result<Vec<Statement>, String> {
    let mut version = None;
    let mut named = Vec::new();
    for word in doc.split_whitespace() {
        if let Some((known, _)) = TABLES.iter().find(|(v, _)| word.strip_suffix(':') == Some(v)) {
            version = Some(*known);
        } else if let Some(id) = word.strip_prefix('[').filter(|word| word.starts_with("MQTT-")) {
            let id = id.trim_end_matches(['.', ',', ';']);
            let id = id.strip_suffix(']').ok_or_else(|| format!("{word}: no bracket"))?;
            let version = version.ok_or_else(|| format!("{id}: of which version?"))?;
            named.push((version, id.to_owned()));
        }
    }
    Ok(named)
}

#[test]
fn a_tag_counts_for_its_version_and_above_a_test_only() {
    let (mut found, mut errors) = (BTreeSet::new(), Vec::new());
    let text = "/// It does.\n/// 5.0: [MQTT-1.0.0-1], [MQTT-1.0.0-2];\n/// 3.1.1: [MQTT-2.0.0-1].\n\
                #[test]\nfn it_does() {}\n/// [MQTT-9.0.0-1]\nfn helper() {}\n\
                /// [MQTT-9.0.0-2]\n#[test]\nfn no_version() {}";
    tags_of("here", text, &mut found, &mut errors);
    let expected = [("3.1.1", "MQTT-2.0.0-1"), ("5.0", "MQTT-1.0.0-1"), ("5.0", "MQTT-1.0.0-2")];
    assert_eq!(found, expected.map(|(version, id)| (version, id.to_owned())).into());
    assert_eq!(errors.len(), 2, "{errors:?}");
}
