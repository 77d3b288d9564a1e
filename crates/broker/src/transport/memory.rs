//! Connections within the process: two bounded pipes, without a socket.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read as _};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::sync::mpsc;

use super::Transport;

/// How many bytes may be on their way in one direction.
const CAPACITY: usize = 64 * 1024;

/// How many connections may wait to be accepted.
const BACKLOG: usize = 1024;

/// Connects to the listener that it was made with.
#[derive(Debug, Clone)]
pub struct MemoryConnector(mpsc::Sender<MemoryStream>);

/// One end of a connection within the process. Dropping it closes it.
#[derive(Debug)]
pub struct MemoryStream {
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
    reset: AtomicBool,
}

/// A connector, and where its connections come in.
pub(crate) fn connector() -> (MemoryConnector, mpsc::Receiver<MemoryStream>) {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    (MemoryConnector(sender), receiver)
}

impl MemoryConnector {
    /// A new connection, on which nothing was said yet.
    ///
    /// # Errors
    /// The listener is gone.
    pub async fn connect(&self) -> io::Result<MemoryStream> {
        let (ours, theirs) = MemoryStream::pair();
        let sent = self.0.send(theirs).await;
        sent.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(ours)
    }
}

impl MemoryStream {
    fn pair() -> (Self, Self) {
        let pipes = [Arc::new(Pipe::default()), Arc::new(Pipe::default())];
        let end = |incoming: &Arc<Pipe>, outgoing: &Arc<Pipe>| Self {
            incoming: incoming.clone(),
            outgoing: outgoing.clone(),
            reset: AtomicBool::new(false),
        };
        (end(&pipes[0], &pipes[1]), end(&pipes[1], &pipes[0]))
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        let reset = self.reset.load(Ordering::Relaxed);
        self.outgoing.end(if reset { State::Reset } else { State::Closed });
        self.incoming.end(State::Reset);
    }
}

impl Transport for MemoryStream {
    fn poll_ready(&self, context: &mut Context<'_>, interest: Interest) -> Poll<io::Result<Ready>> {
        let mut ready = Ready::EMPTY;
        if interest.is_readable() && self.incoming.0.lock().poll_readable(context).is_ready() {
            ready |= Ready::READABLE;
        }
        if interest.is_writable() && self.outgoing.0.lock().poll_writable(context).is_ready() {
            ready |= Ready::WRITABLE;
        }
        if ready.is_empty() { Poll::Pending } else { Poll::Ready(Ok(ready)) }
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.incoming.read(buffer, None)
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.outgoing.write(slices, None)
    }

    fn reset_when_closed(&self, reset: bool) {
        self.reset.store(reset, Ordering::Relaxed);
    }

    /// What the peer has not read is ours still: a reset takes it back.
    fn on_their_way(&self) -> Option<u64> {
        Some(self.outgoing.0.lock().bytes.len() as u64)
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.incoming.read(buffer.initialize_unfilled(), Some(context));
        poll(read).map_ok(|read| buffer.advance(read))
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        poll(self.outgoing.write(&[IoSlice::new(bytes)], Some(context)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.end(State::Closed);
        Poll::Ready(Ok(()))
    }
}

fn poll<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Pipe(Mutex<Flow>);

#[derive(Debug, Default)]
struct Flow {
    bytes: VecDeque<u8>,
    state: State,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// What is in it can be read still.
    Closed,
    /// What was in it is gone.
    Reset,
}

impl Pipe {
    /// Reads what is there; if nothing is, the context is woken when that
    /// changes.
    fn read(&self, buffer: &mut [u8], context: Option<&mut Context<'_>>) -> io::Result<usize> {
        let mut flow = self.0.lock();
        if flow.bytes.is_empty() && !buffer.is_empty() {
            return match flow.state {
                State::Open => {
                    let _ = context.map(|context| flow.poll_readable(context));
                    Err(io::ErrorKind::WouldBlock.into())
                }
                State::Closed => Ok(0),
                State::Reset => Err(io::ErrorKind::ConnectionReset.into()),
            };
        }
        let read = flow.bytes.read(buffer)?;
        if flow.bytes.is_empty() {
            // A connection that is idle holds no buffer.
            flow.bytes = VecDeque::new();
        }
        let writer = flow.writer.take();
        drop(flow);
        wake(writer);
        Ok(read)
    }

    /// Writes what fits; if nothing does, the context is woken when that
    /// changes.
    fn write(
        &self,
        slices: &[IoSlice<'_>],
        context: Option<&mut Context<'_>>,
    ) -> io::Result<usize> {
        let mut flow = self.0.lock();
        if flow.state != State::Open {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = CAPACITY - flow.bytes.len();
        if room == 0 {
            let _ = context.map(|context| flow.poll_writable(context));
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut left = room;
        for slice in slices {
            let fits = slice.len().min(left);
            flow.bytes.extend(&slice[..fits]);
            left -= fits;
        }
        let reader = flow.reader.take();
        drop(flow);
        wake(reader);
        Ok(room - left)
    }

    /// Nothing can be written any more; after a reset, nothing read either.
    fn end(&self, state: State) {
        let mut flow = self.0.lock();
        if flow.state != State::Reset {
            flow.state = state;
        }
        if state == State::Reset {
            flow.bytes = VecDeque::new();
        }
        let (reader, writer) = (flow.reader.take(), flow.writer.take());
        drop(flow);
        wake(reader);
        wake(writer);
    }
}

impl Flow {
    fn poll_readable(&mut self, context: &Context<'_>) -> Poll<()> {
        let ready = !self.bytes.is_empty() || self.state != State::Open;
        poll_or_keep(ready, &mut self.reader, context)
    }

    fn poll_writable(&mut self, context: &Context<'_>) -> Poll<()> {
        let ready = self.bytes.len() < CAPACITY || self.state != State::Open;
        poll_or_keep(ready, &mut self.writer, context)
    }
}

fn poll_or_keep(ready: bool, waker: &mut Option<Waker>, context: &Context<'_>) -> Poll<()> {
    if ready {
        return Poll::Ready(());
    }
    match waker {
        Some(waker) => waker.clone_from(context.waker()),
        none => *none = Some(context.waker().clone()),
    }
    Poll::Pending
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
