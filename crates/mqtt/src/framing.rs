//! The fixed header: where a packet ends.

use crate::{DecodeError, PacketType};

/// Whether a packet is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// At least this many more bytes are needed.
    Incomplete {
        /// In bytes.
        needed: usize,
    },
    /// The first [`FixedHeader::total_len`] bytes are one packet.
    Complete(FixedHeader),
}

/// The fixed header of a packet (MQTT 5, 2.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedHeader {
    /// The first byte: the type and its flags.
    pub first: u8,
    /// The length of the fixed header, 2 to 5 bytes.
    pub header_len: usize,
    /// The length of what follows it, in bytes.
    pub remaining: usize,
}

impl FixedHeader {
    /// The length of the whole packet, in bytes.
    pub fn total_len(&self) -> usize {
        self.header_len + self.remaining
    }

    /// The type of the packet.
    ///
    /// # Errors
    /// There is no such type.
    pub fn packet_type(&self) -> Result<PacketType, DecodeError> {
        PacketType::of(self.first)
    }
}

/// Looks for the end of the packet at the head of `buffer`.
///
/// The type and its flags are checked with the first byte, the size as soon
/// as it is known: a packet that will be rejected is not waited for.
///
/// # Errors
/// The first byte is none of a packet, the length is malformed, or the packet
/// is larger than `max_packet_size` bytes.
#[inline]
pub fn frame(buffer: &[u8], max_packet_size: usize) -> Result<Framing, DecodeError> {
    let Some(&first) = buffer.first() else { return Ok(Framing::Incomplete { needed: 2 }) };
    // Bits 3 to 0 of PUBLISH are looked at when it is decoded.
    if first & 0xF0 != 0x30 {
        check_flags(first)?;
    }
    let mut remaining = 0;
    for index in 0..4 {
        let Some(&byte) = buffer.get(1 + index) else {
            return Ok(Framing::Incomplete { needed: 1 });
        };
        remaining |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            // [MQTT-1.5.5-1]: the fewest bytes that say it.
            if byte == 0 && index > 0 {
                return Err(DecodeError::Malformed("a length that is longer than needed"));
            }
            let header_len = 2 + index;
            let total = header_len + remaining;
            if total > max_packet_size {
                return Err(DecodeError::TooLarge { size: total, limit: max_packet_size });
            }
            if buffer.len() < total {
                return Ok(Framing::Incomplete { needed: total - buffer.len() });
            }
            return Ok(Framing::Complete(FixedHeader { first, header_len, remaining }));
        }
    }
    Err(DecodeError::Malformed("a length of more than four bytes"))
}

/// The fixed header of what must be exactly one packet.
#[inline]
pub(crate) fn frame_whole(bytes: &[u8]) -> Result<FixedHeader, DecodeError> {
    match frame(bytes, usize::MAX)? {
        Framing::Complete(header) if header.total_len() == bytes.len() => Ok(header),
        Framing::Complete(_) => Err(DecodeError::Malformed("bytes after the packet")),
        Framing::Incomplete { .. } => Err(DecodeError::Malformed("the packet is not whole")),
    }
}

fn check_flags(first: u8) -> Result<(), DecodeError> {
    let flags = first & 0x0F;
    let fits = match PacketType::of(first)? {
        PacketType::Publish => true,
        // [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1]; in 3.1 the DUP bit
        // may be set too, which is looked at when the version is known.
        PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe => {
            flags == 0x02 || flags == 0x0A
        }
        // [MQTT-2.1.3-1]
        _ => flags == 0,
    };
    if fits { Ok(()) } else { Err(DecodeError::Malformed("reserved flags of the fixed header")) }
}
