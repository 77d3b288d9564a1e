//! One connection of a client, as the HTTP server reads and writes it: one
//! that holds its place without asking for anything comes to its end.
//!
//! The HTTP server itself limits the time of a connection's first head, and of
//! a silence between requests. What it does not: a later head that stops half
//! way or comes byte by byte, and the rest of a chunked body that nobody reads.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::counts::Open;
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
    /// The answer that has no end of its own, while there is one.
    endless: RefCell<Option<Endless>>,
    is_tls: Cell<bool>,
}

/// An answer that goes on until the client goes, or does not take it.
struct Endless {
    /// When to give up, if the client takes nothing then.
    cut_off: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The client has closed its side, or asks for something else.
    is_left: bool,
}

/// An answer without an end of its own, as long as it is held.
pub(super) struct AnsweringEndlessly(Answering);

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
    /// Counted as long as it is there.
    _open: Open,
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

    /// A request is being answered without an end. When `cut_off` is cancelled,
    /// the connection is over as soon as the client does not take what there is.
    pub(super) fn begin_endless(&self, cut_off: CancellationToken) -> AnsweringEndlessly {
        let cut_off = Box::pin(cut_off.cancelled_owned());
        *self.0.endless.borrow_mut() = Some(Endless { cut_off, is_left: false });
        AnsweringEndlessly(self.begin())
    }

    /// Whether the connection is over TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.0.is_tls.get()
    }
}

impl AnsweringEndlessly {
    /// Whether the client has gone, or asks for something else. It is polled
    /// with the answer, which is whenever something comes on the connection.
    pub(super) fn is_left(&self) -> bool {
        let Self(Answering(Usage(state))) = self;
        state.endless.borrow().as_ref().is_some_and(|endless| endless.is_left)
    }
}

impl Drop for AnsweringEndlessly {
    fn drop(&mut self) {
        let Self(Answering(Usage(state))) = self;
        *state.endless.borrow_mut() = None;
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
    pub(super) fn new(
        stream: Box<dyn Stream>,
        open: Open,
        limit: Duration,
        stop: &CancellationToken,
    ) -> Self {
        let since = Instant::now();
        let (requests, reader) = (Cell::new(0), Cell::new(None));
        let (is_tls, endless) = (Cell::new(false), RefCell::default());
        let state = State { requests, since: Cell::new(since), reader, endless, is_tls };
        Self {
            stream,
            known: None,
            usage: Usage(Rc::new(state)),
            _open: open,
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

    fn wrote(
        &self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) if bytes > 0 => self.usage.0.since.set(Instant::now()),
            Poll::Pending if self.is_cut_off(context) => {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            _ => {}
        }
        written
    }

    fn is_cut_off(&self, context: &mut Context<'_>) -> bool {
        let mut endless = self.usage.0.endless.borrow_mut();
        endless.as_mut().is_some_and(|endless| endless.cut_off.as_mut().poll(context).is_ready())
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
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready()
            && let Some(endless) = self.usage.0.endless.borrow_mut().as_mut()
        {
            endless.is_left = true;
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(context, written)
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
