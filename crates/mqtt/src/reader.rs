//! Reading fields: every length is checked before it is used.

use bytes::Bytes;
use bytestring::ByteString;

use crate::topic::has_forbidden;
use crate::{DecodeError, PacketId};

/// Reads the fields of one packet, front to back.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// How many user properties may stand in one place.
    max_user_properties: usize,
}

const SHORT: DecodeError = DecodeError::Malformed("the packet ends within a field");

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self::limited(rest, usize::MAX)
    }

    #[inline]
    pub(crate) fn limited(rest: &'a [u8], max_user_properties: usize) -> Self {
        Self { rest, max_user_properties }
    }

    #[inline]
    pub(crate) fn max_user_properties(&self) -> usize {
        self.max_user_properties
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        let (&byte, rest) = self.rest.split_first().ok_or(SHORT)?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(SHORT)?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*bytes))
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(SHORT)?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*bytes))
    }

    /// A variable byte integer (MQTT 5, 1.5.5).
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0;
        for index in 0..4 {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7F) << (7 * index);
            if byte & 0x80 == 0 {
                // [MQTT-1.5.5-1]
                if byte == 0 && index > 0 {
                    return Err(DecodeError::Malformed("an integer that is longer than needed"));
                }
                return Ok(value);
            }
        }
        Err(DecodeError::Malformed("an integer of more than four bytes"))
    }

    #[inline]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    #[inline]
    pub(crate) fn string(&mut self) -> Result<&'a str, DecodeError> {
        utf8(self.binary()?)
    }

    /// The bytes of a topic name, or none: without wildcards
    /// [MQTT-3.3.2-2] and U+0000, which are looked for together.
    #[inline]
    pub(crate) fn topic_bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let bytes = self.binary()?;
        if has_forbidden(bytes) {
            return Err(utf8(bytes).err().unwrap_or(DecodeError::TopicName));
        }
        Ok(bytes)
    }

    #[inline]
    pub(crate) fn topic(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.topic_bytes()?).map_err(|_| NOT_UTF8)
    }

    #[inline]
    pub(crate) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        // [MQTT-2.2.1-3]
        PacketId::new(self.u16()?).ok_or(DecodeError::Protocol("a packet id is not 0"))
    }

    /// Checks that the packet ends where its fields do.
    #[inline]
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Malformed("bytes after the last field"))
        }
    }
}

const NOT_UTF8: DecodeError = DecodeError::Malformed("a string is not UTF-8");

/// A string, which is well-formed UTF-8 [MQTT-1.5.4-1] without U+0000
/// [MQTT-1.5.4-2].
#[inline]
fn utf8(bytes: &[u8]) -> Result<&str, DecodeError> {
    check_null(bytes)?;
    std::str::from_utf8(bytes).map_err(|_| NOT_UTF8)
}

#[inline]
fn check_null(bytes: &[u8]) -> Result<(), DecodeError> {
    if bytes.contains(&0) {
        return Err(DecodeError::Malformed("a string has U+0000"));
    }
    Ok(())
}

/// Cuts a part out of the frame that it borrows from, without copying.
pub(crate) fn share(frame: &Bytes, part: &[u8]) -> Bytes {
    frame.slice_ref(part)
}

/// The same for a string, which is checked.
pub(crate) fn share_str(frame: &Bytes, part: &[u8]) -> Result<ByteString, DecodeError> {
    check_null(part)?;
    share_utf8(frame, part)
}

/// The same where U+0000 was looked for.
pub(crate) fn share_utf8(frame: &Bytes, part: &[u8]) -> Result<ByteString, DecodeError> {
    ByteString::try_from(share(frame, part)).map_err(|_| NOT_UTF8)
}

/// The same for a string that was checked: without unsafe code there is no
/// other way than to check it again.
pub(crate) fn share_checked(frame: &Bytes, part: &str) -> ByteString {
    share_utf8(frame, part.as_bytes()).unwrap_or_else(|_| ByteString::from(part))
}
