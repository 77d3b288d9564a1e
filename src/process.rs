//! What the system says of this process, for Prometheus, by the names that all
//! programs have for it; what a system does not say is left out.

use std::time::SystemTime;

use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Adds what is known of this process, which started then.
pub(crate) fn register(registry: &mut Registry, started: SystemTime) {
    let started = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let help = "When the process started, in seconds since 1970";
    registry.register("process_start_time_seconds", help, ConstGauge::new(started.as_secs_f64()));
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
    let help = "Processor time that the process has had, in seconds";
    registry.register("process_cpu_seconds", help, ConstCounter::new(cpu));
    if let Some(limit) = getrlimit(Resource::Nofile).current {
        let help = "How many files the process may have open";
        registry.register("process_max_fds", help, ConstGauge::new(limit as i64));
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // The one that reads the folder is not counted.
        let open = open.count().saturating_sub(1) as i64;
        registry.register("process_open_fds", "Files that are open", ConstGauge::new(open));
    }
    if let Some((whole, resident)) = memory() {
        let help = "Memory that the process has asked for, in bytes";
        registry.register("process_virtual_memory_bytes", help, ConstGauge::new(whole));
        let help = "Memory that the process has, in bytes";
        registry.register("process_resident_memory_bytes", help, ConstGauge::new(resident));
    }
}

/// What was asked for and what is had, in bytes.
fn memory() -> Option<(i64, i64)> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = pages.split(' ').map(str::parse::<i64>);
    let page = rustix::param::page_size() as i64;
    Some((pages.next()?.ok()? * page, pages.next()?.ok()? * page))
}
