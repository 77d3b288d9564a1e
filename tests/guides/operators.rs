//! docs/guides/operators.md and packaging/: what an operator does.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
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

/// A server with the guide's settings, but for what it is called: on a port
/// that is not 443, the name has it.
fn behind_a_proxy(name: &str) -> Server {
    let mut settings: Value = serde_json::from_str(PAGE.block("json behind")).unwrap();
    assert_eq!(settings["http"]["public_url"], "https://home.example");
    settings["http"]["public_url"] = format!("https://{name}").into();
    settings["mqtt"]["ws_listen"] = "127.0.0.1:0".into();
    Server::start_with(settings)
}

/// A client of MQTT over WebSocket and TLS, for which home.example is here.
const CLIENT: &str = r#"
import os, socket, sys
import paho.mqtt.client as mqtt

look_up = socket.getaddrinfo
socket.getaddrinfo = lambda host, *more, **named: look_up("127.0.0.1", *more, **named)
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="owner", transport="websockets")
client.ws_set_options("/mqtt", lambda headers: {k: v for k, v in headers.items() if k != "Origin"})
client.tls_set(sys.argv[2])
client.username_pw_set("owner", os.environ["APP_PASSWORD"])
client.on_connect = lambda client, *_: client.subscribe("latchlight/server/online", 1)
client.on_message = lambda client, _, message: (print(message.payload), client.disconnect())
client.connect("home.example", int(sys.argv[1]))
client.loop_forever()
"#;

