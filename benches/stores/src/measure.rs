//! Measures one candidate, in a process of its own.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use crate::open;
use crate::work::{WAITING, Work};

/// The rows of a commit, and how many commits are measured.
const SIZES: [(usize, usize); 3] = [(1, 2000), (16, 1000), (256, 300)];

/// How many rows a restore brings back.
const RESTORED: usize = 100_000;

/// What came out, of one candidate in one round.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) commits: Vec<Commits>,
    /// To open the store and read all its rows, in ms.
    pub(crate) restore: f64,
    /// On disk after the commits, with 1,000 rows in it, in KiB.
    pub(crate) disk: u64,
    /// What the process holds in memory then, beyond what it held before.
    pub(crate) memory: u64,
    /// After the restore.
    pub(crate) memory_restored: u64,
}

/// Commits of one size.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Commits {
    pub(crate) rows: usize,
    /// Mean and 99th percentile, in µs.
    pub(crate) mean: f64,
    pub(crate) p99: f64,
    /// Processor time of all its threads for a commit, in µs.
    pub(crate) cpu: f64,
    /// What went to the disk for a commit, in KiB.
    pub(crate) written: f64,
}

pub(crate) fn candidate(name: &str, folder: &Path) -> anyhow::Result<Figures> {
    let before = memory()?;
    let mut figures = Figures::default();
    let mut store = open(name, folder)?;
    let mut work = Work::new();
    while work.waiting() < WAITING {
        work.commit(store.as_mut(), 100, WAITING)?;
    }
    for (rows, count) in SIZES {
        // Warm.
        for _ in 0..count / 10 {
            work.commit(store.as_mut(), rows, WAITING)?;
        }
        figures
            .commits
            .push(commits(rows, count, || Ok(work.commit(store.as_mut(), rows, WAITING)?))?);
    }
    figures.disk = size(folder)? / 1024;
    figures.memory = memory()?.saturating_sub(before);

    while work.waiting() < RESTORED {
        work.commit(store.as_mut(), 1000, RESTORED)?;
    }
    drop(store);
    let began = Instant::now();
    let mut store = open(name, folder)?;
    let (mut rows, mut bytes) = (0, 0);
    store.restore(&mut |key, value| {
        rows += 1;
        bytes += key.len() + value.len();
    })?;
    figures.restore = began.elapsed().as_secs_f64() * 1000.0;
    ensure!(rows == RESTORED && bytes > rows, "{name} has {rows} rows");
    figures.memory_restored = memory()?.saturating_sub(before);
    Ok(figures)
}

/// The disk by itself: 4 KiB appended to a file, and synced.
pub(crate) fn disk(folder: &Path) -> anyhow::Result<Figures> {
    let mut file = File::create(folder.join("file"))?;
    let block = [0xA5; 4096];
    let commits = commits(1, 2000, || {
        file.write_all(&block)?;
        Ok(file.sync_data()?)
    })?;
    Ok(Figures { commits: vec![commits], ..Figures::default() })
}

fn commits(
    rows: usize,
    count: usize,
    mut commit: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Commits> {
    let (cpu, written) = (processor(), written()?);
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        commit()?;
        times.push(began.elapsed());
    }
    let (cpu, written) = (processor() - cpu, self::written()? - written);
    times.sort_unstable();
    let total: Duration = times.iter().sum();
    let each = |total: f64| total / count as f64;
    Ok(Commits {
        rows,
        mean: each(total.as_secs_f64() * 1e6),
        p99: times[count * 99 / 100].as_secs_f64() * 1e6,
        cpu: each(cpu.as_secs_f64() * 1e6),
        written: each(written as f64 / 1024.0),
    })
}

/// Processor time of this process so far.
fn processor() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Bytes that this process has had written to a disk.
fn written() -> anyhow::Result<u64> {
    field("/proc/self/io", "write_bytes:")
}

/// What this process holds of memory that is its own, in KiB: pages of a
/// mapped file are not counted.
fn memory() -> anyhow::Result<u64> {
    field("/proc/self/status", "RssAnon:")
}

fn field(file: &str, name: &str) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.with_context(|| format!("{name} in {file}"))?.parse().context("a number")
}

/// What is below a folder, as it is allocated on disk, in bytes.
fn size(folder: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;

    let mut total = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        total += match entry.file_type()?.is_dir() {
            true => size(&entry.path())?,
            false => entry.metadata()?.blocks() * 512,
        };
    }
    Ok(total)
}
