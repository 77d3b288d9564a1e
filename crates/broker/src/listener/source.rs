//! The kinds of listeners and of what they accept: bound, listening, and on
//! the way to the thread that will serve it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::SockRef;
use tokio::sync::mpsc;

use super::ListenerAddress;
#[cfg(unix)]
use super::unix::{UnixAcceptor, UnixSocket};
use crate::transport::{MemoryStream, Transport};

/// How many connections may wait to be accepted, where the system allows that
/// many. Of more, it drops the first words, which are said again a second later.
pub(super) const BACKLOG: i32 = 4096;

/// What connections come from, before anybody listens.
#[derive(Debug)]
pub(super) enum Source {
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(UnixSocket),
    Memory(mpsc::Receiver<MemoryStream>),
}

/// The same, within a runtime.
#[derive(Debug)]
pub(super) enum Acceptor {
    Tcp(tokio::net::TcpListener),
    #[cfg(unix)]
    Unix(UnixAcceptor),
    Memory(mpsc::Receiver<MemoryStream>),
}

/// A connection that no runtime has taken in.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(std::net::TcpStream),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
    Memory(MemoryStream),
}

impl Source {
    /// Where it is reached.
    pub(super) fn address(&self) -> io::Result<ListenerAddress> {
        Ok(match self {
            Self::Tcp(listener) => ListenerAddress::Tcp(listener.local_addr()?),
            #[cfg(unix)]
            Self::Unix(socket) => ListenerAddress::Unix(socket.path()),
            Self::Memory(_) => ListenerAddress::Memory,
        })
    }

    /// Begins to listen, within the runtime that is entered.
    pub(super) fn listen(self) -> io::Result<Acceptor> {
        Ok(match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                // Whoever bound it let fewer wait: 128, by the standard library.
                SockRef::from(&listener).listen(BACKLOG)?;
                Acceptor::Tcp(tokio::net::TcpListener::from_std(listener)?)
            }
            #[cfg(unix)]
            Self::Unix(socket) => Acceptor::Unix(socket.listen()?),
            Self::Memory(connections) => Acceptor::Memory(connections),
        })
    }
}

impl Acceptor {
    /// The next connection, and where it comes from; nothing: there can be no
    /// more.
    pub(super) async fn accept(&mut self) -> io::Result<Option<(Socket, Option<SocketAddr>)>> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Some((Socket::Tcp(stream.into_std()?), Some(address)))
            }
            #[cfg(unix)]
            Self::Unix(acceptor) => Some((Socket::Unix(acceptor.accept().await?), None)),
            Self::Memory(connections) => {
                connections.recv().await.map(|stream| (Socket::Memory(stream), None))
            }
        })
    }
}

impl Socket {
    /// Whether its transport can go from thread to thread.
    pub(crate) fn can_move(&self) -> bool {
        !matches!(self, Self::Memory(_))
    }

    /// Takes it into the runtime that this is called in.
    pub(crate) fn into_transport(self) -> io::Result<Arc<dyn Transport>> {
        Ok(match self {
            Self::Tcp(stream) => {
                // Without it, a small packet waits for the acknowledgement of
                // the one before. The peer may have reset it already.
                stream.set_nodelay(true)?;
                Arc::new(tokio::net::TcpStream::from_std(stream)?)
            }
            #[cfg(unix)]
            Self::Unix(stream) => Arc::new(tokio::net::UnixStream::from_std(stream)?),
            Self::Memory(stream) => Arc::new(stream),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn as_many_wait_to_be_accepted_as_come_at_once() {
        const MANY: usize = 400;
        let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let allowed: usize = allowed.trim().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let _acceptor = Source::Tcp(listener).listen().unwrap();
        // Nobody accepts: who does not fit in waits for longer than this.
        let patience = Duration::from_secs(20);
        let waiting: Vec<_> = (0..MANY.min(allowed))
            .map(|_| TcpStream::connect_timeout(&address, patience))
            .collect();
        assert!(waiting.iter().all(Result::is_ok));
    }
}
