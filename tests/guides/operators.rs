//! docs/guides/operators.md and packaging/: what an operator does.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::free_port::free_port;
use crate::harness::{Device, PATIENCE, Server};
use crate::page::Page;
use crate::terminal::Terminal;

const PAGE: Page = Page(include_str!("../../docs/guides/operators.md"));
const UNIT: &str = include_str!("../../packaging/latchlight.service");
const CONFIG: &str = include_str!("../../packaging/config.json");

/// Waits until a file has this in it.
async fn says(terminal: &Terminal, file: &str, part: &str) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let said = std::fs::read_to_string(terminal.folder().join(file)).unwrap_or_default();
        if said.contains(part) {
            return said;
        }
        assert!(Instant::now() < end, "no {part} in {said}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_server_is_up_backed_up_and_restored_as_the_guide_says() {
    let server = Server::start();
    Device::join(&server, "front", "lock").await;
    let terminal = Terminal::beside(&server)
        .replace("curl ", "curl --silent --show-error --fail ")
        .replace("/var/backups/latchlight", "backups")
        .replace("/etc/latchlight/config.json", "../config.json");
    let said = terminal.run(PAGE.block("sh up")).await;
    assert!(said.contains(r#""status":"ready""#), "{said}");
    let said = terminal.run(PAGE.block("sh backup")).await;
    assert!(said.contains("is whole: "), "{said}");
    std::fs::create_dir(terminal.folder().join("backups")).unwrap();
    let said = terminal.run(PAGE.block("sh nightly")).await;
    assert!(said.contains("is whole: "), "{said}");
    let restored = terminal.begin(PAGE.block("sh restore"), "restored.log");
    says(&terminal, "restored.log", "latchlight is ready").await;
    let list = "latchlight device list --config restored/config.json";
    assert!(terminal.run(list).await.contains("front"));
    drop(restored);
}

#[tokio::test]
async fn nginx_stands_before_the_server_as_the_guide_says() {
    let port = free_port();
    let server = Server::start_with(json!({ "http": { "public_url": "https://home.example" } }));
    let terminal = Terminal::beside(&server)
        .replace("listen 443", &format!("listen {port}"))
        .replace("/etc/latchlight/tls", "tls");
    terminal.run("latchlight tls init --name home.example").await;
    let block = PAGE.block("nginx").replace("/etc/latchlight/tls", "tls");
    terminal.write(
        "nginx.conf",
        &format!(
            "daemon off; pid nginx.pid; error_log stderr; events {{}}\nhttp {{ access_log off; \
             client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; \
             uwsgi_temp_path t4; scgi_temp_path t5;\n{block}\n}}\n"
        ),
    );
    let run = "exec $(command -v nginx || echo /usr/sbin/nginx) -p . -e stderr -c nginx.conf";
    let _nginx = terminal.begin(run, "nginx.log");
    let ask = format!(
        "curl --silent --show-error --retry 20 --retry-connrefused --retry-delay 1 \
         --cacert tls/authority.pem --resolve home.example:{port}:127.0.0.1"
    );
    let url = format!("https://home.example:{port}");
    let said = terminal.run(&format!("{ask} --fail {url}/hello")).await;
    assert!(!said.is_empty());
    let form = "-d grant_type=password -d username=owner \
                --data-urlencode \"password=$APP_PASSWORD\"";
    let said = terminal.run(&format!("{ask} --fail {form} {url}/oauth/token")).await;
    let granted: Value = serde_json::from_str(&said).unwrap();
    let token = granted["access_token"].as_str().unwrap();
    let bearer = format!("--oauth2-bearer {token}");
    let said = terminal.run(&format!("{ask} --fail {bearer} {url}/api/v1/devices")).await;
    assert!(said.contains(r#""devices":[]"#), "{said}");
    // What is said is there at once, and not when the proxy has enough of it.
    let stream = format!("{ask} --no-buffer {bearer} {url}/api/v1/events/stream");
    let _stream = terminal.begin(&stream, "stream.log");
    says(&terminal, "stream.log", ":").await;
    let status = format!("{ask} -o page -w '%{{http_code}}' {bearer} {url}/metrics");
    assert_eq!(terminal.run(&status).await, "404");
}

#[tokio::test]
async fn the_packaged_configuration_and_unit_are_good() {
    let config: Value = serde_json::from_str(CONFIG).unwrap();
    assert_eq!(config["settings"]["data"], "/var/lib/latchlight/data");
    let server = Server::start();
    let terminal = Terminal::beside(&server);
    let here = format!("{}/var", terminal.folder().display());
    std::fs::create_dir(&here).unwrap();
    terminal.write("packaged.json", &CONFIG.replace("/var/lib/latchlight", &here));
    let run = "LATCHLIGHT_HTTP__LISTEN=127.0.0.1:0 LATCHLIGHT_MQTT__LISTEN=127.0.0.1:0 \
               exec latchlight serve --config packaged.json";
    let _packaged = terminal.begin(run, "packaged.log");
    let said = says(&terminal, "packaged.log", "latchlight is ready").await;
    assert!(said.contains("password"), "the first start tells the owner's: {said}");

    let program = env!("CARGO_BIN_EXE_latchlight");
    assert!(UNIT.contains("ExecStart=/usr/local/bin/latchlight serve --config "));
    let unit = UNIT.replace("/usr/local/bin/latchlight", program);
    let file = terminal.folder().join("latchlight-test.service");
    std::fs::write(&file, unit).unwrap();
    // A machine without systemd has nothing that could check it.
    if let Ok(checked) = Command::new("systemd-analyze").arg("verify").arg(&file).output() {
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success() && !said.contains("latchlight-test"), "{said}");
    }
}

#[test]
fn every_block_of_the_guide_is_run_or_shown() {
    let known = BTreeSet::from([
        "nginx",
        "sh backup",
        "sh install",
        "sh nightly",
        "sh restore",
        "sh up",
        // For Caddy.
        "text",
    ]);
    assert_eq!(PAGE.marks().into_iter().collect::<BTreeSet<_>>(), known);
}
