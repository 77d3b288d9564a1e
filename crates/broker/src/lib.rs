//! An embeddable MQTT broker: MQTT 5, 3.1.1 and 3.1, clients of all versions
//! mixed. It knows nothing of locks.
//!
//! Four verbs embed it: build with options, add hooks and listeners, serve;
//! and close. Nobody may do anything that the access hook does not allow.
//!
//! ```
//! use latchlight_broker::{AllowAll, Broker, InlinePublish, SubscriptionOptions};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let broker = Broker::builder().access(AllowAll).listener(listener).serve()?;
//!
//! let inline = broker.inline();
//! let mut doors = inline.subscribe("doors/+".try_into()?, SubscriptionOptions::default())?;
//! inline.publish(InlinePublish::new("doors/front".try_into()?, "locked"));
//! assert_eq!(doors.next().await.map(|message| message.payload), Some("locked".into()));
//!
//! broker.close().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/` has a program for each idea, and its head says what to try:
//!
//! | what it shows | examples |
//! | --- | --- |
//! | ways to reach a broker | `tcp` (a whole one in a few lines), `tls`, `websocket`, `unix` |
//! | who may | `ledger` (from code), `ledger_file`, `access` (a hook of one's own), `scram` (question and answer) |
//! | other hooks | `interceptor`, `observer`, `debug`, `packet_controller` (handlers that answer packets themselves) |
//! | within the process | `inline` (publish, subscribe, live publishes), `injection`, `administration` |
//! | running | `persistence`, `stats`, and a package of its own, `examples/actix-web`: a web server with a broker in it |
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `sqlite` (by default) | a store in a file |
//! | `redis` | a store in Redis |
//! | `ledger` | users and access rules in a YAML or JSON file |
//! | `tls`, `websocket` | layers of a listener |
//! | `metrics`, `http` | what it counts, for Prometheus; statistics, health and metrics over HTTP |
//!
//! Who comes from Mochi-MQTT finds every option and hook of it, and what is
//! different here, in `docs/from-mochi.md`; `docs/broker.md` is about the
//! program that this library is also.
//!
//! # Listeners
//! A [`Listener`] is a value: plain TCP, a Unix socket, or connections within
//! the process. Each has a name, which the access hook sees; they can be added
//! and removed while the broker runs, and share its limits.
//!
//! With the feature `tls`, any of them can speak TLS 1.2 and 1.3
//! (`Listener::tls`), and ask for the client's certificate, which the access
//! hook sees ([`ConnectRequest::certificate`]). The server's certificate, and
//! whose clients are let in, can be replaced while sessions go on
//! (`Tls::replace`).
//!
//! With the feature `websocket`, any of them can speak MQTT over WebSocket
//! (`Listener::websocket`), with TLS over secure WebSocket. Unless it is told
//! otherwise, it keeps out the pages that come from elsewhere.
//!
//! ```
//! use latchlight_broker::{AllowAll, Broker, Listener};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let broker = Broker::builder().access(AllowAll).serve()?;
//! let (listener, connector) = Listener::memory();
//! broker.add_listener(listener.named("tests"))?;
//!
//! let mut client = connector.connect().await?;
//! let connect = [0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, 0];
//! client.write_all(&connect).await?;
//! let mut answer = [0; 4];
//! client.read_exact(&mut answer).await?;
//! assert_eq!(answer, [0x20, 2, 0, 0]);
//!
//! assert!(broker.remove_listener("tests").await);
//! broker.close().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! How fast connections come is limited before anything is done for them, in
//! all and per address; an address whose connections fail too often, and a
//! client that connects too often, is banned for a while
//! ([`Options::ban_time`]). Loopback addresses are left alone, unless
//! [`Options::limit_loopback`].
//!
//! # How it works
//! A session is free of I/O: it is given packets and the time, and gives bytes
//! and effects. Sockets stand around it, on threads of the broker's own. A
//! message is routed by the thread that read it: parsed in place, its topic
//! looked up once per thread, copied into its receivers' output as the very
//! bytes that came in, and written out once per batch; what comes together and
//! reaches many is put together first, and goes to each of them as a whole.
//!
//! # Slow readers
//! A publisher whose messages have met a reader that is behind is not read
//! until that has caught up, but only while the reader takes something all the
//! same ([`Options::stalled_after`]), and for a limited time
//! ([`Options::max_pause`]). Of a reader that takes nothing, QoS 0 is dropped
//! and QoS 1 and 2 wait in a bounded queue. Whatever is dropped is counted
//! ([`Broker::counters`]); a publisher of MQTT 5 whose message nobody had room
//! for is told 0x97 (Quota exceeded). Older versions have no word for that.
//!
//! A client that is not read cannot acknowledge anything either. So nobody waits
//! for acknowledgements of his own, nor for those of a client that waits for his,
//! be it by way of others: who gets what he publishes, and pairs of clients that
//! publish to each other, go on at once.
//!
//! What waits for an inline subscription is taken from its publishers in turn.
//! Who has more than a fair share there is not read until that is taken.
//!
//! # Live publishes
//! [`InlineClient::publish_live`] sends what must arrive now or never: it is
//! not queued, not sent again, and cut off at its deadline with the connection
//! that it was sent on. It is how a lock is told to open.
//!
//! # What outlives the broker
//! With a [`Store`] ([`BrokerBuilder::store`]; an SQLite file comes with the
//! broker, and Redis with the feature `redis`), sessions that outlive their
//! connection, what they are owed, and retained messages are there again after
//! a restart, whatever ended the broker. These are on disk before they are
//! sent: PUBACK, PUBREC and PUBCOMP of what such a session gets or says, the
//! PUBLISH and PUBREL of QoS 2 to one, SUBACK and UNSUBACK, and a CONNACK that
//! begins or ends one. All that waits at a moment shares one commit; what has
//! nothing to do with such sessions waits for none. A store that cannot write,
//! or does not keep up, takes no messages: a publisher of MQTT 5 is told 0x97,
//! an older one gets no answer. Clients are let in all the same; a new session
//! then ends with its connection. A store that has lost what it had is given
//! all of it anew. [`BrokerBuilder::keep_stored`] says which messages must not
//! come back.
//!
//! # Who may do what
//! The access hook says it ([`Access`]). When what it says has changed,
//! [`Broker::review`] asks it again about everybody who is there. With the
//! feature `ledger`, users and rules come from a YAML or JSON file.
//!
//! A hook may also be asked at delivery ([`Access::authorize_receive`]): then a
//! subscription to `#` brings only what its client may read. It is asked once
//! for each topic and reader, and again after a review, when what waits for
//! the reader is looked through, too. A hook that does not want this costs
//! nothing.
//!
//! Clients of MQTT 5 may show who they are by a method of the hook's own
//! ([`Access::begin_authentication`]): question and answer, in as many steps as
//! it takes, when they connect and as often as they like afterwards. Who a
//! client is does not change by that, nor does the method.
//!
//! # What happens, seen
//! An [`Observer`] is told of everything that happens: who comes and goes,
//! packets, messages and what becomes of them, exchanges of QoS 1 and 2. What
//! comes with every message is told only to who asks ([`Interests`]). One
//! that writes the flow of packets to the log is [`struct@Debug`].
//!
//! # What happens, changed
//! An [`Interceptor`] is asked before things happen, and may change or refuse
//! them: a CONNECT, any packet on its way in or out, a subscription, a message
//! and who gets it, a will. It may also answer packets itself, in the broker's
//! place ([`Verdict::Answer`]). Where nobody intercepts, a message goes on as
//! it came.
//!
//! # What it says of itself
//! Below `$SYS/broker` the broker publishes what it counts, under Mosquitto's
//! names ([`Options::sys_interval`]): as retained messages of QoS 0, and only
//! what has changed. Clients cannot publish there; the access hook says who
//! may read it. [`Broker::counters`] has the same and more, at once. With the
//! feature `metrics`, `Broker::metrics` gives them as Prometheus reads them;
//! with `http`, `Broker::serve_http` serves statistics, health and metrics.
//!
//! # Administration
//! [`Broker::sessions`], [`Broker::subscriptions`] and [`Broker::retained`] go
//! through what there is a page at a time, so that nobody waits for it.
//! [`Broker::disconnect`] closes a connection, [`Broker::end_session`] ends a
//! session with all that waits in it, [`Broker::clear_retained`] forgets
//! retained messages. The counters are right when they return;
//! [`Broker::persisted`] waits for the store.
//!
//! # Within the process
//! [`InlineClient`] publishes and subscribes without a socket: as a stream of
//! messages ([`InlineClient::subscribe`]) or by functions that are called with
//! them ([`InlineClient::handle`]), any number for one filter.
//! [`Broker::inject`] handles a packet as if some client had sent it: the same
//! limits, the same hooks.
//!
//! # When a hook panics
//! It is logged, and the broker goes on. An access hook refuses what it was
//! asked about; an interceptor ends the packet and the connection that it was
//! asked about, an observer the connection whose packet it was told of. Of the
//! program's own messages, one at which an interceptor panics is refused. A
//! session outlives all of that.
//!
//! # What is not there
//! One broker is one process: no cluster and no bridge to another. Hooks are
//! added before it serves, and one decides about access. What MQTT has cannot
//! be switched off as a whole, shared subscriptions or QoS 2, say; a hook can
//! refuse it to whom it likes, but CONNACK does not announce that.

