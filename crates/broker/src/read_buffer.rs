//! Reading: one large buffer per thread, and a small one per connection only
//! while a packet is not whole.

use std::cell::RefCell;
use std::io;

use crate::seldom::Seldom;
use crate::transport::Transport;

/// How much is read at once.
pub(crate) const CHUNK: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// What came and was not handled yet: mostly nothing, else a packet that is
/// not whole, or whole ones whose turn comes later.
#[derive(Debug, Default)]
pub(crate) struct Carry {
    bytes: Seldom<Vec<u8>>,
    has_more: bool,
}

/// What was made of the bytes that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// How many were whole packets, and were handled.
    pub(crate) handled: usize,
    /// How many are missing of the next packet.
    pub(crate) missing: usize,
    /// Whole packets may be left, for another turn.
    pub(crate) has_more: bool,
}

/// What a look at the transport brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// The peer said all it had to say.
    End,
    /// There is nothing for now.
    Nothing,
    /// This many bytes came, and were looked at.
    Some(usize),
}

impl Carry {
    /// Reads once and calls `take` with all that is there.
    ///
    /// # Errors
    /// The transport's, or what `take` says.
    pub(crate) fn read<E: From<io::Error>>(
        &mut self,
        transport: &dyn Transport,
        take: impl FnOnce(&[u8]) -> Result<Taken, E>,
    ) -> Result<Read, E> {
        if self.bytes.len() > CHUNK / 2 {
            return self.read_large(transport, take);
        }
        self.read_by(|buffer| transport.try_read(buffer), take)
    }

    /// The same, of what has come since; nothing, while a large packet comes in.
    ///
    /// # Errors
    /// As for `read`.
    pub(crate) fn read_more<E: From<io::Error>>(
        &mut self,
        transport: &dyn Transport,
        take: impl FnOnce(&[u8]) -> Result<Taken, E>,
    ) -> Result<Read, E> {
        if self.bytes.len() > CHUNK / 2 {
            return Ok(Read::Nothing);
        }
        self.read_by(|buffer| transport.try_read_more(buffer), take)
    }

    /// Reads behind what is held, in the common buffer.
    fn read_by<E: From<io::Error>>(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
        take: impl FnOnce(&[u8]) -> Result<Taken, E>,
    ) -> Result<Read, E> {
        BUFFER.with(|buffer| {
            let mut buffer = buffer.borrow_mut();
            let carried = self.bytes.len();
            buffer[..carried].copy_from_slice(&self.bytes);
            let read = match read(&mut buffer[carried..]) {
                Ok(0) => return Ok(Read::End),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Read::Nothing);
                }
                Err(error) => return Err(error.into()),
            };
            let all = carried + read;
            self.bytes = Seldom::default();
            let Taken { handled, missing, has_more } = take(&buffer[..all])?;
            self.has_more = has_more;
            if handled < all {
                // Room for the rest of a large packet, as it comes in.
                self.bytes.reserve_exact((all - handled + missing).min(CHUNK));
                self.bytes.extend_from_slice(&buffer[handled..all]);
            }
            Ok(Read::Some(read))
        })
    }

    /// A packet that is larger than the common buffer grows in its own.
    fn read_large<E: From<io::Error>>(
        &mut self,
        transport: &dyn Transport,
        take: impl FnOnce(&[u8]) -> Result<Taken, E>,
    ) -> Result<Read, E> {
        self.bytes.reserve(CHUNK);
        let read = match transport.try_read_buf(&mut self.bytes) {
            Ok(0) => return Ok(Read::End),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Read::Nothing),
            Err(error) => return Err(error.into()),
        };
        self.keep_rest(take(&self.bytes)?);
        Ok(Read::Some(read))
    }

    /// Begins with these bytes, which came before.
    pub(crate) fn holding(bytes: Vec<u8>) -> Self {
        let mut carry = Self { has_more: !bytes.is_empty(), ..Self::default() };
        if carry.has_more {
            *carry.bytes = bytes;
        }
        carry
    }

    /// How much of a large packet is held; nothing of a small one.
    pub(crate) fn partial(&self) -> usize {
        if self.bytes.len() > CHUNK / 2 { self.bytes.capacity() } else { 0 }
    }

    /// Whether whole packets may be held; they come before anything is read.
    pub(crate) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Calls `take` with what is held.
    ///
    /// # Errors
    /// What `take` says.
    pub(crate) fn go_on<E>(
        &mut self,
        take: impl FnOnce(&[u8]) -> Result<Taken, E>,
    ) -> Result<(), E> {
        self.keep_rest(take(&self.bytes)?);
        Ok(())
    }

    fn keep_rest(&mut self, taken: Taken) {
        self.has_more = taken.has_more;
        if taken.handled > 0 {
            *self.bytes = self.bytes[taken.handled..].to_vec();
            self.bytes.rest();
        }
    }
}
