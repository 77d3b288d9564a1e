//! Many filters of all kinds, and topics that each match one of them.
use std::time::{Duration, Instant};

use latchlight_contest::accounting;
use latchlight_mqtt::QoS;

use crate::flow::run_name;
use crate::meter::Meter;
use crate::outcome::{Figure, Outcome};
use crate::packets::{Incoming, STAMP, Stamp, Template};
use crate::pool::{Client, Pool};
use crate::scale::Scale;
use crate::tally::{Spread, Tally};
use crate::target::Target;

/// So many that each has fewer shared subscriptions than a broker allows: 100, by ours.
const CLIENTS: usize = 500;
const FILTERS: u64 = 100_000;
/// How many filters are in a SUBSCRIBE.
const AT_ONCE: usize = 50;
const MESSAGES: u64 = 200_000;
const WINDOW: u64 = 1_000;
const PAYLOAD: usize = 64;
const QOS: QoS = QoS::AtMostOnce;
const STALL: Duration = Duration::from_secs(10);
const WAIT: Duration = Duration::from_millis(100);
/// A step that visits every filter before it comes back, in an order without a pattern.
const STEP: u64 = 7_919;

pub(super) fn run(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    let name = run_name();
    let filters = scale.messages(FILTERS);
    let clients = scale.clients(CLIENTS).min(filters as usize);
    let mut outcome = Outcome::default();
    let mut pool = Pool::new(target)?;
    pool.connect((0..=clients).map(|number| Client::new(format!("{name}-{number}"))))?;
    let memory = || target.pid.map(accounting::tree_memory_mib);
    let before = memory();
    for from in (0..filters).step_by(clients * AT_ONCE) {
        let of = |client: usize| {
            let first = from + (client * AT_ONCE) as u64;
            let last = (first + AT_ONCE as u64).min(filters);
            (client, (first..last).map(|number| filter(&name, number)).collect::<Vec<_>>())
        };
        pool.subscribe((0..clients).map(of).filter(|(_, some)| !some.is_empty()), QOS)?;
    }
    if let (Some(before), Some(after)) = (before, memory()) {
        let bytes = (after - before) * 1024.0 * 1024.0;
        outcome.set(Figure::BytesPerSubscription, bytes / filters as f64);
    }
    publish(&mut pool, clients, &name, filters, scale.messages(MESSAGES), &mut outcome)?;
    Ok(outcome)
}

/// Of four kinds in turn; each matches its own topic and no other.
fn filter(name: &str, number: u64) -> String {
    match number % 4 {
        0 => topic(name, number),
        1 => format!("bench/{name}/{number}/+/state"),
        2 => format!("bench/{name}/{number}/#"),
        _ => format!("$share/group/bench/{name}/{number}/+/state"),
    }
}

fn topic(name: &str, number: u64) -> String {
    format!("bench/{name}/{number}/lock/state")
}

fn publish(
    pool: &mut Pool,
    publisher: usize,
    name: &str,
    filters: u64,
    messages: u64,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let version = pool.target().version;
    let templates = (0..filters)
        .map(|number| Template::new(version, &topic(name, number), QOS, false, PAYLOAD));
    let mut templates: Vec<Template> = templates.collect::<anyhow::Result<_>>()?;
    let mut tally = Tally::new(Spread::One, publisher, PAYLOAD.max(STAMP));
    let mut sent = 0;
    let meter = Meter::start(pool.target().pid)?;
    let mut last = meter.begin();
    while tally.received() < messages && last.elapsed() < STALL {
        if pool.link(publisher).is_drained() {
            while sent < messages && sent < tally.received() + WINDOW {
                let at = (sent.wrapping_mul(STEP) % filters) as usize;
                let stamp = Stamp { publisher: 0, number: sent as u32, nanos: 0 };
                templates[at].put(stamp, &mut pool.link(publisher).out);
                sent += 1;
            }
            pool.flush(publisher)?;
        }
        pool.turn(WAIT, |number, incoming, _| {
            if let Incoming::Publish(publish) = incoming {
                tally.record(number, publish.payload, 0);
                last = Instant::now();
            }
        })?;
    }
    meter.stop(tally.received(), last, outcome)?;
    // Each matches, and nothing is pressed for time: none may be lost.
    tally.judge(messages, false, outcome);
    Ok(())
}
