//! Accepting, and one connection: on a thread of its own, so that nobody who
//! asks for statistics holds up who publishes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::HttpListener;
use super::routes::{self, Asked};
use crate::Broker;

/// Connections at once; who comes then waits to be accepted.
const CONNECTIONS: usize = 32;

/// How long a request may take to be said, and how long a connection with its
/// one request and answer may last.
const REQUEST: Duration = Duration::from_secs(5);
const CONNECTION: Duration = Duration::from_secs(15);

/// How large a request may be, which has no body, and how many headers it may
/// have.
const SIZE: usize = 8 * 1024;
const HEADERS: usize = 64;

/// How long to wait after an error that is not one connection's own.
const PAUSE: Duration = Duration::from_millis(100);

impl Broker {
    /// Serves statistics, health and metrics over HTTP until the broker is
    /// closed: `/stats`, `/healthz` and `/metrics`, for GET and HEAD. Gives
    /// where it is bound.
    ///
    /// # Errors
    /// The listener is none, a thread cannot be had, or the broker has stopped.
    pub fn serve_http(&self, listener: impl Into<HttpListener>) -> io::Result<SocketAddr> {
        if self.core.stop.is_cancelled() {
            return Err(io::Error::other("the broker has stopped"));
        }
        let HttpListener { listener, hosts } = listener.into();
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let asked = Arc::new(Asked::new(self.core.clone(), hosts));
        let thread = std::thread::Builder::new().name("mqtt-http".to_owned());
        let thread = thread.spawn(move || runtime.block_on(accept(listener, asked)))?;
        self.core.helpers.lock().push(thread);
        Ok(address)
    }
}

/// Accepts until the broker stops; survives every error.
async fn accept(listener: TcpListener, asked: Arc<Asked>) {
    let stop = asked.core.stop.clone();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let accept = async {
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(answer(stream, asked.clone(), place))),
                Err(error) => {
                    tracing::warn!(%error, "accept an HTTP connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = stop.cancelled() => {}
    }
}

async fn answer(stream: TcpStream, asked: Arc<Asked>, _place: OwnedSemaphorePermit) {
    let service = service_fn(move |request| {
        let answer = routes::answer(&asked, &request);
        std::future::ready(Ok::<_, std::convert::Infallible>(answer))
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(REQUEST).max_headers(HEADERS);
    // One request each: there is nothing to be gained from more.
    http.max_buf_size(SIZE).keep_alive(false);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an HTTP connection"),
        Err(_) => tracing::debug!("an HTTP connection took too long"),
    }
}
