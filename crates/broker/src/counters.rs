//! What is counted.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The live counters.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
        }

        /// The counters at one moment; all but the gauges count since the start.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct CountersSnapshot {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> CountersSnapshot {
                CountersSnapshot { $($name: self.$name.get(),)* }
            }
        }
    };
}

counters! {
    /// Connections that are open (gauge).
    connections,
    /// Connections that were accepted.
    connections_accepted,
    /// Connections that were refused by a limit, before CONNECT.
    connections_refused,
    /// Those of them that were refused because too many TLS handshakes were
    /// under way.
    handshakes_refused,
    /// TLS handshakes that failed or took too long.
    handshakes_failed,
    /// Requests on WebSocket listeners that were refused or took too long.
    upgrades_refused,
    /// CONNECTs that were answered with a failure.
    connects_refused,
    /// Sessions, connected or not (gauge).
    sessions,
    /// Subscriptions (gauge).
    subscriptions,
    /// Bytes of messages that wait for sessions, or are kept to be sent again
    /// (gauge).
    waiting_bytes,
    /// Bytes of large packets that are not whole yet (gauge).
    partial_bytes,
    /// Messages that clients published and the broker took.
    messages_in,
    /// Messages that were written for clients.
    messages_out,
    /// Bytes that were read.
    bytes_in,
    /// Bytes that were written.
    bytes_out,
    /// Messages that no subscription matched.
    messages_unmatched,
    /// Publishes that the access hook refused.
    publishes_refused,
    /// Messages of QoS 0 dropped for a reader that takes nothing.
    dropped_stalled,
    /// Messages of QoS 1 and 2 dropped at the bound of a queue.
    dropped_queue_full,
    /// Messages that expired before they were sent.
    dropped_expired,
    /// Messages larger than their receiver takes.
    dropped_too_large,
    /// Messages of QoS 0 for sessions without a connection.
    dropped_offline,
    /// Connections closed for a malformed packet or a protocol error.
    protocol_errors,
    /// Connections closed because their keep alive ran out.
    keep_alive_timeouts,
    /// Connections closed because they read nothing.
    stalled_closed,
    /// Sessions taken over by a newer connection.
    takeovers,
    /// Messages that went from a member of a shared subscription that left to
    /// another one.
    shared_handed_over,
    /// Retained messages (gauge).
    retained_messages,
    /// Bytes of retained topics and payloads (gauge).
    retained_bytes,
    /// Retained messages that were refused at a bound.
    retained_refused,
    /// Messages of QoS 1 and 2 for sessions that outlive their connection,
    /// dropped because the store did not keep up or could not write.
    dropped_store_full,
    /// Commits to the store.
    store_commits,
    /// Commits that failed, and were tried again.
    store_errors,
    /// Connections reset because a live publish was not acknowledged in time.
    live_resets,
}

/// One counter.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn sub(&self, amount: u64) {
        self.0.fetch_sub(amount, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
