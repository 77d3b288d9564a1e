//! One connection of a client, as the HTTP server reads and writes it: one
//! that holds its place without asking for anything comes to its end.
//!
//! The HTTP server itself limits the time of a connection's first head, and of
//! a silence between requests. What it does not: a later head that stops half
//! way or comes byte by byte, and the rest of a chunked body that nobody reads.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::identity::Principal;

/// How a connection is used; its worker's thread alone looks at it.
#[derive(Clone)]
pub(super) struct Usage(Rc<State>);

struct State {
    /// How many requests are being answered.
    requests: Cell<usize>,
    /// When the last one was, or bytes of an answer were taken last.
    since: Cell<Instant>,
    /// Who looked at the connection while one was.
    reader: Cell<Option<Waker>>,
    is_tls: Cell<bool>,
}

/// A request that is being answered, as long as it is held.
pub(super) struct Answering(Usage);

/// What carries a connection's bytes.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// A connection that is over when nothing has been asked on it for too long,
/// or when the server stops and nothing is being answered.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    known: Option<Principal>,
    usage: Usage,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Usage {
    /// A request is being answered.
    pub(super) fn begin(&self) -> Answering {
        self.0.requests.update(|requests| requests + 1);
        Answering(self.clone())
    }

    /// Whether the connection is over TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.0.is_tls.get()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let Usage(state) = &self.0;
        state.requests.update(|requests| requests - 1);
        state.since.set(Instant::now());
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }
}

impl Connection {
    /// `limit` is how long it may be without a request.
    pub(super) fn new(stream: Box<dyn Stream>, limit: Duration, stop: &CancellationToken) -> Self {
        let since = Instant::now();
        let (requests, reader) = (Cell::new(0), Cell::new(None));
        let is_tls = Cell::new(false);
        let state = State { requests, since: Cell::new(since), reader, is_tls };
        Self {
            stream,
            known: None,
            usage: Usage(Rc::new(state)),
            limit,
            timer: Box::pin(tokio::time::sleep_until(since + limit)),
            stop: Box::pin(stop.clone().cancelled_owned()),
        }
    }

    /// The same, where it is known already who is at its other end.
    pub(super) fn of(self, known: Principal) -> Self {
        Self { known: Some(known), ..self }
    }

    /// The same, where the stream is TLS.
    pub(super) fn over_tls(self) -> Self {
        self.usage.0.is_tls.set(true);
        self
    }

    /// Who is at its other end, if that shows by the connection itself.
    pub(super) fn known(&self) -> Option<Principal> {
        self.known.clone()
    }

    pub(super) fn usage(&self) -> Usage {
        self.usage.clone()
    }

    /// Whether nothing more is to be read; if not, the task is woken when that
    /// changes.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        let state = &self.usage.0;
        if state.requests.get() > 0 {
            state.reader.set(Some(context.waker().clone()));
            return false;
        }
        if self.stop.as_mut().poll(context).is_ready() {
            return true;
        }
        // It is set when it has run out, and not with each request.
        while self.timer.as_mut().poll(context).is_ready() {
            let end = self.usage.0.since.get() + self.limit;
            if end <= Instant::now() {
                return true;
            }
            self.timer.as_mut().reset(end);
        }
        false
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(bytes)) if bytes > 0) {
            self.usage.0.since.set(Instant::now());
        }
        written
    }
}

impl AsyncRead for Connection {
    /// What is over is read as if the client had closed it.
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over(context) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
