//! The plain TCP socket.

use std::io::{self, IoSlice, Read as _};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BufMut;
use socket2::SockRef;
use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use super::Transport;

impl Transport for TcpStream {
    fn poll_ready(&self, context: &mut Context<'_>, interest: Interest) -> Poll<io::Result<Ready>> {
        let mut ready = Ready::EMPTY;
        if interest.is_readable() && self.poll_read_ready(context)?.is_ready() {
            ready |= Ready::READABLE;
        }
        if interest.is_writable() && self.poll_write_ready(context)?.is_ready() {
            ready |= Ready::WRITABLE;
        }
        if ready.is_empty() { Poll::Pending } else { Poll::Ready(Ok(ready)) }
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        read_once(self, buffer.len(), || (&*SockRef::from(self)).read(buffer))
    }

    fn try_read_buf(&self, buffer: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        buffer.reserve(most);
        read_once(self, most, || Self::try_read_buf(self, &mut buffer.limit(most)))
    }

    fn reads_directly(&self) -> bool {
        true
    }

    fn try_read_more(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*SockRef::from(self)).read(buffer)
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [one] => Self::try_write(self, one),
            all => self.try_write_vectored(all),
        }
    }

    fn reset_when_closed(&self, reset: bool) {
        // It fails where the peer has reset it already.
        let _ = SockRef::from(self).set_linger(reset.then_some(Duration::ZERO));
    }

    #[cfg(target_os = "linux")]
    fn on_their_way(&self) -> Option<u64> {
        super::send_queue::length(self).ok()
    }

    /// By a second descriptor: others may write by the first until they have
    /// this one. It fails where no more files may be open.
    fn moved_to(&self, runtime: &Handle) -> Option<Arc<dyn Transport>> {
        let again = SockRef::from(self).try_clone().ok()?;
        let _entered = runtime.enter();
        Some(Arc::new(Self::from_std(again.into()).ok()?))
    }
}

/// A socket that gave less than there was room for is empty: it is not asked
/// again before the system says that more has come.
///
/// `read` may be one of tokio's own: the outer look at what is ready comes before
/// it, so that what comes meanwhile is told again.
fn read_once(
    socket: &TcpStream,
    room: usize,
    read: impl FnOnce() -> io::Result<usize>,
) -> io::Result<usize> {
    let mut count = 0;
    let drained = socket.try_io(Interest::READABLE, || {
        count = read()?;
        let is_short = 0 < count && count < room;
        if is_short { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match drained {
        Err(error) if count == 0 => Err(error),
        _ => Ok(count),
    }
}
