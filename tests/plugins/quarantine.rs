//! A call that outlasts its time limit.

use latchlight::plugin_host::PluginState;
use latchlight_plugin_api::ErrorKind;
use serde_json::json;

use crate::house::Furnishing;
use crate::libraries::{in_c, in_rust};

#[tokio::test]
async fn a_slow_call_puts_the_plugin_in_quarantine_and_no_other() {
    let house = Furnishing::new().time_limit_ms(3000).allow(&in_rust("rude"), json!({}));
    let house = house.allow(&in_c("in_c"), json!({})).move_in().await;
    assert!(house.say("rude_echo").await.is_ok());
    let error = house.say("rude_sleep 60000").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("outlasted 3000 ms"), "{error}");
    let error = house.say("rude_echo").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("in quarantine since"), "{error}");
    let report = house.report("librude.so");
    assert_eq!(report.state, PluginState::Quarantined);
    assert!(report.quarantined_since.is_some() && report.error.is_some());
    assert_eq!((report.calls, report.failed), (2, 1));
    assert!(house.say("spoken_in_c").await.is_ok());
}

#[tokio::test]
async fn an_abandoned_call_unlocks_nothing_when_it_comes_to_it() {
    let told = tempfile::tempdir().unwrap();
    let tell = told.path().join("told");
    let more = json!({
        "grants": { "commands": [{ "actions": ["unlock", "on"], "devices": ["*"] }] },
        "settings": { "tell": tell },
    });
    let house = Furnishing::new().time_limit_ms(2000).allow(&in_rust("rude"), more);
    let house = house.move_in().await;
    house.say("rude_late_unlock 4000").await.unwrap_err();
    let said = loop {
        match std::fs::read_to_string(&tell) {
            Ok(said) if !said.is_empty() => break said,
            _ => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    };
    assert!(said.contains("in quarantine"), "{said}");
    assert!(house.asked().is_empty(), "{:?}", house.asked());
}