mod access;
mod administration;
mod authentication;
mod batch;
mod broker;
mod burst;
mod client_certificate;
mod client_info;
mod connection;
mod counters;
mod deadlines;
mod debug;
mod delivery;
#[cfg(feature = "ledger")]
pub mod document;
mod ebb;
mod farewell;
mod guarded;
mod handlers;
mod hooks;
#[cfg(any(feature = "http", feature = "websocket"))]
mod host;
#[cfg(feature = "http")]
mod http;
mod injection;
mod inline;
mod inline_handler;
mod inline_queue;
mod intake;
mod interceptor;
mod last_words;
mod latency;
#[cfg(feature = "ledger")]
pub mod ledger;
mod limits;
mod line;
mod listener;
mod live;
mod live_watch;
mod message;
#[cfg(feature = "metrics")]
mod metrics;
mod observer;
#[cfg(target_os = "linux")]
mod open_files;
mod opening;
mod options;
mod pauses;
mod publication;
mod read_buffer;
mod recipient;
mod retaining;
mod review;
mod router;
mod seldom;
mod session;
mod session_handle;
mod sessions;
mod sharing;
mod shown;
mod store;
mod subscriptions;
mod sys;
mod tally;
#[cfg(feature = "testing")]
pub mod testing;
mod threads;
mod time;
#[cfg(feature = "tls")]
mod tls;
mod topics;
mod traffic;
mod transport;
#[cfg(feature = "websocket")]
mod websocket;
mod will;
mod words;

