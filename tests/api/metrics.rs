//! `/metrics`: what the server and its embedded broker count.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::harness::{Authority, Manner, Server, until};

const PAGE: &str = include_str!("../../docs/metrics.md");

/// A page of metrics.
struct Metrics {
    text: String,
}

impl Metrics {
    async fn of(server: &Server) -> Self {
        let answer = server.get("/metrics").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        Self { text: String::from_utf8(answer.body.to_vec()).unwrap() }
    }

    fn assert_has(&self, line: &str) {
        assert!(self.text.lines().any(|there| there == line), "no `{line}` in\n{}", self.text);
    }

    /// The types of the metrics, by name.
    fn types(&self) -> BTreeMap<&str, &str> {
        let types = self.text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types.filter_map(|line| line.split_once(' ')).collect()
    }
}

#[tokio::test]
async fn the_embedded_brokers_metrics_are_on_the_page() {
    let server = Server::start().await;
    let _door = server.lock("front-door", Manner::Obeys).await;
    let metrics = Metrics::of(&server).await;
    metrics.assert_has("# TYPE mqtt_clients_connected gauge");
    metrics.assert_has("mqtt_clients_connected 1");
    metrics.assert_has("mqtt_store_errors_total 0");
    metrics.assert_has("latchlight_link_up 1");
    let head = server.send(server.client.head(server.url("/metrics"))).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    server.post("/metrics").await.problem(405, "wrong-method");
    server.stop().await;
}

#[tokio::test]
async fn commands_are_counted_by_what_became_of_them() {
    // The stop does not wait for the door that says nothing.
    let settings = json!({ "http": { "shutdown_timeout_ms": 100 } });
    let server = Server::start_with(settings).await;
    let _door = server.lock("front-door", Manner::Obeys).await;
    let silent = server.lock("back-door", Manner::Silent).await;
    let before = Metrics::of(&server).await;
    before.assert_has(r#"latchlight_commands_total{action="lock",outcome="confirmed"} 0"#);
    server.post("/lock?device=front-door&wait=10").await.devices(200);
    server.post("/unlock?device=back-door&wait=0").await.devices(202);
    let metrics = Metrics::of(&server).await;
    metrics.assert_has(r#"latchlight_commands_total{action="lock",outcome="confirmed"} 1"#);
    metrics.assert_has(r#"latchlight_commands_total{action="unlock",outcome="unconfirmed"} 0"#);
    metrics.assert_has("latchlight_commands_in_flight 1");
    let duration = "latchlight_command_duration_seconds";
    metrics.assert_has(&format!(r#"{duration}_bucket{{le="+Inf",action="lock"}} 1"#));
    metrics.assert_has(&format!(r#"{duration}_count{{action="lock"}} 1"#));
    metrics.assert_has(&format!(r#"{duration}_count{{action="unlock"}} 0"#));
    metrics.assert_has("latchlight_command_record_errors_total 0");
    metrics.assert_has(r#"latchlight_actions_total{action="hand_shake",outcome="ok"} 2"#);
    metrics.assert_has(r#"latchlight_actions_total{action="lock",outcome="ok"} 1"#);
    metrics.assert_has(r#"latchlight_devices{kind="lock",availability="online"} 2"#);
    metrics.assert_has(r#"latchlight_devices{kind="camera",availability="offline"} 0"#);
    silent.leave(&server).await;
    let metrics = Metrics::of(&server).await;
    metrics.assert_has(r#"latchlight_devices{kind="lock",availability="offline"} 1"#);
    server.stop().await;
}

#[tokio::test]
async fn what_clients_make_up_is_counted_and_never_named() {
    let server = Server::start().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    door.say("xyzzy").await;
    until("the door to be answered", async || {
        door.told().contains(&"unknown xyzzy".to_owned()).then_some(())
    })
    .await;
    server.post("/api/v1/actions/xyzzy").await.problem(404, "not-found");
    server.post("/lock?device=xyzzy").await.problem(404, "not-found");
    server.get("/api/v1/devices/xyzzy").await.problem(404, "not-found");
    server.get("/xyzzy").await.problem(404, "no-route");
    let xyzzy = reqwest::Method::from_bytes(b"XYZZY").unwrap();
    server.send(server.client.request(xyzzy, server.url("/hello"))).await;
    let metrics = Metrics::of(&server).await;
    let not_taken = "latchlight_messages_not_taken_total";
    metrics.assert_has(&format!(r#"{not_taken}{{reason="unknown_word"}} 1"#));
    metrics.assert_has(r#"latchlight_actions_total{action="lock",outcome="not_found"} 1"#);
    for labels in [
        r#"method="POST",route="/lock",status="404""#,
        r#"method="POST",route="/api/v1/actions/{name}",status="404""#,
        r#"method="GET",route="/api/v1/devices/{id}",status="404""#,
        r#"method="GET",route="none",status="404""#,
        r#"method="other",route="/hello",status="405""#,
    ] {
        metrics.assert_has(&format!("latchlight_http_requests_total{{{labels}}} 1"));
    }
    for made_up in ["xyzzy", "XYZZY", "front-door"] {
        assert!(!metrics.text.contains(made_up), "{made_up} in\n{}", metrics.text);
    }
    server.stop().await;
}

#[tokio::test]
async fn every_metric_has_its_help_its_type_and_its_row_in_the_documentation() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("localhost");
    let server = Server::start_with(json!({
        "http": { "tls_listen": "127.0.0.1:0" },
        "tls": { "certificate": certificate, "key": key },
    }))
    .await;
    let _door = server.lock("front-door", Manner::Obeys).await;
    Metrics::of(&server).await;
    let metrics = Metrics::of(&server).await;
    let types = metrics.types();
    for line in metrics.text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
        let name = family.filter(|family| types.contains_key(family)).unwrap_or(name);
        assert!(types.contains_key(name), "{line}");
        assert_eq!(types[name] == "counter", name.ends_with("_total"), "{line}");
        assert!(metrics.text.contains(&format!("# HELP {name} ")), "{line}");
    }
    let own: BTreeSet<_> =
        types.keys().copied().filter(|name| name.starts_with("latchlight_")).collect();
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(own, rows.collect());
    server.stop().await;
}

#[tokio::test]
async fn the_brokers_latencies_are_measured_when_that_is_wanted() {
    let publish = "mqtt_publish_latency_seconds";
    for measure in [false, true] {
        let settings = json!({ "mqtt": { "measure_latency": measure } });
        let server = Server::start_with(settings).await;
        let _door = server.lock("front-door", Manner::Obeys).await;
        assert_eq!(Metrics::of(&server).await.types().contains_key(publish), measure);
        server.stop().await;
    }
}
