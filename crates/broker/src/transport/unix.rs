//! The Unix socket.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BufMut;
use socket2::SockRef;
use tokio::io::{Interest, Ready};
use tokio::net::UnixStream;
use tokio::runtime::Handle;

use super::Transport;

impl Transport for UnixStream {
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

    /// That it gave less than there was room for does not mean that it is
    /// empty: a client may send descriptors along, which part what it says.
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Self::try_read(self, buffer)
    }

    fn try_read_buf(&self, buffer: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        buffer.reserve(most);
        Self::try_read_buf(self, &mut buffer.limit(most))
    }

    fn reads_directly(&self) -> bool {
        true
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.try_write_vectored(slices)
    }

    /// There is nothing to throw away: what was written is with the client.
    fn reset_when_closed(&self, _: bool) {}

    fn on_their_way(&self) -> Option<u64> {
        Some(0)
    }

    /// As a TCP socket does.
    fn moved_to(&self, runtime: &Handle) -> Option<Arc<dyn Transport>> {
        let again = SockRef::from(self).try_clone().ok()?;
        let _entered = runtime.enter();
        Some(Arc::new(Self::from_std(again.into()).ok()?))
    }
}
