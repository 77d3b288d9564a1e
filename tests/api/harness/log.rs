//! What the servers of this run log, at the level `trace`: all into one file,
//! for they are in one process.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;

/// What the tests use by themselves, and what says too much of nothing.
const FILTER: &str = "trace,fantoccini=off,mio=off,tokio=off,runtime=off,want=off";

/// A moment of the log.
pub(super) struct Since(u64);

/// Begins to log, if nothing does yet. With TEST_LOG=1 the log goes to the
/// terminal, as the settings say, and is not searched.
pub(super) fn begin(settings: &latchlight::config::LogSettings) -> Since {
    static BEGUN: OnceLock<()> = OnceLock::new();
    BEGUN.get_or_init(|| {
        if std::env::var_os("TEST_LOG").is_some() {
            latchlight::telemetry::init(settings);
            return;
        }
        let file = File::create(path()).unwrap();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(file);
        let _ = subscriber.with_env_filter(EnvFilter::new(FILTER)).try_init();
    });
    Since(std::fs::metadata(path()).map_or(0, |log| log.len()))
}

/// What was logged since then.
pub(super) fn read(since: &Since) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(mut log) = File::open(path()) {
        log.seek(SeekFrom::Start(since.0)).unwrap();
        log.read_to_end(&mut bytes).unwrap();
    }
    bytes
}

fn path() -> PathBuf {
    format!("{}/log-of-api.txt", env!("CARGO_TARGET_TMPDIR")).into()
}
