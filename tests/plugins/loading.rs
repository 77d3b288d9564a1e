//! What is loaded, what is not, and what is said of it.

use std::path::Path;

use latchlight::config::Sha256Hex;
use latchlight::plugin_host::{PluginState, allow_line};
use serde_json::json;

use crate::house::Furnishing;
use crate::libraries::{in_c, in_rust};

#[tokio::test]
async fn an_allowed_plugin_is_started_and_its_actions_are_registered() {
    let library = in_rust("night_mode");
    let house = Furnishing::new().allow(&library, json!({})).move_in().await;
    let report = house.report("libnight_mode.so");
    assert_eq!(report.state, PluginState::Started);
    assert_eq!(report.error, None);
    assert_eq!(report.name.as_deref(), Some("night_mode"));
    assert_eq!(report.version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!((report.api, report.actions), (Some(1), vec!["night_mode".to_owned()]));
    assert_eq!(house.registry.files()["night_mode"], "libnight_mode.so");
}

#[tokio::test]
async fn the_line_that_is_printed_for_a_file_has_it_loaded() {
    let house = Furnishing::new();
    let file = house.path("lib\"doorbell.so");
    std::fs::copy(in_rust("doorbell"), &file).unwrap();
    let line = allow_line(&file).unwrap();
    let house = house.entry(serde_json::from_str(&line).unwrap()).move_in().await;
    assert_eq!(house.report("lib\"doorbell.so").state, PluginState::Started);
}

#[test]
fn no_line_is_printed_for_what_is_no_plugin() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let refused = |file: &Path| allow_line(file).expect_err("no plugin").to_string();
    let said = refused(&root.join("plugins/README.md"));
    assert!(said.ends_with("plugins/README.md: it is not a dynamic library"), "{said}");
    let said = refused(&in_c("no_symbol"));
    assert!(said.contains("it has no symbol `latchlight_plugin`"), "{said}");
    let said = refused(Path::new(env!("CARGO_BIN_EXE_latchlight")));
    assert!(said.contains("it has no symbol"), "{said}");
    let said = refused(&root.join("plugins"));
    assert!(said.ends_with("it is not a plain file, but a link or something else"), "{said}");
    let said = refused(&root.join("plugins/libnone.so"));
    assert!(said.contains("it cannot be read: No such file"), "{said}");
}

#[tokio::test]
async fn a_plugin_that_is_not_there_is_reported_with_the_folder_where_it_should_be() {
    let house = Furnishing::new();
    let folder = house.path("").display().to_string();
    let entry = json!({ "file": "libnone.so", "sha256": "0".repeat(64) });
    let house = house.entry(entry).move_in().await;
    let said = house.report("libnone.so").error.unwrap();
    let folder = folder.trim_end_matches('/');
    assert!(said.contains(&format!("from the plugin folder {folder}: No such file")), "{said}");
}

#[tokio::test]
async fn each_broken_plugin_is_reported_and_the_next_one_starts() {
    let no_library = tempfile::Builder::new().suffix(".so").tempfile().unwrap();
    std::fs::write(no_library.path(), "not a library").unwrap();
    let no_library_name = no_library.path().file_name().unwrap().to_str().unwrap().to_owned();
    let (declared, loaded) = (PluginState::Declared, PluginState::Loaded);
    let broken = [
        (in_c("wrong_api"), declared, "it speaks API 999 and this server 1"),
        (in_c("no_symbol"), declared, "no symbol `latchlight_plugin`"),
        (in_c("cut_short"), declared, "cut short"),
        (in_c("no_perform"), declared, "lacks a function"),
        (in_c("garbled"), loaded, "cannot be read"),
        (in_c("takes_lock"), loaded, "there is an action `lock` already (built-in)"),
        (in_c("takes_a_word"), loaded, "`ack`"),
        (in_c("bad_name"), loaded, "`Bad Name` is not the name of an action"),
        (in_c("for_strangers"), loaded, "devices that have not joined"),
        (in_rust("panics_at_start"), loaded, "it panicked: no name comes to mind"),
        (no_library.path().to_owned(), declared, "not a library"),
    ];
    let mut house = Furnishing::new();
    for (library, ..) in &broken {
        house = house.allow(library, json!({}));
    }
    let good = in_c("in_c");
    let house = house.allow(&good, json!({})).move_in().await;
    for (library, state, error) in &broken {
        let report = house.report(library.file_name().unwrap().to_str().unwrap());
        let said = report.error.expect("an error");
        assert!(said.contains(error), "{}: {said}", report.file);
        assert_eq!(report.state, *state, "{}: {said}", report.file);
        assert!(report.actions.is_empty());
    }
    assert!(!house.report(&no_library_name).error.unwrap().contains("latchlight-plugin-"));
    assert_eq!(house.report("wrong_api.so").api, Some(999));
    assert_eq!(house.report("in_c.so").state, PluginState::Started);
    let answer = house.say("spoken_in_c").await.unwrap();
    assert_eq!(answer.text.as_deref(), Some("spoken in C"));
    assert_eq!(house.registry.files()["lock"], "built-in");
}

