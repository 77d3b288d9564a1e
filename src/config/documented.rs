//! docs/settings.md has every setting, and its default; and what the
//! documentation shows of config.json is taken.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use super::Settings;

const PAGE: &str = include_str!("../../docs/settings.md");

/// A key that no setting has.
const NO_KEY: &str = "?";

/// The keys that the settings have, lists marked by `[]` and names by `<id>`;
/// those of parts are not among them, for they have rows of their own.
fn keys() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    add_keys("", &|value| value, &mut keys);
    for part in [
        "http", "mqtt", "tls", "oidc", "limits", "database", "log", "commands", "events",
        "messages", "pictures", "devices", "plugins",
    ] {
        assert!(keys.remove(part), "{part}");
    }
    for named in ["devices.<id>", "plugins.installed.<id>"] {
        assert!(keys.remove(named), "{named}");
    }
    keys
}

#[test]
fn what_has_keys_is_an_object() {
    let keys = keys();
    let parts = keys.iter().flat_map(|key| key.match_indices('.').map(|(end, _)| &key[..end]));
    let parts: BTreeSet<&str> = parts.chain([""]).collect();
    assert_eq!(parts, super::section::OBJECTS.into());
}

/// Adds the keys of the place where `within` puts an object, if objects with
/// keys of the server's stand there: the settings name them to who comes with
/// a wrong one.
fn add_keys(place: &str, within: &dyn Fn(Value) -> Value, keys: &mut BTreeSet<String>) -> bool {
    let answer = serde_json::from_value::<Settings>(within(json!({ NO_KEY: 0 })));
    let Err(error) = answer.map_err(|error| error.to_string()) else { return false };
    let Some((_, expected)) = error.split_once(&format!("unknown field `{NO_KEY}`, expected "))
    else {
        return false;
    };
    for key in expected.split('`').skip(1).step_by(2) {
        let place = if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
        let inside = |value: Value| within(json!({ key: value }));
        let _ = add_keys(&place, &inside, keys)
            || add_keys(&format!("{place}[]"), &|value| inside(json!([value])), keys)
            || add_keys(&format!("{place}.<id>"), &|value| inside(json!({ "x": value })), keys)
                && keys.insert(format!("{place}.<id>"));
        keys.insert(place);
    }
    true
}

/// The keys of the page's tables, with the second column.
fn rows() -> BTreeMap<&'static str, &'static str> {
    let mut rows = BTreeMap::new();
    for row in PAGE.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for key in cells[1].split(", ") {
            let key = key.strip_prefix('`').and_then(|key| key.strip_suffix('`')).expect(row);
            assert!(rows.insert(key, cells[2]).is_none(), "{key} has two rows");
        }
    }
    rows
}

#[test]
fn every_setting_has_its_row_and_every_row_its_setting() {
    let documented: BTreeSet<String> = rows().into_keys().map(str::to_owned).collect();
    assert_eq!(documented, keys());
}

#[test]
fn the_defaults_of_the_page_are_the_defaults() {
    let mut shown = json!({});
    for (key, default) in rows().into_iter().filter(|(key, _)| !key.contains(['[', '<'])) {
        if default == "—" {
            continue;
        }
        let json = default.strip_prefix('`').and_then(|text| text.strip_suffix('`')).expect(key);
        let json: Value = serde_json::from_str(json).expect(key);
        match key.split_once('.') {
            Some((part, key)) => shown[part][key] = json,
            None => shown[key] = json,
        }
    }
    let shown = Settings::load_with(&shown.to_string(), HashMap::new()).expect("they are taken");
    let default = Settings::default();
    assert_eq!(format!("{shown:?}"), format!("{default:?}"));
    // These are not in what `{:?}` gives.
    let (shown, default) = (shown.mqtt, default.mqtt);
    assert_eq!(shown.protocol, default.protocol);
    assert_eq!(shown.unlock_over_311, default.unlock_over_311);
    assert_eq!(shown.client_id, default.client_id);
    let unset = [default.username, default.password].iter().all(Option::is_none);
    assert!(unset && default.ca_file.is_none() && default.cert_file.is_none());
    assert!(default.key_file.is_none());
}

#[test]
fn what_the_documentation_shows_of_config_json_is_taken() {
    let pages = [
        PAGE,
        include_str!("../../README.md"),
        include_str!("../../plugins/README.md"),
        include_str!("../../docs/accounts.md"),
        include_str!("../../docs/outside-brokers.md"),
        include_str!("../../docs/tls.md"),
    ];
    let blocks = pages.iter().flat_map(|page| page.split("```json").skip(1));
    let blocks = blocks.map(|rest| rest.split("```").next().expect("a block"));
    let blocks = blocks.map(|block| block.split_once('\n').expect("lines").1);
    let shown: Vec<&str> = blocks.filter(|block| block.contains("\"settings\"")).collect();
    assert!(shown.len() >= 3, "{shown:?}");
    for block in shown {
        let block = block.replace("<64 digits>", &"0".repeat(64));
        let config: Value = serde_json::from_str(&block).expect(&block);
        let settings = config["settings"].to_string();
        let taken = Settings::load_with(&settings, HashMap::new());
        assert!(taken.is_ok(), "{block}\n{}", taken.expect_err("refused"));
    }
}
