//! docs/from-mochi.md: what it calls ours is there, and nothing is left out.
#![allow(clippy::unwrap_used)]

const PAGE: &str = include_str!("../../../docs/from-mochi.md");
const HOOKS: [(&str, &str); 4] = [
    ("Access", include_str!("../src/access.rs")),
    ("Authentication", include_str!("../src/authentication.rs")),
    ("Interceptor", include_str!("../src/interceptor.rs")),
    ("Observer", include_str!("../src/observer.rs")),
];
const OTHERS: [&str; 18] = [
    include_str!("../src/administration/retained.rs"),
    include_str!("../src/administration/sessions.rs"),
    include_str!("../src/broker.rs"),
    include_str!("../src/debug.rs"),
    include_str!("../src/http/serve.rs"),
    include_str!("../src/injection.rs"),
    include_str!("../src/inline.rs"),
    include_str!("../src/inline_handler.rs"),
    include_str!("../src/interceptor.rs"),
    include_str!("../src/ledger/handle.rs"),
    include_str!("../src/listener/layers.rs"),
    include_str!("../src/listener/mod.rs"),
    include_str!("../src/listener/unix.rs"),
    include_str!("../src/metrics/collector.rs"),
    include_str!("../src/review.rs"),
    include_str!("../src/tls/mod.rs"),
    include_str!("../src/websocket/mod.rs"),
    include_str!("../src/transport/memory.rs"),
];

/// What stands behind this at the beginning of a line.
fn declared<'a>(source: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    let rest = source.lines().filter_map(move |line| line.strip_prefix(before));
    rest.map(|rest| rest.split(|c: char| c != '_' && !c.is_alphanumeric()).next().unwrap())
}

/// The methods of a trait.
fn methods<'a>(name: &str, source: &'a str) -> Vec<&'a str> {
    let body = source.split_once(&format!("pub trait {name}")).unwrap().1;
    let body = body.split_once("\n}\n").unwrap().0;
    ["    fn ", "    async fn "].into_iter().flat_map(|before| declared(body, before)).collect()
}

#[test]
fn every_option_stands_on_the_page() {
    let source = include_str!("../src/options.rs");
    let fields = source.split_once("pub struct Options").unwrap().1.split_once("\n}\n").unwrap().0;
    let fields: Vec<_> = declared(fields, "    pub ").collect();
    assert!(fields.len() > 30);
    for field in fields {
        assert!(PAGE.contains(&format!("`{field}`")), "{field}");
    }
}

#[test]
fn every_method_of_a_hook_stands_on_the_page() {
    for (name, source) in HOOKS {
        for method in methods(name, source) {
            // What is looked at again has no word there.
            let is_named = PAGE.contains(&format!("`{name}::{method}`"));
            assert!(is_named || (name, method) == ("Access", "review"), "{name}::{method}");
        }
    }
}

#[test]
fn what_the_page_names_is_there() {
    let quoted = PAGE.split('`').skip(1).step_by(2);
    let ours = quoted.filter(|name| !name.contains(['(', ' ']) && name.contains("::"));
    let mut count = 0;
    for (name, item) in ours.map(|name| name.split_once("::").unwrap()) {
        let is_there = match HOOKS.iter().find(|(hook, _)| *hook == name) {
            Some((hook, source)) => methods(hook, source).contains(&item),
            None => OTHERS.iter().any(|source| {
                [format!("fn {item}("), format!("fn {item}<"), format!("    {item}")]
                    .iter()
                    .any(|declaration| source.contains(declaration))
            }),
        };
        assert!(is_there, "{name}::{item}");
        count += 1;
    }
    assert!(count > 60, "{count}");
}