#[tokio::test]
async fn the_second_plugin_of_a_name_is_not_started() {
    let (first, second) = (in_c("in_c"), in_c("same_name"));
    let house = Furnishing::new().allow(&first, json!({})).allow(&second, json!({}));
    let house = house.move_in().await;
    let report = house.report("same_name.so");
    assert_eq!(report.error.as_deref(), Some("there is a plugin `in_c` already"));
    assert_eq!(house.report("in_c.so").state, PluginState::Started);
}

#[tokio::test]
async fn the_second_action_of_a_name_is_not_registered() {
    let original = in_rust("night_mode");
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.so");
    std::fs::copy(&original, &copy).unwrap();
    let house = Furnishing::new().allow(&original, json!({})).allow(&copy, json!({}));
    let house = house.move_in().await;
    assert_eq!(house.report("copy.so").state, PluginState::Loaded);
    assert_eq!(house.registry.files()["night_mode"], "libnight_mode.so");
}

#[tokio::test]
async fn a_plugin_that_changed_after_it_was_allowed_is_not_loaded() {
    let house = Furnishing::new().allow(&in_c("in_c"), json!({}));
    let file = house.path("in_c.so");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.push(0);
    std::fs::write(&file, bytes).unwrap();
    let house = house.move_in().await;
    let report = house.report("in_c.so");
    assert_eq!(report.state, PluginState::Declared);
    let error = report.error.unwrap();
    assert!(error.contains("changed after it was allowed"), "{error}");
    assert!(house.registry.get("spoken_in_c").is_none());
}

#[tokio::test]
async fn there_is_no_path_out_of_the_plugin_folder() {
    let library = in_c("in_c");
    let sha256 = Sha256Hex::of(&std::fs::read(&library).unwrap());
    let entry = |file: &str| json!({ "file": file, "sha256": sha256.as_str() });
    let house = Furnishing::new().entry(entry("link.so")).entry(entry("missing.so"));
    std::os::unix::fs::symlink(&library, house.path("link.so")).unwrap();
    let house = house.move_in().await;
    let linked = house.report("link.so");
    assert_eq!(linked.state, PluginState::Declared);
    assert!(linked.error.unwrap().contains("but a link"));
    assert!(house.report("missing.so").error.unwrap().contains("cannot be read"));
    assert!(house.registry.get("spoken_in_c").is_none());
}

#[tokio::test]
async fn a_library_that_is_not_allowed_is_reported_and_not_loaded() {
    let house = Furnishing::new();
    std::fs::copy(in_c("in_c"), house.path("in_c.so")).unwrap();
    let house = house.move_in().await;
    let report = house.report("in_c.so");
    assert_eq!(report.state, PluginState::NotAllowed);
    assert!(report.error.unwrap().contains("latchlight plugin allow"));
    assert!(house.registry.get("spoken_in_c").is_none());
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_a_house_without_plugins() {
    let house = Furnishing::new();
    std::fs::remove_dir(house.path("")).unwrap();
    assert_eq!(house.move_in().await.host.reports(), []);
}

#[tokio::test]
async fn a_plugin_that_takes_too_long_to_start_does_not_hold_up_the_server() {
    let (slow, good) = (in_c("slow_start"), in_c("in_c"));
    let house = Furnishing::new().time_limit_ms(4000);
    let house = house.allow(&slow, json!({})).allow(&good, json!({})).move_in().await;
    let report = house.report("slow_start.so");
    assert_eq!(report.state, PluginState::Loaded);
    assert!(report.error.unwrap().contains("within its time limit of 4000 ms"));
    assert_eq!(house.report("in_c.so").state, PluginState::Started);
}
