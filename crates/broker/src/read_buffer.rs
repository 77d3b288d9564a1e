//! Reading: one large buffer per thread, and room of its own only for a packet
//! that is not whole.

use std::cell::RefCell;
use std::io;
use std::ops::Deref;

use bytes::Bytes;

use crate::seldom::Seldom;
use crate::transport::Transport;

/// How much is read at once.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Of a packet of which more than this has come, the rest is read to where it
/// stays.
const LARGE: usize = CHUNK / 2;

/// What a large packet gets room for at first.
const FIRST_ROOM: usize = 2 * CHUNK;

/// How many times what has come of a large packet it gets room for.
const GROWTH: usize = 4;

/// How much is read behind a large packet, to see what follows: another one is
/// read to where it stays but for as much.
const HEAD: usize = 4 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// Bytes that came: a packet, or all that is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a> {
    pub(crate) bytes: &'a [u8],
    /// Where a packet has its bytes to itself, the same bytes, to be shared.
    pub(crate) whole: Option<&'a Bytes>,
}

impl<'a> Received<'a> {
    /// Bytes of a buffer that holds others, too.
    pub(crate) fn borrowed(bytes: &'a [u8]) -> Self {
        Self { bytes, whole: None }
    }
}

impl Deref for Received<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

/// What came and was not handled yet: mostly nothing, else a packet that is
/// not whole, or whole ones whose turn comes later.
#[derive(Debug, Default)]
pub(crate) struct Carry {
    bytes: Seldom<Vec<u8>>,
    /// How much is missing of the packet that is not whole, at least.
    missing: u32,
    has_more: bool,
    /// The latest packet was never whole in the common buffer; the next one may
    /// be as large.
    was_large: bool,
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
    /// Reads once and calls `take` with all that is there, if a packet may be
    /// whole.
    ///
    /// # Errors
    /// The transport's, or what `take` says.
    pub(crate) fn read<E: From<io::Error>>(
        &mut self,
        transport: &dyn Transport,
        take: impl FnOnce(Received<'_>) -> Result<Taken, E>,
    ) -> Result<Read, E> {
        debug_assert!(!self.has_more, "what is held comes first");
        if self.is_large(transport) {
            return self.read_large(transport, take);
        }
        let most = if self.was_large && transport.reads_directly() { HEAD } else { CHUNK };
        self.read_by(most, |buffer| transport.try_read(buffer), take)
    }

    /// The same, of what has come since; nothing, where packets are large.
    ///
    /// # Errors
    /// As for `read`.
    pub(crate) fn read_more<E: From<io::Error>>(
        &mut self,
        transport: &dyn Transport,
        take: impl FnOnce(Received<'_>) -> Result<Taken, E>,
    ) -> Result<Read, E> {
        if self.is_large(transport) || self.was_large {
            return Ok(Read::Nothing);
        }
        self.read_by(CHUNK, |buffer| transport.try_read_more(buffer), take)
    }

    /// Reads behind what is held, in the common buffer, up to so much in all.
    fn read_by<E: From<io::Error>>(
        &mut self,
        most: usize,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
        take: impl FnOnce(Received<'_>) -> Result<Taken, E>,
    ) -> Result<Read, E> {
        BUFFER.with(|buffer| {
            let mut buffer = buffer.borrow_mut();
            let carried = self.bytes.len();
            buffer[..carried].copy_from_slice(&self.bytes);
            let Some(read) = if_any(read(&mut buffer[carried..most]))? else {
                return Ok(Read::Nothing);
            };
            if read == 0 {
                return Ok(Read::End);
            }
            let all = &buffer[..carried + read];
            self.bytes = Seldom::default();
            self.was_large = false;
            let taken = take(Received::borrowed(all))?;
            self.keep(all, taken);
            Ok(Read::Some(read))
        })
    }

    /// Reads what is missing of a large packet to where it stays.
    fn read_large<E: From<io::Error>>(
        &mut self,
        transport: &dyn Transport,
        take: impl FnOnce(Received<'_>) -> Result<Taken, E>,
    ) -> Result<Read, E> {
        let (held, missing) = (self.bytes.len(), self.missing as usize);
        if held == self.bytes.capacity() {
            self.bytes.reserve_exact(room(held, missing) - held);
        }
        let most = missing.min(self.bytes.capacity() - held);
        let Some(read) = if_any(transport.try_read_buf(&mut self.bytes, most))? else {
            return Ok(Read::Nothing);
        };
        if read == 0 {
            return Ok(Read::End);
        }
        self.missing -= read as u32;
        if self.missing == 0 {
            let whole = Bytes::from(self.bytes.take());
            self.was_large = whole.len() > CHUNK;
            let taken = take(Received { bytes: &whole, whole: Some(&whole) })?;
            self.keep(&whole, taken);
        }
        Ok(Read::Some(read))
    }

    /// Keeps what was not handled of these bytes, with room for what is missing.
    fn keep(&mut self, all: &[u8], taken: Taken) {
        self.has_more = taken.has_more;
        self.missing = u32::try_from(taken.missing).unwrap_or(u32::MAX);
        let rest = &all[taken.handled..];
        if !rest.is_empty() {
            let mut bytes = Vec::with_capacity(room(rest.len(), taken.missing));
            bytes.extend_from_slice(rest);
            *self.bytes = bytes;
        }
    }

    /// Whether the rest of what is held is read to where it stays: of a packet
    /// of which much has come, and of one that is never whole in the common
    /// buffer, where that room need not be filled first.
    fn is_large(&self, transport: &dyn Transport) -> bool {
        let held = self.bytes.len();
        let is_beyond = held + self.missing as usize > CHUNK;
        held > LARGE || is_beyond && transport.reads_directly()
    }

    /// Begins with these bytes, which came before.
    pub(crate) fn holding(bytes: Vec<u8>) -> Self {
        let mut carry = Self { has_more: !bytes.is_empty(), ..Self::default() };
        if carry.has_more {
            *carry.bytes = bytes;
        }
        carry
    }

    /// How much room was given to what is held, where that is more than a
    /// little.
    pub(crate) fn partial(&self) -> usize {
        if self.bytes.len() > LARGE { self.bytes.capacity() } else { 0 }
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
        take: impl FnOnce(Received<'_>) -> Result<Taken, E>,
    ) -> Result<(), E> {
        let all = self.bytes.take();
        let taken = take(Received::borrowed(&all))?;
        self.keep(&all, taken);
        Ok(())
    }
}

/// The room for a packet of which this much is held and this much missing.
fn room(held: usize, missing: usize) -> usize {
    (held + missing).min(FIRST_ROOM.max(GROWTH * held))
}

/// What was read; nothing, where nothing is there for now.
fn if_any(read: io::Result<usize>) -> io::Result<Option<usize>> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        read => read.map(Some),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::IoSlice;

    use latchlight_mqtt::{Framing, Packet, ProtocolVersion, Publish, frame};
    use tokio::io::Interest;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::transport::memory::connector;

    /// A PUBLISH of this length in all, with a payload that differs by number.
    fn packet(length: usize, number: usize) -> Vec<u8> {
        let parts = |payload: usize| -> Vec<u8> {
            let payload: Vec<u8> = (0..payload).map(|at| (at / 5 + number) as u8).collect();
            let mut bytes = Vec::new();
            let packet = Packet::Publish(Publish::new("a", payload));
            packet.encode(ProtocolVersion::V311, &mut bytes).unwrap();
            bytes
        };
        // The length takes one to three bytes more for a larger one.
        let packet = (5..9).map(|head| parts(length - head)).find(|packet| packet.len() == length);
        packet.unwrap()
    }

    /// Takes the whole packets, or one and leaves the others for another turn;
    /// of each, whether it can be shared.
    fn take(
        received: Received<'_>,
        packets: &mut Vec<(Vec<u8>, bool)>,
        one: bool,
    ) -> io::Result<Taken> {
        let mut handled = 0;
        loop {
            match frame(&received[handled..], usize::MAX).unwrap() {
                Framing::Incomplete { needed } => {
                    let missing = if handled < received.len() { needed } else { 0 };
                    return Ok(Taken { handled, missing, has_more: false });
                }
                Framing::Complete(header) => {
                    let packet = received[handled..handled + header.total_len()].to_vec();
                    handled += packet.len();
                    let shared = received.whole.inspect(|whole| assert_eq!(**whole, packet[..]));
                    packets.push((packet, shared.is_some()));
                    if one {
                        let has_more = handled < received.len();
                        return Ok(Taken { handled, missing: 0, has_more });
                    }
                }
            }
        }
    }

    async fn write(transport: &dyn Transport, mut bytes: &[u8], piece: usize) {
        while !bytes.is_empty() {
            transport.ready(Interest::WRITABLE).await.unwrap();
            let some = &bytes[..piece.min(bytes.len())];
            match transport.try_write(&[IoSlice::new(some)]) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            tokio::task::yield_now().await;
        }
    }

    async fn read(
        transport: &dyn Transport,
        mut carry: Carry,
        count: usize,
        one: bool,
    ) -> Vec<(Vec<u8>, bool)> {
        let mut packets = Vec::new();
        while packets.len() < count {
            if carry.has_more() {
                carry.go_on(|received| take(received, &mut packets, one)).unwrap();
                continue;
            }
            transport.ready(Interest::READABLE).await.unwrap();
            let is_behind = carry.was_large && transport.reads_directly();
            let read = carry.read(transport, |received| take(received, &mut packets, one)).unwrap();
            match read {
                Read::End => panic!("it ended after {} packets", packets.len()),
                Read::Some(read) => assert!(!is_behind || read <= HEAD, "{read} bytes"),
                Read::Nothing => {}
            }
            let held = carry.bytes.len();
            assert!(carry.bytes.capacity() <= FIRST_ROOM.max(GROWTH * held), "{held} bytes");
        }
        assert_eq!((carry.bytes.len(), carry.partial()), (0, 0));
        packets
    }

    /// What is written to the one comes by the other.
    async fn carries(to: &dyn Transport, from: &dyn Transport) {
        let edges = [HEAD, LARGE, CHUNK, FIRST_ROOM, GROWTH * FIRST_ROOM];
        let around = edges.into_iter().flat_map(|edge| [edge - 1, edge, edge + 1]);
        // Large ones one behind the other, with small ones between, and one
        // behind which the next one's length is cut where a read ends.
        let lengths = around.flat_map(|length| [length, length, HEAD - 2, length, 9, 300]);
        let packets: Vec<_> =
            lengths.enumerate().map(|(number, length)| packet(length, number)).collect();
        let bytes = packets.concat();
        for (piece, one) in [
            (700, false),
            (4_000, true),
            (LARGE, false),
            (CHUNK + 11, true),
            (1_000_000, false),
            (1_000_000, true),
        ] {
            // As where the first packets came with CONNECT.
            let (held, rest) = bytes.split_at(if one { 20_000 } else { 0 });
            let carry = Carry::holding(held.to_vec());
            let (came, ()) =
                tokio::join!(read(from, carry, packets.len(), one), write(to, rest, piece));
            for ((came, is_shared), packet) in came.iter().zip(&packets) {
                assert!(came == packet, "{} bytes in pieces of {piece}", packet.len());
                assert!(*is_shared || packet.len() <= CHUNK, "{} bytes", packet.len());
                assert!(!is_shared || packet.len() > LARGE, "{} bytes", packet.len());
            }
        }
    }

    #[tokio::test]
    async fn packets_of_all_sizes_come_whole_however_they_are_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (from, _) = listener.accept().await.unwrap();
        carries(&to, &from).await;
        let (connector, mut accepted) = connector();
        let to = connector.connect().await.unwrap();
        carries(&to, &accepted.recv().await.unwrap()).await;
    }

    #[test]
    fn who_says_much_and_sends_little_gets_little_room() {
        assert_eq!(room(5, 1_000), 1_005);
        assert_eq!(room(5, FIRST_ROOM - 5), FIRST_ROOM);
        assert_eq!(room(5, 100_000_000), FIRST_ROOM);
        assert_eq!(room(FIRST_ROOM, 100_000_000), GROWTH * FIRST_ROOM);
        assert_eq!(room(FIRST_ROOM, 7), FIRST_ROOM + 7);
    }
}
