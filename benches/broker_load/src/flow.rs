//! Messages from publishers to subscribers: what most works are made of.
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use latchlight_mqtt::{PacketType, QoS, ReasonCode, encode_ack};

use crate::meter::Meter;
use crate::outcome::Outcome;
use crate::packets::{Incoming, STAMP, Template};
use crate::pool::{Client, Pool};
use crate::senders::{Sender, Senders};
use crate::tally::{Spread, Tally};
use crate::target::Target;

/// How long nothing may happen before what is missing counts as lost.
const STALL_QOS_0: Duration = Duration::from_secs(10);
const STALL: Duration = Duration::from_secs(20);
/// How long to wait before looking at the clock.
const WAIT: Duration = Duration::from_millis(100);

/// Who hears whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Publisher i is heard by subscriber i.
    Pairs,
    /// The one publisher is heard by all.
    FanOut,
    /// The one subscriber hears all, by a wildcard.
    FanIn,
    /// The subscribers share one subscription that hears all.
    Shared,
    /// Every client hears itself.
    Itself,
}

/// What holds the publishers back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// Nothing but the broker.
    Unthrottled,
    /// So many messages of each publisher are unacknowledged (QoS 1) or not delivered (QoS 0).
    Outstanding(u32),
    /// So many messages of all publishers are sent per second, whether they are taken or not.
    PerSecond(f64),
}

/// A flow of messages.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Who hears whom.
    pub route: Route,
    /// How many publishers.
    pub publishers: usize,
    /// How many subscribers.
    pub subscribers: usize,
    /// 0 or 1, on either side.
    pub qos: QoS,
    /// How many are published, by all together.
    pub messages: u64,
    /// The payload's length in bytes, at least 16.
    pub payload: usize,
    /// What holds the publishers back.
    pub limit: Limit,
    /// Every packet is a write of its own.
    pub one_per_write: bool,
    /// The subscribers' sessions outlive their connections.
    pub keeps_sessions: bool,
}

impl Flow {
    /// A flow of 64-byte payloads.
    pub fn new(route: Route, publishers: usize, subscribers: usize, qos: QoS) -> Self {
        Self {
            route,
            publishers,
            subscribers,
            qos,
            messages: 1,
            payload: 64,
            limit: Limit::Unthrottled,
            one_per_write: false,
            keeps_sessions: false,
        }
    }

    /// Has it run against this broker.
    ///
    /// # Errors
    /// Not all clients could be connected and subscribed.
    pub fn run(&self, target: &Target) -> anyhow::Result<Outcome> {
        let mut pool = Pool::new(target)?;
        let mut senders = self.set_up(&mut pool, &run_name())?;
        let mut outcome = Outcome::default();
        self.measure(&mut pool, &mut senders, &mut outcome)?;
        Ok(outcome)
    }

    /// Connects all and subscribes. In the pool they come first: subscribers, then publishers.
    ///
    /// # Errors
    /// Not all were taken.
    pub fn set_up(&self, pool: &mut Pool, name: &str) -> anyhow::Result<Senders> {
        let clean_start = !self.keeps_sessions;
        pool.connect(
            (0..self.subscribers)
                .map(|number| Client { clean_start, ..Client::new(format!("{name}-s{number}")) }),
        )?;
        let filters = (0..self.subscribers).map(|number| (number, vec![self.filter(name, number)]));
        pool.subscribe(filters, self.qos)?;
        if self.route != Route::Itself {
            let clients = 0..self.publishers;
            pool.connect(clients.map(|number| Client::new(format!("{name}-p{number}"))))?;
        }
        let version = pool.target().version;
        let goal = |number: usize| {
            let (each, rest) =
                (self.messages / self.publishers as u64, self.messages % self.publishers as u64);
            (each + u64::from((number as u64) < rest)) as u32
        };
        let senders = (0..self.publishers).map(|number| {
            let template = self.template(version, name, number)?;
            let link = self.first_publisher() + number;
            Ok(Sender { link, template, goal: goal(number), sent: 0, settled: 0 })
        });
        let senders: Vec<Sender> = senders.collect::<anyhow::Result<_>>()?;
        let copies = if self.qos == QoS::AtMostOnce { self.copies() } else { 1 };
        Ok(Senders::new(senders, self.limit, self.one_per_write, copies))
    }

