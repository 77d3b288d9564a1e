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
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = u8::try_from(value & 0x7F).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
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

/// Writes a packet: its fixed header, and the body that `body` appends.
pub(crate) fn packet(
    out: &mut Vec<u8>,
    first: u8,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.push(first);
    // The length is written when it is known; most are one byte long.
    out.push(0);
    let written = body(out).and_then(|()| {
        let remaining = out.len() - start - 2;
        if remaining > LARGEST_REMAINING_LENGTH {
            return Err(EncodeError::PacketTooLong(remaining));
        }
        Ok(remaining)
    });
    let remaining = match written {
        Ok(remaining) => remaining,
        Err(error) => {
            out.truncate(start);
            return Err(error);
        }
    };
    let mut length = Vec::with_capacity(4);
    put_varint(&mut length, remaining);
    out.splice(start + 1..start + 2, length);
    Ok(())
}
