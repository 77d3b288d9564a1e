//! TLS over another transport.

use std::cell::RefCell;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, MutexGuard};
use rustls::ServerConnection;
use rustls::server::Acceptor;
use smallvec::SmallVec;
use tokio::io::{Interest, Ready};

use super::{Transport, may_block, poll_over};
use crate::tls::Handshakes;

/// How much of what is encrypted is read at once.
const CHUNK: usize = 64 * 1024;

/// About what a record has room for: for less, nothing is read, where something
/// was read already.
const RECORD: usize = 16 * 1024;

/// How often one read looks for more: a client that sends records with nothing
/// in them keeps its thread no longer than others do.
const ROUNDS: usize = 4;

/// Beyond this, the room for a record is given back when the record is gone. Of
/// a handshake, no more is read at once.
const KEPT: usize = 4096;

/// How much rustls copies at once into the records that it encrypts. Of more
/// than 2 KiB, the C library makes a `rep movsb` where the processor says that
/// this is fast. On an AMD EPYC that took 16 times as long where the
/// destination is 1 to 15 bytes ahead of the source, each in its page: here it
/// is 5 bytes, a record's header.
const PIECE: usize = 2048;

/// What one write takes at the most; rustls takes no more either.
const AHEAD: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// The server's end of a TLS connection.
///
/// Of what is written at most 64 KiB are encrypted before the transport below
/// has taken them; until it has, nothing more is taken. Its own task sends what
/// was left, also while it only waits to read. An idle connection holds the
/// keys, and room for a short record.
#[derive(Debug)]
pub(crate) struct TlsStream {
    inner: Arc<dyn Transport>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    session: ServerConnection,
    /// What came and is still encrypted, because there was no room for more:
    /// less than a chunk.
    rest: Vec<u8>,
    /// How much is decrypted and was not read yet.
    plaintext: usize,
    /// How much the latest write took: what is encrypted and not sent yet is
    /// of that.
    ahead: usize,
    /// Nothing more comes.
    has_ended: bool,
    /// The connection's task, to be woken when something is left to be sent.
    task: Option<Waker>,
    is_reset: bool,
}

impl TlsStream {
    /// The client's first words, up to the end of the handshake.
    ///
    /// # Errors
    /// It ended or failed, which the client was told if it speaks TLS.
    pub(crate) async fn accept(
        inner: Arc<dyn Transport>,
        handshakes: &Handshakes,
    ) -> io::Result<Self> {
        let session = begin(&*inner, handshakes).await?;
        let state = State {
            session,
            rest: Vec::new(),
            plaintext: 0,
            ahead: 0,
            has_ended: false,
            task: None,
            is_reset: false,
        };
        let stream = Self { inner, state: Mutex::new(state) };
        while let Some(interest) = stream.next_of_handshake()? {
            stream.inner.ready(interest).await?;
            stream.go_on()?;
        }
        Ok(stream)
    }

