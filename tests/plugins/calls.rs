//! Calls of the example plugins, and of one that misbehaves.

use futures_util::future::join_all;
use latchlight::identity::Who;
use latchlight_broker::prometheus_text;
use latchlight_plugin_api::ErrorKind;
use prometheus_client::registry::Registry;
use serde_json::json;

use crate::house::{Furnishing, House};
use crate::libraries::in_rust;

async fn rude() -> House {
    let more = json!({ "grants": { "sees": ["*"] } });
    Furnishing::new().allow(&in_rust("rude"), more).move_in().await
}

#[tokio::test]
async fn night_mode_locks_the_locks_and_switches_the_lights_off() {
    let grants = json!({ "grants": { "commands": [
        { "actions": ["lock", "off"], "devices": ["*"] }] } });
    let house = Furnishing::new().allow(&in_rust("night_mode"), grants).move_in().await;
    let answer = house.say("night_mode").await.unwrap();
    assert_eq!(answer.text.as_deref(), Some("1 locked, 1 off"));
    assert_eq!(house.asked(), ["night_mode: lock front-door", "night_mode: off hall"]);
}

#[tokio::test]
async fn a_press_of_the_bell_raises_one_alert() {
    let more = json!({ "grants": { "alerts": ["doorbell"] }, "settings": { "quiet_ms": 600_000 } });
    let house = Furnishing::new().allow(&in_rust("doorbell"), more).move_in().await;
    for said in ["rung", "quiet"] {
        let porch = Who::Device("porch".parse().unwrap());
        let answer = house.say_as(porch, "doorbell", false).await.unwrap();
        assert_eq!(answer.text.as_deref(), Some(said));
    }
    assert_eq!(house.asked(), ["alert doorbell"]);
}

#[tokio::test]
async fn what_was_said_and_by_whom_reaches_the_plugin_whole() {
    let house = rude().await;
    let answer = house.say("rude_echo {\"a\": \"ü  b\"}").await.unwrap();
    assert_eq!(answer.text.as_deref(), Some("app:operator says {\"a\": \"ü  b\"} to 3"));
}

#[tokio::test]
async fn a_panic_is_an_error_to_the_caller_and_the_next_call_is_performed() {
    let house = rude().await;
    let error = house.say("rude_panic").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Internal);
    assert!(!error.message.contains("on purpose"), "{error}");
    assert!(house.say("rude_echo").await.is_ok());
    let report = house.report("librude.so");
    assert_eq!((report.calls, report.failed, report.panics), (2, 1, 1));
}

#[tokio::test]
async fn calls_are_counted_under_the_names_that_the_documentation_has() {
    let house = rude().await;
    house.say("rude_panic").await.unwrap_err();
    house.say("rude_echo").await.unwrap();
    let mut registry = Registry::default();
    house.host.register_counts(registry.sub_registry_with_prefix("latchlight"));
    let text = prometheus_text(&registry);
    for line in [
        r#"latchlight_plugins{state="started"} 1"#,
        r#"latchlight_plugins{state="quarantined"} 0"#,
        r#"latchlight_plugin_calls_total{plugin="rude"} 2"#,
        r#"latchlight_plugin_calls_failed_total{plugin="rude"} 1"#,
        r#"latchlight_plugin_panics_total{plugin="rude"} 1"#,
        r#"latchlight_plugin_requests_refused_total{plugin="rude"} 0"#,
        r#"latchlight_plugin_call_duration_seconds_count{plugin="rude"} 2"#,
    ] {
        assert!(text.lines().any(|there| there == line), "{line}\n{text}");
    }
    let page = include_str!("../../docs/metrics.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let rows: Vec<_> = rows.filter(|name| name.starts_with("latchlight_plugin")).collect();
    assert_eq!(rows.len(), text.matches("# TYPE ").count());
    for name in rows {
        assert!(text.contains(&format!("# TYPE {name} ")), "{name}\n{text}");
    }
}

#[tokio::test]
async fn calls_run_side_by_side_up_to_a_bound_and_more_than_can_wait_are_refused() {
    let house = rude().await;
    let results = join_all((0..100).map(|_| house.say("rude_sleep 200"))).await;
    let done = results.iter().filter(|result| result.is_ok()).count();
    let busy = |result: &&Result<_, latchlight_plugin_api::ActionError>| {
        result
            .as_ref()
            .is_err_and(|e| e.kind == ErrorKind::Unavailable && e.message.contains("busy"))
    };
    // 4 run and 64 wait; the rest comes too early.
    assert!(done >= 68, "{done}");
    assert!(results.iter().any(|result| busy(&result)));
    assert_eq!(done + results.iter().filter(busy).count(), 100);
}