    fn template(
        &self,
        version: latchlight_mqtt::ProtocolVersion,
        name: &str,
        number: usize,
    ) -> anyhow::Result<Template> {
        let topic = match self.route {
            Route::FanOut => format!("bench/{name}/all"),
            _ => format!("bench/{name}/{number}"),
        };
        Template::new(version, &topic, self.qos, false, self.payload)
    }

    /// What a subscriber hears.
    pub fn filter(&self, name: &str, number: usize) -> String {
        match self.route {
            Route::Pairs | Route::Itself => format!("bench/{name}/{number}"),
            Route::FanOut => format!("bench/{name}/all"),
            Route::FanIn => format!("bench/{name}/+"),
            Route::Shared => format!("$share/bench/bench/{name}/+"),
        }
    }

    /// The number of the first publisher's connection, after those of the subscribers.
    fn first_publisher(&self) -> usize {
        if self.route == Route::Itself { 0 } else { self.subscribers }
    }

    /// How many deliveries a message makes.
    fn copies(&self) -> u64 {
        if self.route == Route::FanOut { self.subscribers as u64 } else { 1 }
    }

    /// Sends all, waits until all came or nothing comes any more, and writes down what it took.
    ///
    /// # Errors
    /// The kernel does not let us send or wait.
    pub fn measure(
        &self,
        pool: &mut Pool,
        senders: &mut Senders,
        outcome: &mut Outcome,
    ) -> anyhow::Result<Tally> {
        let spread = if self.route == Route::Shared { Spread::One } else { Spread::Each };
        let mut tally = Tally::new(spread, self.subscribers, self.payload.max(STAMP));
        let expected = self.messages * self.copies();
        let stall = if self.qos == QoS::AtMostOnce { STALL_QOS_0 } else { STALL };
        let meter = Meter::start(pool.target().pid)?;
        let mut last = meter.begin();
        loop {
            let wait = senders.send(pool, meter.begin())?.unwrap_or(WAIT);
            let is_done = || tally.received() >= expected && senders.all_settled();
            if wait > Duration::ZERO && is_done() {
                break;
            }
            if self.turn(pool, wait, meter.begin(), senders, &mut tally)? {
                last = Instant::now();
            } else if last.elapsed() > stall {
                break;
            }
        }
        meter.stop(tally.received(), last, outcome)?;
        tally.judge(expected, self.qos == QoS::AtMostOnce, outcome);
        let acknowledged = self.qos == QoS::AtMostOnce || senders.all_settled();
        outcome.require(acknowledged, || "not every message was acknowledged".to_owned());
        if let Some((count, why)) = pool.closed() {
            outcome.failures.push(format!("{count} connections were closed: {why}"));
        }
        if !tally.latencies().is_empty() {
            outcome.set_latencies(tally.latencies());
        }
        Ok(tally)
    }

    /// Waits for what comes; gives whether something did.
    fn turn(
        &self,
        pool: &mut Pool,
        wait: Duration,
        begin: Instant,
        senders: &mut Senders,
        tally: &mut Tally,
    ) -> anyhow::Result<bool> {
        let version = pool.target().version;
        let first_publisher = self.first_publisher();
        let (waits_for_acks, is_paced) =
            (self.qos != QoS::AtMostOnce, matches!(self.limit, Limit::PerSecond(_)));
        let mut something = false;
        pool.turn(wait, |link, incoming, out| {
            something = true;
            match incoming {
                Incoming::Publish(publish) => {
                    let now = if is_paced { begin.elapsed().as_nanos() as u64 } else { 0 };
                    let publisher = tally.record(link, publish.payload, now);
                    if let Some(id) = publish.packet_id {
                        encode_ack(PacketType::PubAck, id, ReasonCode::Success, version, out);
                    }
                    if let (Some(publisher), false) = (publisher, waits_for_acks) {
                        senders.settle(publisher);
                    }
                }
                Incoming::Acknowledged => senders.settle(link.wrapping_sub(first_publisher)),
                Incoming::Drained => senders.wake(link.wrapping_sub(first_publisher)),
                Incoming::Connected { .. } | Incoming::Subscribed => {}
            }
        })?;
        Ok(something)
    }
}

/// A name for client ids and topics that no other run of this process and its kind has.
pub fn run_name() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", std::process::id(), LAST.fetch_add(1, Ordering::Relaxed))
}
