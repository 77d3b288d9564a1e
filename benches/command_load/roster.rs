//! How much memory a device of the roster takes: the slope between a small and a large roster.
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};

use crate::servers::Running;

/// From here the slope is taken: below, what every server has anyway would count.
const FEW: usize = 20_000;

/// To here.
const MANY: usize = 100_000;

/// So long after the start, what the server used for it is given back: the threads that read the
/// file end when they have had nothing to do for ten seconds.
const START: Duration = Duration::from_secs(15);

/// How long memory may go on changing after that.
const PATIENCE: Duration = Duration::from_secs(60);

/// The `state` section of config.json with so many locks, as the server writes it.
pub fn state(devices: usize) -> Value {
    let device = json!({
        "kind": "lock",
        "profile": "words",
        "features": { "ack": true, "ids": true, "alerts": false },
        "joined_at": "2026-05-04T18:03:09.12Z",
        "last_known": { "state": "locked", "since": "2026-05-04T18:05:00Z" },
    });
    let name = |number: usize| format!("lock-{number:06}");
    let devices: serde_json::Map<_, _> =
        (1..=devices).map(|number| (name(number), device.clone())).collect();
    json!({ "devices": devices })
}

/// Bytes of resident memory per device, of a server that restored them, with the retained states in
/// its broker.
pub fn bytes_per_device(program: &Path, run: &Path) -> anyhow::Result<f64> {
    let few = memory_with(program, run, FEW)?;
    let many = memory_with(program, run, MANY)?;
    Ok((many - few) / (MANY - FEW) as f64)
}

fn memory_with(program: &Path, run: &Path, devices: usize) -> anyhow::Result<f64> {
    let running = Running::latchlight(program, run, &state(devices))?;
    std::thread::sleep(START);
    let began = Instant::now();
    let mut before = f64::NAN;
    loop {
        std::thread::sleep(Duration::from_secs(5));
        let now = running.memory_bytes();
        if (now - before).abs() < now / 200.0 {
            return Ok(now);
        }
        ensure!(began.elapsed() < PATIENCE, "the server's memory does not come to rest");
        before = now;
    }
}
