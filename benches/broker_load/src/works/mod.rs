//! The works, in one table.
mod acknowledged;
mod connections;
mod index;
mod latency;
mod retained;
mod sessions;
mod slow_subscriber;
mod throughput;

use crate::outcome::{Figure, Outcome};
use crate::scale::Scale;
use crate::setup::Listener;
use crate::target::Target;

/// A work that every broker is given.
#[derive(Debug)]
pub struct Work {
    /// What `--only` calls it.
    pub name: &'static str,
    /// What it is, at full scale.
    pub what: &'static str,
    /// The listener that it needs.
    pub listener: Listener,
    /// Whether what is acknowledged has to be on disk.
    pub durable: bool,
    /// What the table shows of it first.
    pub headline: &'static [Figure],
    /// Does it.
    pub run: fn(&Target, &Scale) -> anyhow::Result<Outcome>,
}

use Figure::{
    BrokerCpu, BytesPerConnection, BytesPerSubscription, Lost, P50, P99, P99Beside, PeakMemory,
    PerSecond, Refused, Returned, Seconds,
};

const CPU: &[Figure] = &[BrokerCpu];
const CPU_AND_LOST: &[Figure] = &[BrokerCpu, Lost];
const CPU_AND_MEMORY: &[Figure] = &[BrokerCpu, PeakMemory];
const CPU_LOST_AND_MEMORY: &[Figure] = &[BrokerCpu, Lost, PeakMemory];
const LATENCY: &[Figure] = &[P50, P99];
const LATENCY_AND_CPU: &[Figure] = &[P50, P99, BrokerCpu];

const fn plain(
    name: &'static str,
    what: &'static str,
    headline: &'static [Figure],
    run: fn(&Target, &Scale) -> anyhow::Result<Outcome>,
) -> Work {
    Work { name, what, listener: Listener::Plain, durable: false, headline, run }
}

/// All of them.
pub const WORKS: &[Work] = &[
    plain(
        "qos0",
        "QoS 0, 1 → 1, 1,000,000 messages, unthrottled",
        CPU_LOST_AND_MEMORY,
        throughput::qos0,
    ),
    plain(
        "qos0-window",
        "the same, at most 1,000 in flight",
        CPU_LOST_AND_MEMORY,
        throughput::qos0_window,
    ),
    plain("qos1", "QoS 1, 50 → 50, window 100, 2,000,000 messages", CPU, throughput::qos1),
    plain(
        "qos1-window-1",
        "QoS 1, 50 → 50, window 1, 200,000 messages",
        CPU,
        throughput::qos1_window_1,
    ),
    plain(
        "fan-out",
        "QoS 0, 1 → 1,000, 1,000 publishes, unthrottled",
        CPU_AND_LOST,
        throughput::fan_out,
    ),
    plain(
        "fan-out-window",
        "the same, at most 20 publishes outstanding",
        CPU_AND_LOST,
        throughput::fan_out_window,
    ),
    plain(
        "fan-out-qos1",
        "QoS 1, 1 → 1,000, window 20, 1,000 publishes",
        CPU_AND_MEMORY,
        throughput::fan_out_qos1,
    ),
    plain(
        "fan-in",
        "QoS 0, 50 → 1, window 100, 1,000,000 messages",
        CPU_AND_LOST,
        throughput::fan_in,
    ),
    plain(
        "latency",
        "QoS 1, publish → delivery, one at a time, 20,000 messages",
        LATENCY,
        latency::one_at_a_time,
    ),
    plain(
        "self-echo",
        "QoS 0, 100 clients that each send themselves 10,000, one packet per write",
        CPU_AND_LOST,
        throughput::self_echo,
    ),
    plain(
        "idle",
        "idle connections with one subscription each (from 5,000 to 15,000)",
        &[BytesPerConnection],
        connections::idle,
    ),
    plain(
        "latency-paced",
        "QoS 1, 10 → 10, 2,000 messages per second for 5 s",
        LATENCY_AND_CPU,
        latency::paced,
    ),
    plain(
        "connections",
        "10,000 clients connect and subscribe, 1,000 per second",
        &[BrokerCpu, P99, Refused],
        connections::at_a_rate,
    ),
    plain(
        "connect-storm",
        "10,000 clients connect at once, from 10 addresses, and leave",
        &[Seconds, P99, Refused, Returned],
        connections::storm,
    ),
    plain(
        "point-to-point",
        "QoS 1, 1,000 → 1,000, 5,000 messages per second for 5 s",
        LATENCY_AND_CPU,
        throughput::point_to_point,
    ),
    plain(
        "shared",
        "QoS 1, 1,000 → 5 that share a subscription, window 1, 200,000 messages",
        CPU,
        throughput::shared,
    ),
    plain(
        "retained",
        "10,000 retained messages for each of 20 new subscribers",
        CPU_AND_LOST,
        retained::storm,
    ),
    plain(
        "reconnect",
        "1,000 clients come back at once to sessions with 10 messages each",
        &[BrokerCpu, Seconds, P99],
        sessions::reconnect,
    ),
    plain(
        "slow-subscriber",
        "QoS 0, 1 → 10, 4 KiB, 1,000 per second for 5 s, without and with one who does not read",
        &[P99, P99Beside],
        slow_subscriber::run,
    ),
    plain(
        "index",
        "QoS 0, 1 → 100, 200,000 topics among 100,000 filters (exact, +, #, shared)",
        &[BrokerCpu, BytesPerSubscription],
        index::run,
    ),
    Work {
        name: "durable",
        what: "QoS 1 on disk, 50 → 50 sessions, window 100, 100,000 messages",
        listener: Listener::Plain,
        durable: true,
        headline: &[BrokerCpu, PerSecond],
        run: throughput::durable,
    },
    Work {
        name: "durable-latency",
        what: "QoS 1 on disk, publish → delivery, one at a time, 2,000 messages",
        listener: Listener::Plain,
        durable: true,
        headline: LATENCY,
        run: latency::durable,
    },
    plain("payload-16", "QoS 0, 1 → 1, window 1,000, 16 B, 1,000,000", CPU, throughput::bytes_16),
    plain("payload-256", "QoS 0, 1 → 1, window 1,000, 256 B, 500,000", CPU, throughput::bytes_256),
    plain("payload-1k", "QoS 0, 1 → 1, window 100, 1 KiB, 300,000", CPU, throughput::kib_1),
    plain("payload-4k", "QoS 0, 1 → 1, window 100, 4 KiB, 200,000", CPU, throughput::kib_4),
    plain("payload-64k", "QoS 0, 1 → 1, window 100, 64 KiB, 20,000", CPU, throughput::kib_64),
    Work {
        name: "tls",
        what: "QoS 0 over TLS, 1 → 1, window 100, 1 KiB, 300,000",
        listener: Listener::Tls,
        durable: false,
        headline: &[BrokerCpu, PerSecond],
        run: throughput::kib_1,
    },
    Work {
        name: "websocket",
        what: "QoS 0 over WebSocket, 1 → 1, window 1,000, 500,000 messages",
        listener: Listener::WebSocket,
        durable: false,
        headline: CPU_AND_LOST,
        run: throughput::websocket,
    },
];
