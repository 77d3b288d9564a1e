//! WebSocket over another transport.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::io::{Interest, Ready};

use super::{Transport, may_block, poll_over};
use crate::websocket::{self, CloseCode, Decoder, HEAD_LIMIT, MOST_OF_HEADER, Refused, WebSocket};

/// The longest frame that is written: a ping that comes meanwhile is answered
/// behind it.
const MOST_OF_FRAME: usize = 64 * 1024;

/// How many slices are written at once, next to the header.
const SLICES: usize = 64;

/// The server's end of a WebSocket.
///
/// Nothing is buffered: what comes is taken out of its frames where it is, and
/// what is written goes out behind the header of its frame. A frame that the
/// transport below has taken in part is gone on with by the next write.
#[derive(Debug)]
pub(crate) struct WebSocketStream {
    inner: Arc<dyn Transport>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    decoder: Decoder,
    /// What came together with the request.
    early: Vec<u8>,
    /// A header or a control frame, until all of it is written.
    frame: Vec<u8>,
    /// How much is owed of the frame that was begun.
    left: usize,
    /// The end was said.
    has_said_end: bool,
    has_ended: bool,
    is_reset: bool,
    /// The connection's task, to be woken when something is left to be sent.
    task: Option<Waker>,
}

impl WebSocketStream {
    /// Reads the client's request and answers it.
    ///
    /// # Errors
    /// There is to be no WebSocket: the client is gone, or was told why.
    pub(crate) async fn accept(
        inner: Arc<dyn Transport>,
        settings: &WebSocket,
    ) -> io::Result<Self> {
        let mut bytes = Vec::new();
        let answered = loop {
            match websocket::answer(settings, &bytes) {
                Ok(Some(answered)) => break Ok(answered),
                Ok(None) if bytes.len() >= HEAD_LIMIT => break Err(Refused::TOO_LARGE),
                Ok(None) => {}
                Err(refused) => break Err(refused),
            }
            inner.ready(Interest::READABLE).await?;
            match inner.try_read_buf(&mut bytes, 1024) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        };
        match answered {
            Ok((answer, length)) => {
                inner.write_all(answer.as_bytes()).await?;
                let early = bytes.split_off(length);
                let state = State { early, ..State::default() };
                Ok(Self { inner, state: Mutex::new(state) })
            }
            Err(refused) => {
                inner.write_all(refused.response().as_bytes()).await?;
                Err(io::Error::new(io::ErrorKind::InvalidData, refused.why))
            }
        }
    }

    /// Sends what is not of MQTT: the rest of a header, and what answers pings
    /// and says the end, between frames.
    fn flush(&self, state: &mut State) -> io::Result<()> {
        loop {
            while !state.frame.is_empty() {
                let written = self.inner.try_write(&[IoSlice::new(&state.frame)])?;
                if written == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                state.frame.drain(..written);
            }
            if !state.has_more() {
                state.frame = Vec::new();
                return Ok(());
            }
            if let Some(ping) = state.decoder.ping.take() {
                state.frame = websocket::pong_frame(&ping);
            } else if let Some(code) = state.decoder.end {
                state.frame = websocket::close_frame(code).to_vec();
                state.has_said_end = true;
            }
        }
    }

    /// Begins a frame of this length with these slices; gives how much of them
    /// was written.
    fn begin(&self, state: &mut State, slices: &[IoSlice<'_>], length: usize) -> io::Result<usize> {
        let mut header = [0; MOST_OF_HEADER];
        let header_len = websocket::header(length, &mut header);
        let header = &header[..header_len];
        let mut all = [IoSlice::new(&[]); SLICES + 1];
        all[0] = IoSlice::new(header);
        let count = cut(slices, length, &mut all[1..]);
        let written = self.inner.try_write(&all[..=count])?;
        state.left = length;
        if written <= header_len {
            state.frame = header[written..].to_vec();
            // Nothing of what was given is written.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(written - header_len)
    }
}

impl State {
    /// Whether a control frame can go out now.
    fn has_more(&self) -> bool {
        let says_end = self.decoder.end.is_some() && !self.has_said_end;
        self.left == 0 && !self.has_said_end && (self.decoder.ping.is_some() || says_end)
    }

    fn has_unsent(&self) -> bool {
        !self.frame.is_empty() || self.has_more()
    }
}

impl Transport for WebSocketStream {
    fn poll_ready(&self, context: &mut Context<'_>, interest: Interest) -> Poll<io::Result<Ready>> {
        let mut state = self.state.lock();
        match &mut state.task {
            Some(task) => task.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        let is_readable = !state.early.is_empty() || state.has_ended;
        poll_over(&*self.inner, context, interest, is_readable, || {
            may_block(self.flush(&mut state))?;
            Ok(state.has_unsent())
        })
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.lock();
        if state.has_ended {
            return Ok(0);
        }
        let count = match state.early.len().min(buffer.len()) {
            0 => self.inner.try_read(buffer)?,
            early => {
                buffer[..early].copy_from_slice(&state.early[..early]);
                state.early = state.early[early..].to_vec();
                early
            }
        };
        let kept = state.decoder.decode(&mut buffer[..count]);
        state.has_ended = count == 0 || state.decoder.end.is_some();
        // Pings and the end are answered; what has no room is the task's.
        let flushed = may_block(self.flush(&mut state));
        if kept > 0 {
            return Ok(kept);
        }
        flushed?;
        if state.has_ended { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state.lock();
        self.flush(&mut state)?;
        if state.has_said_end {
            // The connection's task finds the end by reading.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let written = if state.left == 0 {
            let all: usize = slices.iter().take(SLICES).map(|slice| slice.len()).sum();
            if all == 0 {
                return Ok(0);
            }
            self.begin(&mut state, slices, all.min(MOST_OF_FRAME))?
        } else {
            let mut rest = [IoSlice::new(&[]); SLICES];
            let count = cut(slices, state.left, &mut rest);
            self.inner.try_write(&rest[..count])?
        };
        state.left -= written;
        // A ping may have waited for the end of the frame.
        may_block(self.flush(&mut state))?;
        if state.has_unsent()
            && let Some(task) = state.task.take()
        {
            drop(state);
            task.wake();
        }
        Ok(written)
    }

    fn has_unsent(&self) -> bool {
        self.state.lock().has_unsent() || self.inner.has_unsent()
    }

    fn reset_when_closed(&self, reset: bool) {
        self.state.lock().is_reset = reset;
        self.inner.reset_when_closed(reset);
    }

    /// What is around the bytes counts as well: rather too many.
    fn on_their_way(&self) -> Option<u64> {
        self.inner.on_their_way()
    }
}

impl Drop for WebSocketStream {
    /// Says the end, as far as there is room and it is not within a frame.
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if state.is_reset || state.has_said_end || state.left > 0 || !state.frame.is_empty() {
            return;
        }
        let _ = self.inner.try_write(&[IoSlice::new(&websocket::close_frame(CloseCode::Normal))]);
    }
}

/// The first so many bytes of some slices; gives how many slices that are.
fn cut<'a>(slices: &'a [IoSlice<'_>], length: usize, into: &mut [IoSlice<'a>]) -> usize {
    let (mut left, mut count) = (length, 0);
    for (slice, into) in slices.iter().zip(into) {
        if left == 0 {
            break;
        }
        let part = &slice[..slice.len().min(left)];
        left -= part.len();
        *into = IoSlice::new(part);
        count += 1;
    }
    count
}
