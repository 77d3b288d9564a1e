//! Connections for their own sake.
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::Context;
use hdrhistogram::Histogram;
use latchlight_contest::accounting;
use latchlight_mqtt::QoS;

use crate::flow::run_name;
use crate::meter::Meter;
use crate::outcome::{self, Figure, Outcome};
use crate::packets::{self, Incoming};
use crate::pool::{Client, Pool};
use crate::scale::Scale;
use crate::target::Target;

/// Each address of ours has only so many ports, and brokers count by address.
const ADDRESSES: u8 = 10;
const PER_SECOND: f64 = 1_000.0;
/// How long the broker may take to answer all.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long memory may take to settle.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);
const SETTLE_STEP: Duration = Duration::from_millis(500);
const WAIT: Duration = Duration::from_millis(50);

/// What a connection takes: the slope between two numbers of them, so that what a broker takes
/// for itself does not count.
pub(super) fn idle(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    let name = run_name();
    let mut pool = Pool::new(target)?;
    let mut outcome = Outcome::default();
    let meter = Meter::start(target.pid)?;
    let many = scale.clients(15_000);
    let few = many / 3;
    let mut memory = Vec::new();
    for (from, to) in [(0, few), (few, many)] {
        pool.connect((from..to).map(|number| Client::new(format!("{name}-{number}"))))?;
        let filter = |number| (number, vec![format!("bench/{name}/{number}/state")]);
        pool.subscribe((from..to).map(filter), QoS::AtLeastOnce)?;
        pool.shrink();
        memory.push(settled_memory(target, scale)?);
    }
    meter.stop(many as u64, Instant::now(), &mut outcome)?;
    let bytes = (memory[1] - memory[0]) * 1024.0 * 1024.0;
    outcome.set(Figure::BytesPerConnection, bytes / (many - few) as f64);
    outcome.set(Figure::Connections, many as f64);
    Ok(outcome)
}

/// The broker's memory once it has stopped changing, in MiB.
fn settled_memory(target: &Target, scale: &Scale) -> anyhow::Result<f64> {
    let pid = target.pid.context("memory is read of a process: say which")?;
    let deadline = Instant::now() + scale.time(SETTLE_TIMEOUT);
    let mut before = accounting::tree_memory_mib(pid);
    loop {
        std::thread::sleep(scale.time(SETTLE_STEP));
        let now = accounting::tree_memory_mib(pid);
        if (now - before).abs() < 0.01 * now || Instant::now() > deadline {
            return Ok(now);
        }
        before = now;
    }
}

/// Clients that come at a steady rate, however long each takes.
pub(super) fn at_a_rate(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut pool = Pool::new(target)?;
    let mut arrival = Arrival::new(scale.clients(10_000), Some(PER_SECOND));
    arrival.watch(&mut pool, &mut outcome)?;
    Ok(outcome)
}

/// Clients that come all at once and leave all at once.
pub(super) fn storm(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    let before = settled_memory(target, scale)?;
    let mut outcome = Outcome::default();
    let mut pool = Pool::new(target)?;
    let mut arrival = Arrival::new(scale.clients(10_000), None);
    arrival.watch(&mut pool, &mut outcome)?;
    let full = settled_memory(target, scale)?;
    drop(pool);
    let deadline = Instant::now() + scale.time(SETTLE_TIMEOUT);
    let mut returned = f64::MIN;
    while returned < 99.0 && Instant::now() < deadline {
        std::thread::sleep(scale.time(SETTLE_STEP));
        let now = accounting::tree_memory_mib(target.pid.context("say which process it is")?);
        returned = returned.max(100.0 * (full - now) / (full - before).max(0.01));
    }
    outcome.set(Figure::Returned, returned);
    Ok(outcome)
}

/// Clients on their way in.
struct Arrival {
    name: String,
    count: usize,
    per_second: Option<f64>,
    /// When each was due.
    due: Vec<Instant>,
    subscribed: usize,
    latencies: Histogram<u64>,
}

impl Arrival {
    fn new(count: usize, per_second: Option<f64>) -> Self {
        let latencies = outcome::latencies();
        let name = run_name();
        Self { name, count, per_second, due: Vec::new(), subscribed: 0, latencies }
    }

    /// Has all come, and writes down how long each took from when it was due to its SUBACK.
    fn watch(&mut self, pool: &mut Pool, outcome: &mut Outcome) -> anyhow::Result<()> {
        let meter = Meter::start(pool.target().pid)?;
        let mut last = meter.begin();
        while self.subscribed + refused(pool) < self.count && last.elapsed() < ANSWER_TIMEOUT {
            let wait = self.begin_due(pool, meter.begin())?;
            if self.turn(pool, wait)? || self.due.len() < self.count {
                last = Instant::now();
            }
        }
        meter.stop(self.subscribed as u64, last, outcome)?;
        outcome.set_latencies(&self.latencies);
        outcome.set(Figure::Refused, (self.count - self.subscribed) as f64);
        outcome.set(Figure::Connections, self.count as f64);
        Ok(())
    }

    fn begin_due(&mut self, pool: &mut Pool, begin: Instant) -> anyhow::Result<Duration> {
        while self.due.len() < self.count {
            let number = self.due.len();
            let offset = self.per_second.map_or(0.0, |rate| number as f64 / rate);
            let due = begin + Duration::from_secs_f64(offset);
            let now = Instant::now();
            if due > now {
                return Ok(due - now);
            }
            // Where all are due at once, a connection's time is its own.
            self.due.push(if self.per_second.is_some() { due } else { now });
            let id = format!("{}-{number}", self.name);
            let from = own_address(pool.target(), number);
            pool.begin(&Client { from, ..Client::new(id) })?;
            // Answers are read between: no client is slow because the others are begun.
            if self.per_second.is_none() && number % 32 == 31 {
                return Ok(Duration::ZERO);
            }
        }
        Ok(WAIT)
    }

    fn turn(&mut self, pool: &mut Pool, wait: Duration) -> anyhow::Result<bool> {
        let version = pool.target().version;
        let mut something = false;
        let mut failed = None;
        pool.turn(wait, |number, incoming, out| match incoming {
            Incoming::Connected { .. } => {
                something = true;
                let filter = format!("bench/{}/{number}", self.name);
                let sent = packets::subscribe([filter.as_str()], QoS::AtLeastOnce)
                    .and_then(|packet| Ok(packet.encode(version, out)?));
                failed = failed.take().or(sent.err());
            }
            Incoming::Subscribed => {
                something = true;
                self.subscribed += 1;
                let took = self.due[number].elapsed();
                self.latencies.saturating_record(took.as_nanos() as u64);
            }
            _ => {}
        })?;
        failed.map_or(Ok(something), Err)
    }
}

fn refused(pool: &Pool) -> usize {
    pool.closed().map_or(0, |(count, _)| count)
}

/// One of several loopback addresses, if the broker is there.
fn own_address(target: &Target, number: usize) -> Option<IpAddr> {
    let is_loopback = target.address.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST);
    let last = (number % usize::from(ADDRESSES)) as u8;
    is_loopback.then_some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2 + last)))
}