pub use access::{Access, AllowAll, ConnectRequest, DenyAll, PublishRequest, Refusal, Review};
pub use administration::{
    RetainedMessage, RetainedMessages, SessionDetails, Sessions, SubscriptionDetails,
};
pub use authentication::{Authentication, AuthenticationRequest, AuthenticationStep};
pub use broker::{Broker, BrokerBuilder};
pub use client_certificate::ClientCertificate;
pub use client_info::ClientInfo;
pub use counters::CountersSnapshot;
pub use debug::Debug;
#[cfg(feature = "http")]
pub use http::HttpListener;
pub use injection::{Injection, InjectionError};
pub use inline::{InlineClient, InlineFilters, InlineMessage, InlinePublish, InlineSubscription};
pub use inline_handler::InlineHandler;
pub use interceptor::{Interceptor, Origin, Steps, Stop, Verdict};
pub use latchlight_mqtt as mqtt;
pub use latchlight_mqtt::{
    ConnAck, Connect, Packet, PacketId, Properties, ProtocolVersion, QoS, ReasonCode,
    RetainHandling, SubscribeFilter, SubscriptionOptions, TopicFilter, TopicName, Will,
};
pub use limits::{AcceptRate, Network};
pub use listener::{Listener, ListenerAddress, ListenerInfo};
pub use live::{LiveEvent, LivePublish, LiveReceipt, LiveStatus};
#[cfg(feature = "metrics")]
pub use metrics::{Metrics, prometheus_text};
pub use observer::{DropReason, Interests, Observer};
pub use options::{Options, WhenFull, WhenInlineFull, WhenOfflineFull};
pub use publication::Publication;
pub use recipient::Recipient;
#[cfg(feature = "redis")]
pub use store::RedisStore;
#[cfg(feature = "sqlite")]
pub use store::SqliteStore;
pub use store::{Change, MemoryStore, Store, StoreError, StoredAs, StoredMessage};
pub use time::Time;
#[cfg(feature = "tls")]
pub use tls::{ClientCertificates, Tls, TlsConfig, TlsError, TlsProblem};
pub use traffic::Traffic;
pub use transport::{MemoryConnector, MemoryStream};
#[cfg(feature = "websocket")]
pub use websocket::WebSocket;