    /// What the handshake waits for; nothing: it is done.
    fn next_of_handshake(&self) -> io::Result<Option<Interest>> {
        let mut state = self.state.lock();
        may_block(self.flush(&mut state))?;
        Ok(match (state.session.is_handshaking(), state.session.wants_write()) {
            (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
            (true, false) => Some(Interest::READABLE),
            (false, true) => Some(Interest::WRITABLE),
            (false, false) => None,
        })
    }

    /// Reads what the handshake needs, and no more where it can be helped.
    fn go_on(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if !state.session.is_handshaking() {
            return Ok(());
        }
        may_block(self.fill(&mut state, &mut [], &mut 0).map(drop))?;
        let is_over = state.has_ended && state.session.is_handshaking();
        if is_over { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// The certificate that the client has shown, in DER, if it has.
    pub(crate) fn client_certificate(&self) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let chain = state.session.peer_certificates()?;
        chain.first().map(|certificate| certificate.as_ref().to_vec())
    }

    /// Sends what is encrypted already.
    fn flush(&self, state: &mut State) -> io::Result<()> {
        while state.session.wants_write() {
            if state.session.write_tls(&mut Below(&*self.inner))? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Reads once from below, and decrypts as much of it as there is room for;
    /// false: nothing more is there for now.
    fn fill(&self, state: &mut State, buffer: &mut [u8], read: &mut usize) -> io::Result<bool> {
        // What is decrypted is less than what was encrypted.
        let most = (buffer.len() - *read).clamp(KEPT, CHUNK);
        BUFFER.with(|chunk| {
            let chunk = &mut chunk.borrow_mut()[..most];
            let count = self.inner.try_read(chunk)?;
            if count == 0 {
                state.has_ended = true;
                return Ok(false);
            }
            let taken = self.decrypt(state, &chunk[..count], buffer, read)?;
            state.rest = chunk[taken..count].to_vec();
            Ok(count == most)
        })
    }

    /// Decrypts until there is no more room; gives how much that took.
    fn decrypt(
        &self,
        state: &mut State,
        bytes: &[u8],
        buffer: &mut [u8],
        read: &mut usize,
    ) -> io::Result<usize> {
        let mut left = bytes;
        while !left.is_empty() && (state.session.is_handshaking() || *read < buffer.len()) {
            if state.session.read_tls(&mut left)? == 0 {
                // The client has said that it says no more: what follows is
                // nobody's.
                return Ok(bytes.len());
            }
            match state.session.process_new_packets() {
                Ok(now) => {
                    state.plaintext = now.plaintext_bytes_to_read();
                    state.has_ended |= now.peer_has_closed();
                }
                Err(error) => {
                    // The client is told what was wrong, if there is room.
                    let _ = self.flush(state);
                    return Err(invalid(error));
                }
            }
            state.take_plaintext(buffer, read)?;
        }
        if bytes.len() > KEPT {
            // It gives back the room that it took for a large record.
            let _ = state.session.read_tls(&mut Nothing);
        }
        Ok(bytes.len() - left.len())
    }

    fn read(&self, state: &mut State, buffer: &mut [u8], read: &mut usize) -> io::Result<()> {
        state.take_plaintext(buffer, read)?;
        if !state.rest.is_empty() && *read < buffer.len() {
            let rest = std::mem::take(&mut state.rest);
            let taken = self.decrypt(state, &rest, buffer, read)?;
            state.rest = rest[taken..].to_vec();
        }
        for _ in 0..ROUNDS {
            let left = buffer.len() - *read;
            let is_enough = left == 0 || *read > 0 && left < RECORD;
            if is_enough || state.has_ended || !state.rest.is_empty() {
                break;
            }
            if !self.fill(state, buffer, read)? {
                break;
            }
        }
        Ok(())
    }

    /// What is left to be sent is the task's to send.
    fn leave_to_task(mut state: MutexGuard<'_, State>) {
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl State {
    fn take_plaintext(&mut self, buffer: &mut [u8], read: &mut usize) -> io::Result<()> {
        while self.plaintext > 0 && *read < buffer.len() {
            let count = self.session.reader().read(&mut buffer[*read..])?;
            if count == 0 {
                self.plaintext = 0;
            }
            self.plaintext = self.plaintext.saturating_sub(count);
            *read += count;
        }
        Ok(())
    }

    fn is_readable(&self) -> bool {
        self.plaintext > 0 || !self.rest.is_empty() || self.has_ended
    }
}

impl Transport for TlsStream {
    fn poll_ready(&self, context: &mut Context<'_>, interest: Interest) -> Poll<io::Result<Ready>> {
        let mut state = self.state.lock();
        match &mut state.task {
            Some(task) => task.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        let is_readable = state.is_readable();
        poll_over(&*self.inner, context, interest, is_readable, || {
            may_block(self.flush(&mut state))?;
            Ok(state.session.wants_write())
        })
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.lock();
        let mut read = 0;
        let result = self.read(&mut state, buffer, &mut read);
        // It may have to answer, as when the client changes its keys.
        let _ = self.flush(&mut state);
        if read > 0 {
            // What went wrong behind it is the end.
            state.has_ended |= may_block(result).is_err();
            return Ok(read);
        }
        result?;
        if state.has_ended { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state.lock();
        self.flush(&mut state)?;
        let written = state.session.writer().write_vectored(&in_pieces(slices))?;
        state.ahead = written;
        match self.flush(&mut state) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Self::leave_to_task(state),
            Err(error) => return Err(error),
        }
        Ok(written)
    }

    fn has_unsent(&self) -> bool {
        self.state.lock().session.wants_write() || self.inner.has_unsent()
    }

    fn reset_when_closed(&self, reset: bool) {
        self.state.lock().is_reset = reset;
        self.inner.reset_when_closed(reset);
    }

    /// Encrypted, they are more: rather too many.
    fn on_their_way(&self) -> Option<u64> {
        let state = self.state.lock();
        let ahead = if state.session.wants_write() { state.ahead } else { 0 };
        Some(self.inner.on_their_way()? + ahead as u64)
    }
}

impl Drop for TlsStream {
    /// Says that nothing more comes, as far as there is room.
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if state.is_reset || state.session.is_handshaking() {
            return;
        }
        state.session.send_close_notify();
        while state.session.wants_write() {
            match state.session.write_tls(&mut Below(&*self.inner)) {
                Ok(written) if written > 0 => {}
                _ => return,
            }
        }
    }
}

/// Begins with what the client says first, by which it is seen what the
/// handshake goes by.
async fn begin(inner: &dyn Transport, handshakes: &Handshakes) -> io::Result<ServerConnection> {
    let mut acceptor = Acceptor::default();
    let begun = loop {
        inner.ready(Interest::READABLE).await?;
        match acceptor.read_tls(&mut Below(inner)) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let config = handshakes.for_client(&accepted.client_hello());
                break accepted.into_connection(config);
            }
            Err(refused) => break Err(refused),
        }
    };
    begun.map_err(|(error, mut alert)| {
        // The client is told what was wrong, if there is room.
        let _ = alert.write_all(&mut Below(inner));
        invalid(error)
    })
}

/// What one write takes of these, none of it longer than a piece.
fn in_pieces<'a>(slices: &'a [IoSlice<'_>]) -> SmallVec<[IoSlice<'a>; 32]> {
    let pieces = slices.iter().flat_map(|slice| slice.chunks(PIECE));
    let mut left = AHEAD;
    let taken = pieces.map_while(|piece| {
        let count = piece.len().min(left);
        left -= count;
        (count > 0).then(|| IoSlice::new(&piece[..count]))
    });
    taken.collect()
}

/// The transport below, as rustls reads a client's first words from it, and
/// writes to it.
struct Below<'a>(&'a dyn Transport);

impl Read for Below<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Below<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Nothing to read for now.
struct Nothing;

impl Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_same_bytes_up_to_what_one_write_takes() {
        let bytes: Vec<u8> = (0..2 * AHEAD).map(|number| (number % 251) as u8).collect();
        let cases: &[&[usize]] = &[
            &[],
            &[0, 0],
            &[1],
            &[PIECE],
            &[PIECE + 1],
            &[0, 3, 0, 3 * PIECE, 0],
            &[AHEAD],
            &[AHEAD + 1],
            &[AHEAD - 1, 2, 2],
            &[700; 120],
        ];
        for lengths in cases {
            let mut left = &bytes[..];
            let mut slices = Vec::new();
            for length in *lengths {
                let (slice, rest) = left.split_at(*length);
                slices.push(IoSlice::new(slice));
                left = rest;
            }
            let pieces = in_pieces(&slices);
            let all: usize = lengths.iter().sum();
            assert_eq!(
                pieces.iter().flat_map(|piece| piece.to_vec()).collect::<Vec<_>>(),
                bytes[..all.min(AHEAD)],
                "{lengths:?}"
            );
            assert!(pieces.iter().all(|piece| (1..=PIECE).contains(&piece.len())), "{lengths:?}");
        }
    }
}
