//! The limits and habits of a broker, each with its default.

use std::time::Duration;

/// What happens to a message of QoS 1 or 2 for a client that is connected, and
/// whose queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// It is not taken; a publisher all of whose receivers are full is told
    /// 0x97 (Quota exceeded) where its version can say so.
    #[default]
    DropNewest,
    /// The oldest one makes room.
    DropOldest,
    /// It is not taken either, and the connection is closed with 0x97. What
    /// waits stays with the session, where that outlives the connection.
    Disconnect,
}

/// What happens to a message of QoS 1 or 2 for a session without a connection
/// whose queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenOfflineFull {
    /// It is not taken, as with [`WhenFull::DropNewest`].
    #[default]
    DropNewest,
    /// The oldest one makes room.
    DropOldest,
}

/// What happens to a message for an inline subscription for which as many wait
/// as should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenInlineFull {
    /// It waits, and its publisher is not read on until there is room. Nobody
    /// can slow down this process itself, and wills: only beyond
    /// [`Options::max_waiting_bytes`] is anything not taken.
    #[default]
    SlowDown,
    /// It is not taken; a publisher all of whose receivers are full is told
    /// 0x97 (Quota exceeded) where its version can say so.
    DropNewest,
    /// The oldest one of the same publisher makes room; where none of it
    /// waits, that of the publisher whose turn is next.
    DropOldest,
}

/// Every limit of a broker. What reaches one is counted, and said to the
/// client where its version can say so; never silently dropped.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that read and write sockets. One that has time takes eight
    /// connections before the next one gets any; more are spread evenly.
    pub threads: usize,
    /// For how long a thread that has nothing to do looks for more before it
    /// sleeps, while its clients keep answering within that time, one message
    /// after the other, and a core has nothing to do. And whether a thread that
    /// one client keeps awake by single messages, without waiting for answers,
    /// lets some of them come together, for some 70 µs. Zero, or a machine with
    /// one core: it sleeps at once, and does not.
    pub busy_poll: Duration,
    /// The largest packet that is taken, in bytes.
    /// Of those that are no PUBLISH, never more than 1 MiB.
    pub max_packet_size: u32,
    /// User properties of one packet, and again of the will that a CONNECT
    /// leaves: a client that sends more is disconnected with 0x97.
    pub max_user_properties: usize,
    /// Room for packets that are not whole yet, in bytes, of all connections
    /// together; the connection that goes beyond is closed. It counts once more
    /// than 32 KiB of a packet have come: its size at the most, and no more than
    /// 128 KiB or four times what has come.
    pub max_partial_bytes: usize,
    /// How long a connection may take to say CONNECT.
    pub connect_timeout: Duration,
    /// How many bytes a connection may send before CONNECT is complete.
    pub max_connect_size: u32,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// TLS handshakes at once; one more connection is refused.
    pub max_handshakes: usize,
    /// TLS handshakes at once from one address.
    pub max_handshakes_per_address: usize,
    /// Connections per second, of all listeners together; ten seconds' worth may
    /// come at once. 0: any number.
    pub max_accept_rate: u32,
    /// The same from one address. An IPv6 /64 counts as one address, here and
    /// elsewhere.
    pub max_accept_rate_per_address: u32,
    /// Connections from one address per minute that may fail before they are
    /// let in (in the TLS handshake, with a wrong password); beyond that, the
    /// address is banned. 0: any number.
    pub max_failures_per_address: u32,
    /// How often per minute a client may connect, by its client id and where it
    /// comes from; beyond that, it is banned. 0: as often as it likes.
    pub max_connects_per_client: u32,
    /// How long who is banned is not let in.
    pub ban_time: Duration,
    /// Whether these rates and bans hold for loopback addresses, too. They
    /// never do for what has no address.
    pub limit_loopback: bool,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once from one address.
    pub max_connections_per_address: usize,
    /// Sessions, with and without a connection.
    pub max_sessions: usize,
    /// How long a session may outlive its connection.
    pub max_session_expiry: Duration,
    /// The longest keep alive, also imposed on who wants none; in seconds, 0
    /// leaves it to the client.
    pub max_keep_alive: u16,
    /// How many unfinished QoS 2 messages a client may have open (Receive
    /// Maximum of the server).
    pub receive_maximum: u16,
    /// How many messages of QoS 1 and 2 may be in flight to a client, whatever
    /// more it allows.
    pub max_in_flight: u16,
    /// Messages that wait for one session; while more retained ones than that
    /// wait for it, it gets no subscription that brings more.
    pub max_queued_messages: usize,
    /// Bytes of topics and payloads that wait for one session, and again of
    /// those that are in flight to it and kept to be sent again; and that wait
    /// for an inline subscription before it counts as full.
    pub max_queued_bytes: usize,
    /// Bytes of what waits for all sessions together, or is kept to be sent
    /// again; what comes beyond is not taken. As many may wait for one inline
    /// subscription, where each message counts for 128 more.
    pub max_waiting_bytes: usize,
    /// What happens beyond the bounds of one session whose client is connected.
    pub when_full: WhenFull,
    /// What happens beyond the bounds of one session without a connection.
    pub when_full_offline: WhenOfflineFull,
    /// Bytes that may wait for a socket before publishers are slowed down.
    pub high_water: usize,
    /// How long a reader may take nothing before nobody waits for it any more.
    pub stalled_after: Duration,
    /// How long a publisher waits at the most, after each of its batches, for
    /// readers that take something but not enough.
    pub max_pause: Duration,
    /// How long a reader may take nothing, with bytes waiting, before its
    /// connection is closed.
    pub stalled_limit: Duration,
    /// Subscriptions of one session.
    pub max_subscriptions: usize,
    /// Shared ones among them. Of those that match a message, each may bring the
    /// client one more copy.
    pub max_shared_subscriptions: usize,
    /// Bytes of one session's filters; each of their levels counts for 128 more.
    pub max_subscription_bytes: usize,
    /// Levels of a topic name or filter.
    pub max_topic_levels: usize,
    /// Topic aliases that a client may use towards the broker.
    pub topic_alias_maximum: u16,
    /// What a client of MQTT 5 is told that asks for response information:
    /// where its answers may come, by custom. `%c` stands for its client id.
    pub response_information: Option<String>,
    /// Retained messages.
    pub max_retained_messages: usize,
    /// Bytes of retained topics and payloads.
    pub max_retained_bytes: usize,
    /// Bytes that may wait for the store before it counts as full: what it
    /// would have to keep is refused then.
    pub max_store_backlog: usize,
    /// Messages that may wait for an inline subscription before it counts as
    /// full; retained ones that it begins with do not count.
    pub inline_queue: usize,
    /// What happens then.
    pub when_full_inline: WhenInlineFull,
    /// How often the `$SYS` topics are looked at; what has changed is
    /// published. Zero: there are none.
    pub sys_interval: Duration,
    /// Whether it is measured how long things take, for the metrics: some clock
    /// readings for each connection, batch of messages and commit.
    pub measure_latency: bool,
}

