//! What a connection is written to; the place where TLS, WebSocket and others
//! join the plain socket.

use std::io::{self, IoSlice};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

/// A way to a client that never blocks. Any thread may write.
pub(crate) trait Transport: Send + Sync + std::fmt::Debug {
    /// Writes what fits.
    ///
    /// # Errors
    /// `WouldBlock` where nothing fits now; anything else is the end.
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Makes the end of the connection a reset: what the system has not sent
    /// yet is thrown away, and never arrives.
    fn reset_when_closed(&self);
}

impl Transport for TcpStream {
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [one] => Self::try_write(self, one),
            all => self.try_write_vectored(all),
        }
    }

    fn reset_when_closed(&self) {
        // It fails where the peer has reset it already.
        let _ = SockRef::from(self).set_linger(Some(Duration::ZERO));
    }
}
