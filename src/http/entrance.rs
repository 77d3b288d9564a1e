//! What a connection passes before anything is read of it: how fast they come
//! from one address, and, with TLS, the handshake (C15). A handshake costs far
//! more than a request, and is the first thing that a stranger can ask for: it
//! has its time, and there are so many at once. One too many is closed, and
//! not kept waiting: who waits holds a place too.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use latchlight_broker::{AcceptRate, Network};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::connection::Stream;
use super::counts::{Counts, NotLetIn};
use crate::config::{HttpSettings, LimitSettings};
use crate::tls::Certificates;

/// Connections per second from everywhere, ten seconds' worth at once.
const RATE_OF_ALL: u32 = 10_000;

/// The entrance that all listeners share.
pub(super) struct Entrance {
    rate: Mutex<AcceptRate>,
    since: Instant,
    limit_loopback: bool,
    /// How long a handshake may take.
    patience: Duration,
    most: Most,
    handshakes: Mutex<Handshakes>,
    counts: Counts,
}

/// How many handshakes there may be at once.
struct Most {
    in_all: usize,
    per_network: usize,
}

/// A connection that may come in.
pub(super) enum LetIn {
    /// As it is on the wire.
    Plain(Box<dyn Stream>),
    /// After its handshake.
    Tls(Box<dyn Stream>),
}

#[derive(Default)]
struct Handshakes {
    all: usize,
    /// As many as there are handshakes, at the most.
    by_network: HashMap<Network, usize>,
}

/// A handshake's place; given back when it is dropped.
struct Place {
    entrance: Arc<Entrance>,
    network: Network,
}

impl Entrance {
    /// Of the places of connections, handshakes have half at the most, and
    /// those of one address an eighth.
    pub(super) fn new(http: &HttpSettings, limits: &LimitSettings, counts: Counts) -> Self {
        Self {
            rate: Mutex::new(AcceptRate::new(RATE_OF_ALL, limits.accept_rate_per_address)),
            since: Instant::now(),
            limit_loopback: limits.loopback,
            patience: http.request_timeout(),
            most: Most {
                in_all: http.max_connections.div_ceil(2),
                per_network: http.max_connections.div_ceil(8),
            },
            handshakes: Mutex::default(),
            counts,
        }
    }

    /// Lets a connection in, after its handshake where there is one.
    ///
    /// # Errors
    /// It is not let in; the error is nobody's to read.
    pub(super) async fn let_in(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: Option<SocketAddr>,
        tls: Option<&Certificates>,
    ) -> io::Result<LetIn> {
        // Who is gone already has no address any more.
        let Some(peer) = peer else { return Err(io::ErrorKind::NotConnected.into()) };
        let network = Network::from(peer.ip());
        if !self.may_come(network) {
            return Err(self.refused(NotLetIn::Rate));
        }
        let Some(certificates) = tls else { return Ok(LetIn::Plain(Box::new(stream))) };
        let Some(_place) = self.place(network) else {
            return Err(self.refused(NotLetIn::Handshakes));
        };
        stream.set_nodelay(true)?;
        let acceptor = TlsAcceptor::from(certificates.for_http());
        match tokio::time::timeout(self.patience, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Ok(LetIn::Tls(Box::new(stream))),
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "TLS handshake");
                Err(self.refused(NotLetIn::Tls))
            }
            Err(_) => {
                tracing::debug!(%peer, error = "it took too long", "TLS handshake");
                Err(self.refused(NotLetIn::Tls))
            }
        }
    }

    fn may_come(&self, network: Network) -> bool {
        if network.is_loopback() && !self.limit_loopback {
            return true;
        }
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.rate.lock().allows(network, now)
    }

    fn place(self: &Arc<Self>, network: Network) -> Option<Place> {
        let mut handshakes = self.handshakes.lock();
        let from_there = handshakes.by_network.get(&network).copied().unwrap_or(0);
        if handshakes.all >= self.most.in_all || from_there >= self.most.per_network {
            return None;
        }
        handshakes.all += 1;
        handshakes.by_network.insert(network, from_there + 1);
        Some(Place { entrance: self.clone(), network })
    }

    fn refused(&self, why: NotLetIn) -> io::Error {
        self.counts.not_let_in(why);
        io::ErrorKind::ConnectionAborted.into()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut handshakes = self.entrance.handshakes.lock();
        handshakes.all -= 1;
        let from_there = handshakes.by_network.get_mut(&self.network);
        let left = from_there.map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left == 0 {
            handshakes.by_network.remove(&self.network);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entrance(max_connections: usize, limits: &LimitSettings) -> Arc<Entrance> {
        let http = HttpSettings { max_connections, ..HttpSettings::default() };
        Arc::new(Entrance::new(&http, limits, Counts::default()))
    }

    fn network(text: &str) -> Network {
        Network::from(text.parse::<std::net::IpAddr>().expect("an address"))
    }

    #[test]
    fn c15_who_connects_too_fast_is_held_back_and_nobody_else() {
        let limits = LimitSettings { accept_rate_per_address: 1, loopback: false };
        let entrance = entrance(100, &limits);
        let come = |from: &str| (0..1000).filter(|_| entrance.may_come(network(from))).count();
        assert!(come("192.0.2.1") <= 11);
        assert!(entrance.may_come(network("192.0.2.2")));
        // An IPv6 /64 is one.
        assert!(come("2001:db8::1") <= 11 && !entrance.may_come(network("2001:db8::2")));
        assert_eq!(come("127.0.0.1"), 1000);
    }

    #[test]
    fn c15_handshakes_of_one_address_leave_room_for_others() {
        let entrance = entrance(16, &LimitSettings::default());
        let of = |from: &str| entrance.place(network(from));
        let held: Vec<_> = (0..10).filter_map(|_| of("192.0.2.1")).collect();
        assert_eq!(held.len(), 2);
        let others: Vec<_> = (0..20).filter_map(|last| of(&format!("198.51.100.{last}"))).collect();
        assert_eq!(held.len() + others.len(), 8);
        drop((held, others));
        assert!(of("192.0.2.1").is_some());
        assert!(entrance.handshakes.lock().by_network.is_empty());
    }
}
