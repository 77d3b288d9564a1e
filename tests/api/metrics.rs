//! `/metrics`: what the server and its embedded broker count.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::harness::{Authority, Manner, Server, png, until};

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
        types.keys().copied().filter(|name| !name.starts_with("mqtt_")).collect();
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    // Those of a plugin are there when one runs: tests/plugins has one.
    let rows = rows.filter(|name| !name.starts_with("latchlight_plugin_"));
    assert_eq!(own, rows.collect());
    server.stop().await;
}

#[tokio::test]
async fn a_key_for_metrics_sees_them_and_nothing_else() {
    let server = Server::start().await;
    let key = json!({ "name": "prometheus", "scopes": "metrics:read" });
    let key = server.post_json("/api/v1/api-keys", &key).await.json();
    let secret = key["secret"].as_str().unwrap();
    let ask = async |path: &str| {
        let request = server.stranger.get(server.url(path)).bearer_auth(secret);
        server.send(request).await
    };
    assert_eq!(ask("/metrics").await.status, 200);
    for path in ["/api/v1/devices", "/api/v1/events", "/api/v1/users", "/api/v1/plugins"] {
        assert_eq!(ask(path).await.status, 403, "{path}");
    }
    let granted = json!({
        "name": "both", "scopes": "metrics:read",
        "grants": [{ "actions": ["lock"], "devices": ["front"] }],
    });
    let refused = server.post_json("/api/v1/api-keys", &granted).await;
    assert!(refused.problem(422, "invalid").contains("metrics:read"));
    let reader = json!({ "name": "reader", "scopes": "devices:read" });
    let reader = server.post_json("/api/v1/api-keys", &reader).await.json();
    let secret = reader["secret"].as_str().unwrap();
    let request = server.stranger.get(server.url("/metrics")).bearer_auth(secret);
    assert_eq!(server.send(request).await.status, 403);
    server.stop().await;
}

#[tokio::test]
async fn what_was_done_and_what_was_not_is_counted() {
    let server = Server::start().await;
    let _door = server.lock("front-door", Manner::Obeys).await;
    server.post("/lock?device=front-door&wait=10").await.devices(200);
    let form = [("grant_type", "password"), ("username", "owner"), ("password", "a wrong one")];
    assert_eq!(server.post_form("/oauth/token", &form).await.status, 400);
    let picture = server.client.post(server.url("/api/v1/pictures")).body(png(8, 8));
    assert_eq!(server.send(picture).await.status, 201);
    let none = server.client.post(server.url("/api/v1/pictures")).body("no picture");
    assert_eq!(server.send(none).await.status, 422);
    let metrics = Metrics::of(&server).await;
    for line in [
        r#"latchlight_command_step_seconds_count{action="lock",step="sent"} 1"#,
        r#"latchlight_command_step_seconds_count{action="lock",step="delivered"} 1"#,
        r#"latchlight_command_step_seconds_count{action="lock",step="answered"} 1"#,
        r#"latchlight_command_step_seconds_count{action="unlock",step="sent"} 0"#,
        r#"latchlight_devices_heard{kind="lock",within="1m"} 1"#,
        r#"latchlight_devices_heard{kind="light",within="1d"} 0"#,
        r#"latchlight_sign_ins_total{by="password",outcome="wrong"} 1"#,
        r#"latchlight_pictures_received_total{outcome="kept"} 1"#,
        r#"latchlight_pictures_received_total{outcome="refused"} 1"#,
        r#"latchlight_http_request_duration_seconds_count{method="POST",route="/lock"} 1"#,
        r#"latchlight_http_connections{entry="https"} 0"#,
        "latchlight_database_up 1",
        "latchlight_database_write_errors_total 0",
        concat!("latchlight_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
    ] {
        metrics.assert_has(line);
    }
    for at_least in ["process_resident_memory_bytes", "process_open_fds", "process_max_fds"] {
        let line = metrics.text.lines().find_map(|line| line.strip_prefix(at_least)).unwrap();
        assert!(line.trim().parse::<f64>().unwrap() > 1.0, "{at_least}{line}");
    }
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
