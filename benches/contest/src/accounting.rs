//! Processor time and memory, as the kernel counts them in /proc.
use std::collections::HashMap;
use std::fs;

use anyhow::Context;

/// The kernel's clock ticks per second in /proc: 100 on every Linux that we run on.
const TICKS: f64 = 100.0;

/// This process's processor time in seconds, user and system.
///
/// # Errors
/// /proc is not there.
pub fn own_cpu_seconds() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").context("read /proc/self/stat")?;
    Ok(parse(&stat).context("parse /proc/self/stat")?.ticks as f64 / TICKS)
}

/// The processor time of a process and all that descend from it and live, in seconds.
pub fn tree_cpu_seconds(root: u32) -> f64 {
    tree(root).iter().map(|(_, ticks)| *ticks).sum::<u64>() as f64 / TICKS
}

/// The most resident memory that each of these processes has had, added up, in MiB.
pub fn tree_peak_memory_mib(root: u32) -> f64 {
    tree_kib(root, "VmHWM:") / 1024.0
}

/// The resident memory of these processes now, added up, in MiB.
pub fn tree_memory_mib(root: u32) -> f64 {
    tree_kib(root, "VmRSS:") / 1024.0
}

fn tree_kib(root: u32, field: &str) -> f64 {
    tree(root).iter().filter_map(|(pid, _)| kib(*pid, field)).sum()
}

fn kib(pid: u32, field: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A process and all that descend from it and live, with their clock ticks.
fn tree(root: u32) -> Vec<(u32, u64)> {
    let mut processes = HashMap::new();
    // Processes come and go while we look: those that we cannot read are gone.
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if let Some(stat) =
            fs::read_to_string(entry.path().join("stat")).ok().and_then(|stat| parse(&stat))
        {
            processes.insert(pid, stat);
        }
    }
    let descends = |pid: u32| {
        let line = std::iter::successors(Some(pid), |pid| {
            processes.get(pid).map(|stat| stat.parent).filter(|parent| *parent != 0)
        });
        line.take(64).any(|ancestor| ancestor == root)
    };
    let members = processes.iter().filter(|(pid, _)| descends(**pid));
    members.map(|(pid, stat)| (*pid, stat.ticks)).collect()
}

struct Stat {
    parent: u32,
    ticks: u64,
}

/// The fields after the program's name, which stands in parentheses and may contain anything.
fn parse(stat: &str) -> Option<Stat> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let user: u64 = fields.get(11)?.parse().ok()?;
    let system: u64 = fields.get(12)?.parse().ok()?;
    Some(Stat { parent: fields.get(1)?.parse().ok()?, ticks: user + system })
}
