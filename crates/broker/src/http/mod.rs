//! Statistics, health and metrics over HTTP: read only, and for people and
//! programs that look after the broker. It is plain HTTP and asks for no
//! password: bind it to a loopback address, or to a network of your own.
//!
//! | path | |
//! | --- | --- |
//! | `/stats` | what is counted, as JSON |
//! | `/healthz` | `ok`, or 503 and what is wrong |
//! | `/metrics` | for Prometheus |

mod routes;
mod serve;
mod stats;

use std::net::TcpListener;

/// Where statistics are served, for [`Broker::serve_http`](crate::Broker::serve_http).
///
/// Unless told otherwise, it has to be called by an address or as `localhost`:
/// a page whose name was made to lead here (DNS rebinding) calls it by that
/// name.
#[derive(Debug)]
pub struct HttpListener {
    listener: TcpListener,
    hosts: Vec<String>,
}

impl HttpListener {
    /// Bound already.
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, hosts: Vec::new() }
    }

    /// Also under this host name, at whatever port; `*` is any.
    #[must_use]
    pub fn host(mut self, name: &str) -> Self {
        self.hosts.push(name.to_owned());
        self
    }
}

impl From<TcpListener> for HttpListener {
    fn from(listener: TcpListener) -> Self {
        Self::new(listener)
    }
}
