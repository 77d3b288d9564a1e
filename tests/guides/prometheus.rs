//! docs/metrics.md and docs/metrics/: what Prometheus makes of the server.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;
use tokio::time::Instant;

use crate::free_port::free_port;
use crate::harness::{Device, PATIENCE, Server};
use crate::page::Page;
use crate::terminal::Terminal;

const PAGE: Page = Page(include_str!("../../docs/metrics.md"));
const ALERTS: &str = include_str!("../../docs/metrics/alerts.yml");
const DASHBOARD: &str = include_str!("../../docs/metrics/dashboard.json");

/// The expressions of the dashboard's panels.
fn expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// The names of metrics in an expression.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_ours = |word: &&str| {
        ["latchlight_", "mqtt_", "process_"].iter().any(|start| word.starts_with(start))
    };
    words.filter(is_ours).map(str::to_owned).collect()
}

/// The names of the samples that a page of metrics has.
fn served(page: &str) -> BTreeSet<String> {
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    samples.filter_map(|line| Some(line.split(['{', ' ']).next()?.to_owned())).collect()
}

struct Prometheus {
    url: String,
    client: reqwest::Client,
}

impl Prometheus {
    async fn ask(&self, expression: &str) -> Value {
        let url = format!("{}/api/v1/query", self.url);
        let asked = self.client.post(url).form(&[("query", expression)]).send().await;
        let Ok(answer) = asked else { return Value::Null };
        answer.json().await.unwrap_or(Value::Null)
    }

    /// Waits until there is an answer that is not empty.
    async fn has(&self, expression: &str) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(expression).await;
            let found = answer["data"]["result"].as_array().is_some_and(|all| !all.is_empty());
            if found {
                return answer["data"]["result"].clone();
            }
            assert!(Instant::now() < end, "{expression}: {answer}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn prometheus_takes_what_is_served_and_knows_every_name_of_alerts_and_dashboard() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", "lock").await;
    let (status, _) = server.post("/lock?device=front&wait=0").await;
    assert_eq!(status, 202);
    door.hear_command().await;
    door.say("state locked").await;
    server.get("/api/v1/devices").await;

    let port = free_port();
    let listen = format!("prometheus --web.listen-address=127.0.0.1:{port} --config");
    let terminal = Terminal::beside(&server)
        .replace("prometheus --config", &listen)
        // Asked at once, and often: the test waits for it.
        .replace(
            "cp docs/metrics/*.yml prometheus/",
            &format!(
                "sed 's/127.0.0.1:8080/{}/; s/15s/200ms/' docs/metrics/prometheus.yml \
             > prometheus/prometheus.yml && cp docs/metrics/alerts.yml prometheus/",
                server.http.replace("http://", "")
            ),
        );
    let _running = terminal.begin(PAGE.block("sh prometheus"), "prometheus.log");
    let prometheus =
        Prometheus { url: format!("http://127.0.0.1:{port}"), client: reqwest::Client::new() };
    let build = prometheus.has("latchlight_build_info").await;
    assert_eq!(build[0]["metric"]["version"], env!("CARGO_PKG_VERSION"));
    prometheus.has(r#"up{job="latchlight"} == 1"#).await;

    let page = server.request(Method::GET, "/metrics").await.send().await.unwrap();
    let page = page.text().await.unwrap();
    let served = served(&page);
    let expressions = expressions();
    assert!(expressions.len() > 25, "{expressions:?}");
    let mut used = names(ALERTS);
    for expression in &expressions {
        used.extend(names(expression));
        let answer = prometheus.ask(expression).await;
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
    }
    // What there is only where it is configured or has happened.
    let seldom = [
        "latchlight_tls_certificate_expiry_timestamp_seconds",
        "latchlight_tls_certificate_refused",
    ];
    let unknown: Vec<_> = used
        .iter()
        .filter(|name| !served.contains(*name) && !seldom.contains(&name.as_str()))
        .collect();
    assert_eq!(unknown, [""; 0], "{page}");

    // What the linter of Prometheus itself says of the page.
    terminal.write("page.txt", "");
    std::fs::write(terminal.folder().join("page.txt"), &page).unwrap();
    let said = terminal.run("promtool check metrics < page.txt 2>&1 || true").await;
    assert!(!said.contains("error while linting"), "{said}");
    let ours: Vec<_> = said.lines().filter(|line| !line.starts_with("mqtt_")).collect();
    assert_eq!(ours, [""; 0], "{said}");
    terminal.run("promtool check rules docs/metrics/alerts.yml").await;
}