/// Everything goes through a proxy at this port, with a certificate of this
/// authority.
async fn all_goes_through(terminal: &Terminal, port: u16, authority: &str) {
    // A client of another address than the proxy's, which claims a third one.
    let ask = format!(
        "curl --silent --show-error --retry 20 --retry-connrefused --retry-delay 1 \
         --cacert {authority} --resolve home.example:{port}:127.0.0.1 --interface 127.0.0.5 \
         --header 'X-Forwarded-For: 192.0.2.1' --header 'Forwarded: for=192.0.2.1'"
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
    says(terminal, "stream.log", ":").await;
    let status = format!("{ask} -o page -w '%{{http_code}}' {bearer} {url}/metrics");
    assert_eq!(terminal.run(&status).await, "404");
    let events = format!("{ask} --fail {bearer} '{url}/api/v1/events?kind=sign_in'");
    let said = terminal.run(&events).await;
    assert!(said.contains(r#""address":"127.0.0.5""#) && !said.contains("192.0.2.1"), "{said}");
    terminal.write("client.py", CLIENT);
    let said = terminal.run(&format!("timeout 20 python client.py {port} {authority}")).await;
    assert_eq!(said.trim(), "b'online'");
}

#[tokio::test]
async fn nginx_stands_before_the_server_as_the_guide_says() {
    let port = free_port();
    let server = behind_a_proxy("home.example");
    let terminal = Terminal::beside(&server)
        .replace("listen 443", &format!("listen {port}"))
        .replace("127.0.0.1:8083", server.at("ws"))
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
    all_goes_through(&terminal, port, "tls/authority.pem").await;
}

#[tokio::test]
async fn caddy_stands_before_the_server_as_the_guide_says() {
    let port = free_port();
    let server = behind_a_proxy(&format!("home.example:{port}"));
    let terminal = Terminal::beside(&server).replace("127.0.0.1:8083", server.at("ws"));
    // Its own authority stands for the one that it would ask.
    let block = PAGE.block("caddyfile");
    let own = format!("home.example:{port} {{\n    tls internal\n");
    assert!(block.starts_with("home.example {\n"));
    let block = block.replacen("home.example {\n", &own, 1);
    let options = "{\n    admin off\n    skip_install_trust\n    auto_https disable_redirects\n    \
                   storage file_system caddy\n}\n";
    terminal.write("Caddyfile", &format!("{options}{block}"));
    let run = "XDG_DATA_HOME=. XDG_CONFIG_HOME=. exec caddy run --config Caddyfile";
    let _caddy = terminal.begin(run, "caddy.log");
    says(&terminal, "caddy.log", "certificate obtained successfully").await;
    all_goes_through(&terminal, port, "caddy/pki/authorities/local/root.crt").await;
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

/// What stands around the guide's block: overlays over what it writes to, a
/// folder as the checkout, and programs in the place of those that build and
/// run services. Behind it the server is started as the unit says, reloaded,
/// asked by its user, and stopped.
const INSTALLED: &str = r#"
mkdir -p root checkout/target/release checkout/bin
mount -t tmpfs none root
for folder in etc usr/local var/lib; do
  mkdir -p root/$folder/upper root/$folder/work
  mount -t overlay overlay -o lowerdir=/$folder,upperdir=root/$folder/upper,workdir=root/$folder/work /$folder
done
cd checkout
ln -s "$CHECKOUT/script" "$CHECKOUT/packaging" .
cp "$PROGRAM" target/release/latchlight
printf '#!/bin/sh\nexec "$@"\n' >bin/sudo
printf '#!/bin/sh\necho cargo "$@" >>calls\n' >bin/cargo
printf '#!/bin/sh\necho systemctl "$@" >>calls\n' >bin/systemctl
chmod 755 bin/*
PATH="$PWD/bin:$PATH"
userdel latchlight 2>/dev/null || true
(
INSTALL
)
cat calls
stat -c '%U:%G %a %n' /usr/local/bin/latchlight /etc/latchlight /etc/latchlight/config.json /var/lib/latchlight /etc/systemd/system/latchlight.service
if command -v systemd-analyze >/dev/null; then
  systemd-analyze verify /etc/systemd/system/latchlight.service
fi
cd /
export LATCHLIGHT_HTTP__LISTEN=127.0.0.1:0 LATCHLIGHT_MQTT__LISTEN=127.0.0.1:0
as_its_user='setpriv --reuid=latchlight --regid=latchlight --clear-groups'
start=$(sed -n 's/^ExecStart=//p' /etc/systemd/system/latchlight.service)
$as_its_user $start >/var/lib/latchlight/log 2>&1 &
server=$!
until grep -q 'latchlight is ready' /var/lib/latchlight/log; do sleep 0.1; done
$as_its_user /usr/local/bin/latchlight user list --config /etc/latchlight/config.json
kill -HUP $server
kill -TERM $server
wait $server
stat -c '%U:%G %a %n' /etc/latchlight/config.json /var/lib/latchlight/data/latchlight.db
"#;

#[tokio::test]
async fn the_guides_installation_makes_a_service_that_starts() {
    // Only root can put something in the place of the system's folders, and not
    // in every container.
    let may = Command::new("unshare").args(["--mount", "--pid", "--fork", "true"]).output();
    if !may.is_ok_and(|made| made.status.success()) {
        eprintln!("not tried: this user cannot have mounts of its own");
        return;
    }
    let server = Server::start();
    let terminal = Terminal::beside(&server);
    let script = INSTALLED.replace("INSTALL\n", PAGE.block("sh install"));
    terminal.write("install.sh", &script);
    let run = format!(
        "CHECKOUT={} PROGRAM={} unshare --mount --pid --fork --mount-proc --kill-child bash -euo pipefail install.sh",
        env!("CARGO_MANIFEST_DIR"),
        env!("CARGO_BIN_EXE_latchlight")
    );
    let said = terminal.run(&run).await;
    for line in [
        "cargo build --release --locked --workspace",
        "systemctl daemon-reload",
        "systemctl enable --now latchlight",
        "root:root 755 /usr/local/bin/latchlight",
        "latchlight:latchlight 700 /etc/latchlight",
        "latchlight:latchlight 600 /etc/latchlight/config.json",
        "latchlight:latchlight 700 /var/lib/latchlight",
        "root:root 644 /etc/systemd/system/latchlight.service",
    ] {
        assert!(said.lines().any(|there| there == line), "{line}: {said}");
    }
    assert!(said.contains("owner"), "its user has asked it for the accounts: {said}");
    assert!(!Path::new("/etc/latchlight").exists(), "and nothing of it is here");
}

#[test]
fn every_block_of_the_guide_is_run_or_shown() {
    let known = BTreeSet::from([
        "caddyfile",
        "json behind",
        "nginx",
        "sh backup",
        "sh install",
        "sh nightly",
        "sh restore",
        "sh up",
    ]);
    assert_eq!(PAGE.marks().into_iter().collect::<BTreeSet<_>>(), known);
}
