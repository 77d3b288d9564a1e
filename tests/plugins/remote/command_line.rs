//! `latchlight plugin keygen|sign|verify|install|list|remove`.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use super::speak;
use crate::harness::Server;
use crate::libraries::far;

/// Runs it in a folder; gives what it prints, or the error that it says.
fn plugin(folder: &Path, words: &str, password: &str) -> Result<String, String> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_latchlight"));
    program.arg("plugin").args(words.split(' ')).current_dir(folder);
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    // One that does not read it may have ended.
    let _ = writeln!(child.stdin.take().unwrap(), "{password}");
    let output = child.wait_with_output().unwrap();
    let said = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(said(output.stdout)) } else { Err(said(output.stderr)) }
}

#[tokio::test]
async fn c29_an_author_signs_and_an_owner_installs_from_the_command_line() {
    let author = tempfile::tempdir().unwrap();
    let run = |words: &str, password: &str| plugin(author.path(), words, password);
    let key = run("keygen --key far.key --password-stdin", "correct horse").unwrap();
    let key: String = serde_json::from_str(key.trim()).unwrap();
    let mode = std::fs::metadata(author.path().join("far.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let secret = std::fs::read_to_string(author.path().join("far.key")).unwrap();
    let again = run("keygen --key far.key --no-password", "").unwrap_err();
    assert!(again.contains("far.pub is there already"), "{again}");
    assert_eq!(std::fs::read_to_string(author.path().join("far.key")).unwrap(), secret);

    std::fs::copy(far("1.0.0"), author.path().join("far.so")).unwrap();
    let wrong = run("sign far.so --key far.key --password-stdin", "wrong").unwrap_err();
    assert!(wrong.contains("Wrong password"), "{wrong}");
    let none = run("sign far.so --key far.key --no-password", "").unwrap_err();
    assert!(none.contains("encrypted"), "{none}");
    let signed = run("sign far.so --key far.key --password-stdin", "correct horse").unwrap();
    let what = super::claim("far", "1.0.0");
    assert_eq!(signed, format!("far.so.minisig: {what}\n"));
    assert_eq!(run("verify far.so --public-key far.pub", "").unwrap(), format!("{what}\n"));
    let verify = format!("verify far.so --signature far.so.minisig --public-key {key}");
    assert_eq!(run(&verify, "").unwrap(), format!("{what}\n"));
    run("keygen --key other.key --no-password", "").unwrap();
    let other = run("verify far.so --public-key other.pub", "").unwrap_err();
    assert!(other.contains("another key has made this signature"), "{other}");

    let settings = json!({ "plugins": {
        "remote_install": true, "keys": [key], "time_limit_ms": 20_000 } });
    let server = Server::start_with(settings);
    let at = format!("--config {}", server.config_path().display());
    let installed = run(&format!("install far.so {at}"), "").unwrap();
    assert!(installed.starts_with("far  1.0.0  far-"), "{installed}");
    assert_eq!(speak(&server).await, (200, json!("far 1.0.0")));
    let listed = run(&format!("list {at}"), "").unwrap();
    assert!(listed.ends_with(".so  started  far  1.0.0\n"), "{listed}");
    run("sign far.so --key other.key --no-password --name far --version 3.0.0", "").unwrap();
    let refused = run(&format!("install far.so {at}"), "").unwrap_err();
    assert!(refused.contains("no key of `plugins.keys`"), "{refused}");
    // Without a server, the files themselves are looked at.
    let folder = server.stop();
    let at = format!("--config {}", folder.path().join("config.json").display());
    let listed = run(&format!("list {at}"), "").unwrap();
    assert!(listed.ends_with(".so  installed: far 1.0.0\n"), "{listed}");
    let server = Server::start_in(folder);
    run(&format!("remove far {at}"), "").unwrap();
    assert_eq!(speak(&server).await.0, 404);
    let gone = run(&format!("remove far {at}"), "").unwrap_err();
    assert!(gone.contains("no plugin far was installed from afar"), "{gone}");
}

#[test]
fn nothing_is_signed_that_is_no_plugin_or_has_no_version_that_can_be_compared() {
    let author = tempfile::tempdir().unwrap();
    let run = |words: &str| plugin(author.path(), words, "");
    run("keygen --key a.key --no-password").unwrap();
    std::fs::write(author.path().join("text.so"), "text").unwrap();
    let error = run("sign text.so --key a.key --no-password --name a --version 1.0.0").unwrap_err();
    assert!(error.contains("not a dynamic library"), "{error}");
    std::fs::copy(crate::libraries::in_c("in_c"), author.path().join("c.so")).unwrap();
    let error = run("sign c.so --key a.key --no-password").unwrap_err();
    assert!(error.contains("`1` is not a version of three numbers"), "{error}");
    let error = run("sign c.so --key a.key --no-password --name ../c --version 1.0.0").unwrap_err();
    assert!(error.contains("is not the name of a plugin"), "{error}");
    assert!(!author.path().join("c.so.minisig").exists());
}
