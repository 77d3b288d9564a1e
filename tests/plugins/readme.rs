//! plugins/README.md, done as it stands there, on this test's own ports and
//! in its own folders.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{PASSWORD, Server, configured};
use crate::libraries::in_rust;

const README: &str = include_str!("../../plugins/README.md");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The only block that is marked so.
fn block(mark: &str) -> &'static str {
    let fence = format!("```{mark}\n");
    assert_eq!(README.matches(&fence).count(), 1, "{mark}");
    README.split(&fence).nth(1).unwrap().split("```").next().unwrap()
}

/// Runs a block's commands in a folder; gives what they print.
fn run(commands: &str, folder: &Path) -> String {
    let commands = commands
        .replace("target/release/latchlight", env!("CARGO_BIN_EXE_latchlight"))
        .replace("curl ", "curl --silent --show-error --fail ");
    let mut bash = Command::new("timeout");
    bash.args(["600", "bash", "-euc", &commands]).current_dir(folder);
    let output = bash.env("CARGO_NET_OFFLINE", "true").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{commands}\n{said}\n{errors}");
    said
}

/// The same with a server to speak to.
async fn use_it(commands: &str, server: &Server) -> String {
    let port = server.mqtt().rsplit_once(':').unwrap().1;
    let commands = commands
        .replace("http://127.0.0.1:8080", &server.http)
        .replace("-p 1883", &format!("-p {port}"));
    let token = server.token().await;
    let commands = format!("PASSWORD=\"{PASSWORD}\"\nTOKEN={token}\n{commands}");
    tokio::task::spawn_blocking(move || run(&commands, Path::new(ROOT))).await.unwrap()
}

/// A checkout in which `script/server` has been, as far as that matters here:
/// `var/` with a config.json.
fn used_checkout() -> (TempDir, TempDir) {
    let (checkout, var) = (TempDir::new().unwrap(), configured(json!({})));
    symlink(var.path(), checkout.path().join("var")).unwrap();
    (checkout, var)
}

/// Writes the entries into config.json.
fn allow(var: &TempDir, entries: Vec<Value>) {
    change(var, json!({ "allow": entries }));
}

/// Writes the part `plugins` into config.json.
fn change(var: &TempDir, plugins: Value) {
    let file = var.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    config["settings"]["plugins"] = plugins;
    std::fs::write(file, config.to_string()).unwrap();
}

