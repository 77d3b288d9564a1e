//! Writing fields.

use crate::{EncodeError, LARGEST_REMAINING_LENGTH};

pub(crate) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// A variable byte integer of the fewest bytes [MQTT-1.5.5-1].
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u32) {
    while value > 0x7F {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Fills `field` with a variable byte integer that takes just its length.
fn set_varint(field: &mut [u8], value: usize) {
    let last = field.len() - 1;
    for (index, byte) in field.iter_mut().enumerate() {
        let more = if index < last { 0x80 } else { 0 };
        *byte = (value >> (7 * index) & 0x7F) as u8 | more;
    }
}

/// How many bytes a variable byte integer takes.
#[inline]
pub(crate) fn varint_len(value: usize) -> usize {
    match value {
        0..=127 => 1,
        128..=16_383 => 2,
        16_384..=2_097_151 => 3,
        _ => 4,
    }
}

pub(crate) fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), EncodeError> {
    let len = u16::try_from(bytes.len()).map_err(|_| EncodeError::FieldTooLong(bytes.len()))?;
    put_u16(out, len);
    out.extend_from_slice(bytes);
    Ok(())
}

/// A string, which has no U+0000 [MQTT-1.5.4-2].
pub(crate) fn put_str(out: &mut Vec<u8>, text: &str) -> Result<(), EncodeError> {
    if text.as_bytes().contains(&0) {
        return Err(EncodeError::Null);
    }
    put_binary(out, text.as_bytes())
}

/// Appends a length and what it counts: what `body` appends, and `more` bytes
/// that follow from elsewhere. The length is known last: `least` bytes are
/// kept free for it, and it gives how many it took.
fn counted(
    out: &mut Vec<u8>,
    least: usize,
    more: usize,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<usize, EncodeError> {
    let start = out.len();
    out.resize(start + least, 0);
    body(out)?;
    let end = out.len();
    let counted = end - start - least + more;
    if counted > LARGEST_REMAINING_LENGTH {
        return Err(EncodeError::PacketTooLong(counted));
    }
    let length = varint_len(counted);
    if length > least {
        out.resize(end + length - least, 0);
        out.copy_within(start + least..end, start + length);
    }
    set_varint(&mut out[start..start + length], counted);
    Ok(length)
}

/// Appends a property length and the properties that `body` appends.
pub(crate) fn properties(
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    counted(out, 1, 0, body).map(drop)
}

/// Appends a packet: its fixed header, and what `body` appends.
pub(crate) fn packet(
    out: &mut Vec<u8>,
    first: u8,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    packet_before(out, first, 0, 0, body).map(drop)
}

/// The same for a packet whose last `more` bytes follow from elsewhere, and
/// of which `at_least` bytes are certain to be counted by its length. It
/// gives the length of the fixed header; nothing is appended on an error.
#[inline]
pub(crate) fn packet_before(
    out: &mut Vec<u8>,
    first: u8,
    at_least: usize,
    more: usize,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<usize, EncodeError> {
    let start = out.len();
    out.push(first);
    match counted(out, varint_len(at_least), more, body) {
        Ok(length) => Ok(1 + length),
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}