impl Default for Options {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            threads: cores.min(4),
            busy_poll: Duration::from_micros(50),
            max_packet_size: 16 * 1024 * 1024,
            max_user_properties: 1000,
            max_partial_bytes: 256 * 1024 * 1024,
            connect_timeout: Duration::from_secs(10),
            max_connect_size: 64 * 1024,
            handshake_timeout: Duration::from_secs(10),
            max_handshakes: 1000,
            max_handshakes_per_address: 250,
            max_accept_rate: 10_000,
            max_accept_rate_per_address: 100,
            max_failures_per_address: 300,
            max_connects_per_client: 100,
            ban_time: Duration::from_secs(60),
            limit_loopback: false,
            max_connections: 100_000,
            max_connections_per_address: 100_000,
            max_sessions: 200_000,
            max_session_expiry: Duration::from_secs(30 * 24 * 3600),
            max_keep_alive: 0,
            receive_maximum: 1024,
            max_in_flight: 4096,
            max_queued_messages: 10_000,
            max_queued_bytes: 16 * 1024 * 1024,
            max_waiting_bytes: 512 * 1024 * 1024,
            when_full: WhenFull::default(),
            when_full_offline: WhenOfflineFull::default(),
            high_water: 1024 * 1024,
            stalled_after: Duration::from_millis(50),
            max_pause: Duration::from_secs(1),
            stalled_limit: Duration::from_secs(60),
            max_subscriptions: 10_000,
            max_shared_subscriptions: 100,
            max_subscription_bytes: 16 * 1024 * 1024,
            max_topic_levels: 128,
            topic_alias_maximum: 32,
            response_information: None,
            max_retained_messages: 1_000_000,
            max_retained_bytes: 256 * 1024 * 1024,
            max_store_backlog: 64 * 1024 * 1024,
            inline_queue: 4096,
            when_full_inline: WhenInlineFull::default(),
            sys_interval: Duration::from_secs(10),
            measure_latency: false,
        }
    }
}
