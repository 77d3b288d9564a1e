//! Reading: one large buffer per thread, and a small one per connection only
//! while a packet is not whole.

use std::cell::RefCell;
use std::io::{self, Read as _};

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// What came of a packet that is not whole yet; empty most of the time.
#[derive(Debug, Default)]
pub(crate) struct Carry {
    bytes: Vec<u8>,
}

/// Reads once. A socket that gave less than there was room for is empty: it is
/// not asked again before the system says that more has come.
fn read_socket(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    let drained = stream.try_io(Interest::READABLE, || {
        read = (&*SockRef::from(stream)).read(buffer)?;
        if 0 < read && read < buffer.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match drained {
        Err(error) if read == 0 => Err(error),
        _ => Ok(read),
    }
}

/// What a look at the socket brought.
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
    /// Reads once and calls `take` with all that is there; it gives how much
    /// of it was whole packets, and how much is still missing of the next.
    ///
    /// # Errors
    /// The socket's, or what `take` says.
    pub(crate) fn read<E: From<io::Error>>(
        &mut self,
        stream: &TcpStream,
        take: impl FnOnce(&[u8]) -> Result<(usize, usize), E>,
    ) -> Result<Read, E> {
        if self.bytes.len() > CHUNK / 2 {
            return self.read_large(stream, take);
        }
        BUFFER.with(|buffer| {
            let mut buffer = buffer.borrow_mut();
            let carried = self.bytes.len();
            buffer[..carried].copy_from_slice(&self.bytes);
            let read = match read_socket(stream, &mut buffer[carried..]) {
                Ok(0) => return Ok(Read::End),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Read::Nothing);
                }
                Err(error) => return Err(error.into()),
            };
            let all = carried + read;
            self.bytes = Vec::new();
            let (taken, missing) = take(&buffer[..all])?;
            if taken < all {
                // Room for the rest of a large packet, as it comes in.
                self.bytes.reserve_exact((all - taken + missing).min(CHUNK));
                self.bytes.extend_from_slice(&buffer[taken..all]);
            }
            Ok(Read::Some(read))
        })
    }

    /// A packet that is larger than the common buffer grows in its own.
    fn read_large<E: From<io::Error>>(
        &mut self,
        stream: &TcpStream,
        take: impl FnOnce(&[u8]) -> Result<(usize, usize), E>,
    ) -> Result<Read, E> {
        self.bytes.reserve(CHUNK);
        let read = match stream.try_read_buf(&mut self.bytes) {
            Ok(0) => return Ok(Read::End),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Read::Nothing),
            Err(error) => return Err(error.into()),
        };
        let (taken, _) = take(&self.bytes)?;
        if taken > 0 {
            self.bytes = self.bytes[taken..].to_vec();
        }
        Ok(Read::Some(read))
    }

    /// Begins with these bytes, which came before.
    pub(crate) fn holding(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Takes out what is held.
    pub(crate) fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}
