//! Builds the libraries that the tests load: the example plugins and the
//! fixtures.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const IN_RUST: [&str; 4] = ["night_mode", "doorbell", "rude", "panics_at_start"];

/// The library of a crate of this workspace.
pub(crate) fn in_rust(name: &str) -> PathBuf {
    static BUILT: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build_in_rust)[name].clone()
}

fn build_in_rust() -> HashMap<String, PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--message-format=json"]);
    cargo.args(IN_RUST.iter().flat_map(|name| ["-p", name]));
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let messages = built.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let messages = messages.map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap());
    let library = |message: serde_json::Value| {
        let name = message["target"]["name"].as_str()?.to_owned();
        let files = message["filenames"].as_array()?;
        let file = files.iter().find_map(|file| file.as_str().filter(|f| f.ends_with(".so")))?;
        Some((name, PathBuf::from(file)))
    };
    messages.filter_map(library).collect()
}

/// The library of a file of `fixtures/c`. It takes its place in one step, as
/// other test processes may be at the same.
pub(crate) fn in_c(name: &str) -> PathBuf {
    compile(name, &format!("{name}.so"), &[])
}

/// `fixtures/c/versioned.c` as the plugin `far` of this version, with the
/// action `far_speak`.
pub(crate) fn far(version: &str) -> PathBuf {
    let named = [("NAME", "far"), ("VERSION", version), ("ACTION", "far_speak"), ("HOLD", "/")];
    versioned(&format!("far-{version}.so"), &named)
}

/// `fixtures/c/versioned.c`, built with these words.
pub(crate) fn versioned(file: &str, words: &[(&str, &str)]) -> PathBuf {
    let words = words.iter().map(|(name, value)| format!("-D{name}=\"{value}\""));
    compile("versioned", file, &words.collect::<Vec<_>>())
}

fn compile(name: &str, file: &str, more: &[String]) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins");
    std::fs::create_dir_all(&folder).unwrap();
    let fresh =
        folder.join(format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed)));
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/plugins/fixtures/c/{name}.c"));
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-Wall", "-Werror"]).args(more);
    cc.arg("-o").arg(&fresh).arg(source);
    let built = cc.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let library = folder.join(file);
    std::fs::rename(fresh, &library).unwrap();
    library
}
