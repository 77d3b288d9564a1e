//! What is counted.

use std::sync::atomic::{AtomicU64, Ordering};

use latchlight_mqtt::TopicFilter;

use crate::traffic::{LiveTraffic, Traffic};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The live counters.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
            pub(crate) received: LiveTraffic,
            pub(crate) sent: LiveTraffic,
        }

        /// The counters at one moment; all but the gauges count since the start.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[cfg_attr(feature = "http", derive(serde::Serialize))]
        #[non_exhaustive]
        pub struct CountersSnapshot {
            $($(#[$doc])* pub $name: u64,)*
            /// What clients sent: of messages, those that the broker took.
            pub received: Traffic,
            /// What was written for clients.
            pub sent: Traffic,
        }

        #[cfg(all(test, feature = "metrics"))]
        impl CountersSnapshot {
            /// Each counter that is one number, by its name, where it alone has counted.
            pub(crate) fn each_alone() -> Vec<(&'static str, Self)> {
                vec![$((stringify!($name), Self { $name: 7, ..Self::default() })),*]
            }
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> CountersSnapshot {
                CountersSnapshot {
                    $($name: self.$name.get(),)*
                    received: self.received.get(),
                    sent: self.sent.get(),
                }
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
    /// Those that were refused because connections came too fast.
    refused_rate,
    /// Those that were refused because their address is banned.
    refused_banned,
    /// CONNECTs that were refused because their client is banned.
    connects_refused_banned,
    /// Addresses and clients that were banned.
    bans,
    /// TLS handshakes that failed or took too long.
    handshakes_failed,
    /// Requests on WebSocket listeners that were refused or took too long.
    upgrades_refused,
    /// CONNECTs that were answered with a failure.
    connects_refused,
    /// CONNECTs that came.
    connects,
    /// Clients that are connected (gauge).
    clients_connected,
    /// The most clients that were connected at once.
    clients_maximum,
    /// Sessions, connected or not (gauge).
    sessions,
    /// Sessions whose time without a connection ran out.
    sessions_expired,
    /// Subscriptions (gauge).
    subscriptions,
    /// Shared ones among them (gauge).
    shared_subscriptions,
    /// Bytes of messages that wait for sessions, or are kept to be sent again
    /// (gauge).
    waiting_bytes,
    /// Room for large packets that are not whole yet, in bytes (gauge).
    partial_bytes,
    /// Messages that this process published.
    messages_inline,
    /// Messages that no subscription matched.
    messages_unmatched,
    /// Publishes that the access hook refused, or an interceptor stopped.
    publishes_refused,
    /// Messages that a subscriber may not receive, as the access hook said.
    deliveries_refused,
    /// Messages of QoS 0 dropped for a reader that takes nothing.
    dropped_stalled,
    /// Messages of QoS 1 and 2 dropped at the bound of a queue.
    dropped_queue_full,
    /// Those of them that had waited, and made room for newer ones.
    dropped_oldest,
    /// Messages dropped at the bound of an inline subscription.
    dropped_inline_full,
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
    /// Connections closed because the queue of their session was full.
    queue_full_closed,
    /// Sessions taken over by a newer connection.
    takeovers,
    /// Messages that went from a member of a shared subscription that left to
    /// another one.
    shared_handed_over,
    /// Retained messages (gauge).
    retained_messages,
    /// Bytes of retained topics and payloads (gauge).
    retained_bytes,
    /// Retained messages for which there was no room.
    retained_refused,
    /// Messages of QoS 1 and 2 for sessions that outlive their connection,
    /// dropped because the store did not keep up or could not write.
    dropped_store_full,
    /// Messages that were not taken for the same reason: retained ones, and
    /// those of QoS 2 from such sessions.
    store_refused,
    /// Commits to the store.
    store_commits,
    /// Commits that failed, and were tried again.
    store_errors,
    /// Changes that could not be committed before the end of the broker.
    store_lost,
    /// Connections reset because a live publish was not acknowledged in time.
    live_resets,
}

impl Counters {
    /// A client is connected to its session.
    pub(crate) fn client_came(&self) {
        self.clients_connected.one();
        self.clients_maximum.raise(self.clients_connected.get());
    }

    /// There is one more subscription.
    pub(crate) fn subscribed(&self, filter: &TopicFilter) {
        self.subscriptions.one();
        self.shared_subscriptions.add_some(u64::from(filter.shared().is_some()));
    }

    /// There is one less.
    pub(crate) fn unsubscribed(&self, filter: &TopicFilter) {
        self.subscriptions.sub(1);
        if filter.shared().is_some() {
            self.shared_subscriptions.sub(1);
        }
    }
}

impl CountersSnapshot {
    /// Messages that were dropped because a bound was reached: of a queue, of
    /// what may wait for a reader or an inline subscription, or of the store.
    pub fn dropped_at_bounds(&self) -> u64 {
        self.dropped_stalled
            + self.dropped_queue_full
            + self.dropped_inline_full
            + self.dropped_store_full
    }
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

    /// The same where it is mostly nothing.
    pub(crate) fn add_some(&self, amount: u64) {
        if amount > 0 {
            self.add(amount);
        }
    }

    /// It is at least this.
    pub(crate) fn raise(&self, least: u64) {
        self.0.fetch_max(least, Ordering::Relaxed);
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
