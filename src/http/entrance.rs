//! What a connection passes before anything is read of it: how fast they come
//! from one address, and, with TLS, the handshake (C15). A handshake costs far
//! more than a request, and is the first thing that a stranger can ask for: it
//! has its time, and there are so many at once. One too many is closed, and
//! not kept waiting: who waits holds a place too.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use latchlight_broker::{AcceptRate, Network};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::connection::Stream;
use super::counts::{Counts, NotLetIn};
use crate::config::{HttpSettings, LimitSettings, TrustedProxies};
use crate::tls::Certificates;

/// Connections per second from everywhere, ten seconds' worth at once.
const RATE_OF_ALL: u32 = 10_000;

/// The entrance that all listeners share.
pub(super) struct Entrance {
    rate: Mutex<AcceptRate>,
    since: Instant,
    limit_loopback: bool,
    /// Each stands for many, who are told apart by their requests.
    proxies: TrustedProxies,
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
            proxies: http.trusted_proxies.clone(),
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
        let address = peer.ip().to_canonical();
        if !self.may_come(address) {
            return Err(self.refused(NotLetIn::Rate));
        }
        let Some(certificates) = tls else { return Ok(LetIn::Plain(Box::new(stream))) };
        let Some(_place) = self.place(address) else {
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

    fn may_come(&self, address: IpAddr) -> bool {
        let network = Network::from(address);
        if self.proxies.has(address) {
            return true;
        }
        if network.is_loopback() && !self.limit_loopback {
            return true;
        }
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.rate.lock().allows(network, now)
    }

    fn place(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let network = Network::from(address);
        let most = match self.proxies.has(address) {
            true => self.most.in_all,
            false => self.most.per_network,
        };
        let mut handshakes = self.handshakes.lock();
        let from_there = handshakes.by_network.get(&network).copied().unwrap_or(0);
        if handshakes.all >= self.most.in_all || from_there >= most {
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

    fn entrance(http: HttpSettings, limits: &LimitSettings) -> Arc<Entrance> {
        Arc::new(Entrance::new(&http, limits, Counts::default()))
    }

    fn with_places(max_connections: usize) -> HttpSettings {
        HttpSettings { max_connections, ..HttpSettings::default() }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn c15_who_connects_too_fast_is_held_back_and_nobody_else() {
        let limits = LimitSettings { accept_rate_per_address: 1, loopback: false };
        let entrance = entrance(with_places(100), &limits);
        let come = |from: &str| (0..1000).filter(|_| entrance.may_come(address(from))).count();
        assert!(come("192.0.2.1") <= 11);
        assert!(entrance.may_come(address("192.0.2.2")));
        // An IPv6 /64 is one.
        assert!(come("2001:db8::1") <= 11 && !entrance.may_come(address("2001:db8::2")));
        assert_eq!(come("127.0.0.1"), 1000);
    }

    #[test]
    fn c15_handshakes_of_one_address_leave_room_for_others() {
        let entrance = entrance(with_places(16), &LimitSettings::default());
        let of = |from: &str| entrance.place(address(from));
        let held: Vec<_> = (0..10).filter_map(|_| of("192.0.2.1")).collect();
        assert_eq!(held.len(), 2);
        let others: Vec<_> = (0..20).filter_map(|last| of(&format!("198.51.100.{last}"))).collect();
        assert_eq!(held.len() + others.len(), 8);
        drop((held, others));
        assert!(of("192.0.2.1").is_some());
        assert!(entrance.handshakes.lock().by_network.is_empty());
    }

    #[test]
    fn c15_a_proxy_that_is_trusted_is_not_one_client_and_what_is_beside_it_is() {
        let limits = LimitSettings { accept_rate_per_address: 1, loopback: true };
        let mut http = with_places(16);
        http.trusted_proxies =
            serde_json::from_value(serde_json::json!(["192.0.2.1", "::1"])).expect("two addresses");
        let entrance = entrance(http, &limits);
        for proxy in ["192.0.2.1", "::1"] {
            assert!((0..1000).all(|_| entrance.may_come(address(proxy))), "{proxy}");
        }
        assert!(!(0..1000).all(|_| entrance.may_come(address("192.0.2.2"))));
        let held: Vec<_> = (0..20).filter_map(|_| entrance.place(address("192.0.2.1"))).collect();
        assert_eq!(held.len(), 8, "of handshakes it may have the half that there is of them");
    }
}