fn entries(printed: &str) -> Vec<Value> {
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The tour's devices, in haste.
struct Simulator(Child);

impl Simulator {
    fn start(server: &Server) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_latchlight"));
        program.args(["simulate", "--locks", "2", "--lights", "1", "--motor", "10", "--quiet"]);
        program.arg("--config").arg(server.config_path());
        Self(program.stdin(std::process::Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_plugins_here_are_installed_and_used_as_the_guide_says() {
    let (checkout, var) = used_checkout();
    let built = checkout.path().join("target/release");
    std::fs::create_dir_all(&built).unwrap();
    for name in ["night_mode", "doorbell"] {
        std::fs::copy(in_rust(name), built.join(format!("lib{name}.so"))).unwrap();
    }
    let printed = entries(&run(block("sh install"), checkout.path()));
    let shown: Value = serde_json::from_str(block("json install")).unwrap();
    let mut shown = shown["settings"]["plugins"]["allow"].as_array().unwrap().clone();
    assert_eq!(shown.len(), printed.len());
    for (shown, printed) in shown.iter_mut().zip(&printed) {
        assert_eq!(shown["file"], printed["file"]);
        shown["sha256"] = printed["sha256"].clone();
    }
    allow(&var, shown);

    let server = Server::start_in(var);
    let _simulator = Simulator::start(&server);
    for device in ["lock-1", "lock-2", "light-1"] {
        server.device_when(device, |device| device["online"] == true).await;
    }
    let said = use_it(block("sh use"), &server).await;
    assert_eq!(said.matches("\"state\":\"started\"").count(), 2, "{said}");
    let (by_mqtt, by_http) = ("ok night_mode 2 locked, 1 off", r#"{"text":"2 locked, 1 off"}"#);
    assert!(said.ends_with(&format!("{by_mqtt}\n{by_http}\n")), "{said}");
    assert!(README.contains(by_mqtt) && README.contains(by_http));
}

#[tokio::test]
async fn a_plugin_is_signed_and_installed_from_afar_as_the_guide_says() {
    let (checkout, var) = used_checkout();
    let built = checkout.path().join("target/release");
    std::fs::create_dir_all(&built).unwrap();
    std::fs::copy(in_rust("night_mode"), built.join("libnight_mode.so")).unwrap();
    // Nobody types a password here.
    let sign = block("sh afar").replace("--key plugins.key", "--key plugins.key --no-password");
    let said = run(&sign, checkout.path());
    let key: String = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert!(
        said.lines().last().unwrap().starts_with("latchlight-plugin name=night_mode "),
        "{said}"
    );
    let shown: Value = serde_json::from_str(block("json afar")).unwrap();
    let mut shown = shown["settings"]["plugins"].clone();
    shown["keys"] = json!([key]);
    // The library is a debug build.
    shown["time_limit_ms"] = 20_000.into();
    change(&var, shown);

    let server = Server::start_in(var);
    let said = run(block("sh afar install"), checkout.path());
    assert!(said.contains("  started  night_mode  "), "{said}");
    let _simulator = Simulator::start(&server);
    server.device_when("lock-2", |device| device["online"] == true).await;
    server.device_when("light-1", |device| device["online"] == true).await;
    let (status, answer) = server.post("/api/v1/actions/night_mode").await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn the_plugin_of_the_guide_is_built_and_used_as_it_says() {
    let var = configured(json!({}));
    let checkout = checkout_to_build_in(&var);
    let greet = checkout.join("plugins/greet");
    std::fs::create_dir_all(greet.join("src")).unwrap();
    std::fs::write(greet.join("Cargo.toml"), block("toml")).unwrap();
    std::fs::write(greet.join("src/lib.rs"), block("rust")).unwrap();
    // Without `--release`, which takes long, and where cargo puts it then.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().display().to_string();
    let commands = block("sh greet")
        .replace("cargo build --release", &format!("cargo build --quiet --target-dir {target}"))
        .replace("target/release/libgreet.so", &format!("{target}/debug/libgreet.so"));
    let printed = tokio::task::spawn_blocking(move || run(&commands, &checkout)).await.unwrap();
    let locked = std::fs::read_to_string(greet.join("../../Cargo.lock")).unwrap();
    assert!(locked.contains("name = \"greet\""), "it is in Cargo.lock");
    allow(&var, entries(&printed));

    let server = Server::start_in(var);
    let said = use_it(block("sh greet use"), &server).await;
    assert_eq!(said, "ok greet good evening, app:owner: 0 devices are here\n");
}

/// This checkout again, with a Cargo.lock and a plugin folder of its own. It
/// is always the same one, so that cargo finds what it has built.
fn checkout_to_build_in(var: &TempDir) -> PathBuf {
    let checkout = Path::new(env!("CARGO_TARGET_TMPDIR")).join("checkout");
    let _ = std::fs::remove_dir_all(&checkout);
    std::fs::create_dir_all(checkout.join("plugins")).unwrap();
    let plugins = ["plugins/doorbell", "plugins/night_mode"];
    for same in ["crates", "src", "tests", "benches", "examples"].iter().chain(&plugins) {
        symlink(Path::new(ROOT).join(same), checkout.join(same)).unwrap();
    }
    for own in ["Cargo.toml", "Cargo.lock"] {
        std::fs::copy(Path::new(ROOT).join(own), checkout.join(own)).unwrap();
    }
    symlink(var.path(), checkout.join("var")).unwrap();
    checkout
}
