//! What a connection is read from and written to: a way to a client that
//! never blocks. The place where TLS, WebSocket and others join the plain socket.

pub(crate) mod memory;
#[cfg(target_os = "linux")]
mod send_queue;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
#[cfg(unix)]
mod unix;
#[cfg(feature = "websocket")]
mod websocket;

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{Interest, Ready};
use tokio::runtime::Handle;

pub use memory::{MemoryConnector, MemoryStream};
#[cfg(feature = "tls")]
pub(crate) use tls::TlsStream;
#[cfg(feature = "websocket")]
pub(crate) use websocket::WebSocketStream;

use crate::read_buffer::CHUNK;

/// A way to a client that never blocks. Any thread may write; the
/// connection's own task waits and reads.
pub(crate) trait Transport: Send + Sync + std::fmt::Debug {
    /// Says what it is ready for, of what is of interest. It may be wrong:
    /// then reading or writing gives `WouldBlock`.
    ///
    /// # Errors
    /// There is nothing to wait for any more.
    fn poll_ready(&self, context: &mut Context<'_>, interest: Interest) -> Poll<io::Result<Ready>>;

    /// Reads what is there, as far as there is room; 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` where nothing is there now; anything else is the end.
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Reads at most so much behind what is in a buffer, or less at once.
    ///
    /// # Errors
    /// As for `try_read`.
    fn try_read_buf(&self, buffer: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        let before = buffer.len();
        buffer.resize(before + most.min(CHUNK), 0);
        let read = self.try_read(&mut buffer[before..]);
        buffer.truncate(before + *read.as_ref().unwrap_or(&0));
        read
    }

    /// The same where it was read just now: also what has come since, and the
    /// system has not told of yet, as far as the transport can look for that.
    ///
    /// # Errors
    /// As for `try_read`.
    fn try_read_more(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.try_read(buffer)
    }

    /// Whether `try_read_buf` has the system read to where the bytes stay, with
    /// no buffer between that is filled or copied.
    fn reads_directly(&self) -> bool {
        false
    }

    /// Writes what fits. What was not written is what the next call begins
    /// with.
    ///
    /// # Errors
    /// `WouldBlock` where nothing fits now; anything else is the end.
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Whether something of what it took is still here, and not with the
    /// system. Once there is room for more, nothing is.
    fn has_unsent(&self) -> bool {
        false
    }

    /// Makes the end of the connection a reset, or an end in order again. At a
    /// reset, what the system has not sent yet is thrown away, and never
    /// arrives; that holds, too, where it is the end of the process that closes.
    fn reset_when_closed(&self, reset: bool);

    /// How many of the bytes that were written may be on their way still: the
    /// peer's system has not acknowledged them. Rather too many than too few;
    /// nothing: it cannot be told.
    fn on_their_way(&self) -> Option<u64> {
        None
    }

    /// The same way to the client, for a task of another runtime to wait at;
    /// this one is not used any more. Nothing: it stays where it is.
    fn moved_to(&self, _: &Handle) -> Option<Arc<dyn Transport>> {
        None
    }
}

impl dyn Transport + '_ {
    /// Writes all of this, for who has nothing else to do meanwhile.
    ///
    /// # Errors
    /// The transport's.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.ready(Interest::WRITABLE).await?;
            match self.try_write(&[IoSlice::new(bytes)]) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        self.sent().await
    }

    /// Waits until all that it took is with the system.
    ///
    /// # Errors
    /// There is nothing to wait for any more.
    pub(crate) async fn sent(&self) -> io::Result<()> {
        while self.has_unsent() {
            self.ready(Interest::WRITABLE).await?;
        }
        Ok(())
    }

    /// Waits until it is ready for something that is of interest.
    ///
    /// # Errors
    /// There is nothing to wait for any more.
    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        std::future::poll_fn(|context| self.poll_ready(context, interest)).await
    }
}

/// What a transport over another one is ready for. `flush` sends what it has
/// of its own, and says whether something is left: that waits for room below,
/// whatever is of interest, and goes before everything else.
#[cfg(any(feature = "tls", feature = "websocket"))]
fn poll_over(
    below: &dyn Transport,
    context: &mut Context<'_>,
    interest: Interest,
    is_readable: bool,
    mut flush: impl FnMut() -> io::Result<bool>,
) -> Poll<io::Result<Ready>> {
    let mut ready = Ready::EMPTY;
    if interest.is_readable() && is_readable {
        ready |= Ready::READABLE;
    }
    loop {
        let is_left = flush()?;
        let asked = if is_left { interest | Interest::WRITABLE } else { interest };
        let Poll::Ready(is) = below.poll_ready(context, asked)? else { break };
        if is.is_readable() && interest.is_readable() {
            ready |= Ready::READABLE;
        }
        if is_left && is.is_writable() {
            continue;
        }
        if is.is_writable() && interest.is_writable() {
            ready |= Ready::WRITABLE;
        }
        break;
    }
    if ready.is_empty() { Poll::Pending } else { Poll::Ready(Ok(ready)) }
}

/// That there is no room is no failure.
#[cfg(any(feature = "tls", feature = "websocket"))]
fn may_block(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}
