//! Frames (RFC 6455, 5): what is around the bytes of MQTT. Free of I/O, and
//! without a buffer: what a frame has in it is given on as it comes.

/// The longest header that a server writes.
pub(crate) const MOST_OF_HEADER: usize = 10;

/// The longest payload of a control frame.
const MOST_OF_CONTROL: usize = 125;

/// Why a WebSocket ends (RFC 6455, 7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseCode {
    Normal = 1000,
    ProtocolError = 1002,
    UnsupportedData = 1003,
}

/// Takes what a client sends out of its frames.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// What came of a header that is not whole.
    header: [u8; 14],
    header_len: usize,
    /// What the rest of the frame is masked with; turned as it goes on.
    mask: [u8; 4],
    /// How much of the frame is to come.
    left: u64,
    /// What came of a control frame that is not whole, and what it is.
    control: Vec<u8>,
    opcode: u8,
    /// More frames of a message are to come.
    is_in_message: bool,
    /// The payload of the latest ping, until it is answered.
    pub(crate) ping: Option<Vec<u8>>,
    /// Nothing more counts, and why.
    pub(crate) end: Option<CloseCode>,
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

impl Decoder {
    /// Moves what is in the frames to the beginning; gives how much that is.
    /// Frames need not be whole, nor packets be in one frame [MQTT-6.0.0-2].
    pub(crate) fn decode(&mut self, bytes: &mut [u8]) -> usize {
        let (mut kept, mut at) = (0, 0);
        while at < bytes.len() && self.end.is_none() {
            if self.left == 0 {
                at += self.take_header(&bytes[at..]);
                continue;
            }
            let most = usize::try_from(self.left).unwrap_or(usize::MAX);
            let part = at..at + most.min(bytes.len() - at);
            self.unmask(&mut bytes[part.clone()]);
            if self.opcode >= CLOSE {
                self.control.extend_from_slice(&bytes[part.clone()]);
            } else {
                bytes.copy_within(part.clone(), kept);
                kept += part.len();
            }
            at = part.end;
            self.left -= part.len() as u64;
            if self.left == 0 {
                self.finish();
            }
        }
        kept
    }

    /// Takes as much of a header as there is; gives how much that was.
    fn take_header(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        loop {
            let wanted = match self.header_len {
                0 | 1 => 2,
                _ => 6 + extended(self.header[1]),
            };
            if self.header_len < wanted {
                let count = (wanted - self.header_len).min(bytes.len() - taken);
                let end = self.header_len + count;
                self.header[self.header_len..end].copy_from_slice(&bytes[taken..taken + count]);
                self.header_len = end;
                taken += count;
                if end < wanted {
                    return taken;
                }
            }
            if wanted == 2 {
                self.end = self.check_first().err();
            } else {
                self.begin();
            }
            if wanted > 2 || self.end.is_some() {
                return taken;
            }
        }
    }

    /// Looks at the first two bytes.
    fn check_first(&mut self) -> Result<(), CloseCode> {
        let [first, second, ..] = self.header;
        let (is_final, opcode, length) = (first & 0x80 != 0, first & 0x0F, second & 0x7F);
        // Nothing was agreed on that the reserved bits could mean, and what a
        // client sends is masked (RFC 6455, 5.1 and 5.2).
        if first & 0x70 != 0 || second & 0x80 == 0 {
            return Err(CloseCode::ProtocolError);
        }
        match opcode {
            BINARY if !self.is_in_message => self.is_in_message = !is_final,
            CONTINUATION if self.is_in_message => self.is_in_message = !is_final,
            // [MQTT-6.0.0-1]
            TEXT => return Err(CloseCode::UnsupportedData),
            CLOSE | PING | PONG if is_final && usize::from(length) <= MOST_OF_CONTROL => {}
            _ => return Err(CloseCode::ProtocolError),
        }
        self.opcode = opcode;
        Ok(())
    }

    /// The header is whole: its frame begins.
    fn begin(&mut self) {
        let short = self.header[1] & 0x7F;
        let extended = extended(self.header[1]);
        let long = self.header[2..2 + extended].iter();
        let long = long.fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
        let (length, least) = match extended {
            0 => (u64::from(short), 0),
            2 => (long, 126),
            _ => (long, 1 << 16),
        };
        self.mask.copy_from_slice(&self.header[2 + extended..6 + extended]);
        self.header_len = 0;
        self.left = length;
        // RFC 6455, 5.2: as short as can be, and less than 2^63.
        if length < least || length >> 63 != 0 {
            self.end = Some(CloseCode::ProtocolError);
        } else if length == 0 {
            self.finish();
        }
    }

    fn unmask(&mut self, bytes: &mut [u8]) {
        let key = u32::from_ne_bytes(self.mask);
        let mut words = bytes.chunks_exact_mut(4);
        for word in &mut words {
            let [a, b, c, d] = *word else { continue };
            word.copy_from_slice(&(u32::from_ne_bytes([a, b, c, d]) ^ key).to_ne_bytes());
        }
        let rest = words.into_remainder();
        for (byte, key) in rest.iter_mut().zip(self.mask) {
            *byte ^= key;
        }
        self.mask.rotate_left(rest.len());
    }

    /// All of a frame is there.
    fn finish(&mut self) {
        if self.opcode < CLOSE {
            return;
        }
        let control = std::mem::take(&mut self.control);
        match self.opcode {
            // Of several, the latest is answered (RFC 6455, 5.5.3).
            PING => self.ping = Some(control),
            CLOSE if control.len() == 1 => self.end = Some(CloseCode::ProtocolError),
            CLOSE => self.end = Some(CloseCode::Normal),
            _ => {}
        }
    }
}

/// How many bytes of length follow the first two.
fn extended(second: u8) -> usize {
    match second & 0x7F {
        126 => 2,
        127 => 8,
        _ => 0,
    }
}

/// The header of a frame of so many bytes; gives how long it is.
pub(crate) fn header(length: usize, header: &mut [u8; MOST_OF_HEADER]) -> usize {
    // A whole message [MQTT-6.0.0-1].
    header[0] = 0x80 | BINARY;
    match length {
        0..=125 => {
            header[1] = length as u8;
            2
        }
        126..=0xFFFF => {
            header[1] = 126;
            header[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        _ => {
            header[1] = 127;
            header[2..].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    }
}

/// What answers a ping.
pub(crate) fn pong_frame(payload: &[u8]) -> Vec<u8> {
    debug_assert!(payload.len() <= MOST_OF_CONTROL, "checked when it came");
    [&[0x80 | PONG, payload.len() as u8], payload].concat()
}

/// What says the end.
pub(crate) fn close_frame(code: CloseCode) -> [u8; 4] {
    let [high, low] = (code as u16).to_be_bytes();
    [0x80 | CLOSE, 2, high, low]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client_frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let mut head = [0; MOST_OF_HEADER];
        let length = header(payload.len(), &mut head);
        head[0] = first;
        head[1] |= 0x80;
        let masked = payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]);
        head[..length].iter().copied().chain(mask).chain(masked).collect()
    }

    /// Decodes in pieces that end at these places.
    fn decode(bytes: &[u8], ends: &[usize]) -> (Vec<u8>, Decoder) {
        let mut decoder = Decoder::default();
        let mut all = Vec::new();
        let mut begin = 0;
        for end in ends.iter().copied().chain([bytes.len()]) {
            let mut piece = bytes[begin..end.max(begin)].to_vec();
            let kept = decoder.decode(&mut piece);
            all.extend_from_slice(&piece[..kept]);
            begin = end.max(begin);
        }
        (all, decoder)
    }

    proptest! {
        #[test]
        fn what_is_in_the_frames_comes_out_however_they_are_cut(
            parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), any::<[u8; 4]>(), any::<bool>()), 1..8),
            large in 0_usize..70_000,
            mut ends in prop::collection::vec(0_usize..3_000, 0..20),
        ) {
            let mut bytes = Vec::new();
            let mut whole = Vec::new();
            let mut opcode = BINARY;
            for (payload, mask, is_final) in &parts {
                let last = u8::from(*is_final) << 7;
                bytes.extend(client_frame(last | opcode, payload, *mask));
                // Control frames may stand between those of a message.
                bytes.extend(client_frame(0x80 | PING, b"there?", *mask));
                whole.extend_from_slice(payload);
                opcode = if *is_final { BINARY } else { CONTINUATION };
            }
            bytes.extend(client_frame(0x80 | opcode, &vec![7; large], [1, 2, 3, 4]));
            whole.extend(vec![7; large]);
            ends.retain(|end| *end <= bytes.len());
            ends.sort_unstable();
            let (all, decoder) = decode(&bytes, &ends);
            prop_assert_eq!(all, whole);
            prop_assert_eq!(decoder.ping.as_deref(), Some(&b"there?"[..]));
            prop_assert_eq!(decoder.end, None);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000), ends in prop::collection::vec(0_usize..2_000, 0..5)) {
            let mut ends: Vec<_> = ends.into_iter().filter(|end| *end <= bytes.len()).collect();
            ends.sort_unstable();
            let (all, decoder) = decode(&bytes, &ends);
            prop_assert!(all.len() <= bytes.len());
            prop_assert!(decoder.control.len() <= MOST_OF_CONTROL);
        }
    }

    #[test]
    fn what_is_no_frame_of_a_client_ends_it() {
        let mask = [1, 2, 3, 4];
        let frame = |first: u8, payload: &[u8]| client_frame(first, payload, mask);
        let unmasked = vec![0x82, 1, 0];
        let mut long_length = vec![0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0];
        long_length.extend(mask);
        for (bytes, code) in [
            (unmasked, CloseCode::ProtocolError),
            (long_length, CloseCode::ProtocolError),
            (vec![0x82, 0xFE, 0, 5, 1, 2, 3, 4], CloseCode::ProtocolError),
            (vec![0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 1, 2, 3, 4], CloseCode::ProtocolError),
            (frame(0x81, b"text"), CloseCode::UnsupportedData),
            (frame(0x01, b"text"), CloseCode::UnsupportedData),
            (frame(0xC2, b"compressed"), CloseCode::ProtocolError),
            (frame(0x80, b"nothing to go on with"), CloseCode::ProtocolError),
            ([frame(0x02, b"a"), frame(0x82, b"b")].concat(), CloseCode::ProtocolError),
            (frame(0x09, b"a ping in pieces"), CloseCode::ProtocolError),
            (frame(0x89, &[0; 126]), CloseCode::ProtocolError),
            (frame(0x83, b"reserved"), CloseCode::ProtocolError),
            (frame(0x8B, b"reserved"), CloseCode::ProtocolError),
            (frame(0x88, b"x"), CloseCode::ProtocolError),
            (frame(0x88, b""), CloseCode::Normal),
            (frame(0x88, &[3, 232]), CloseCode::Normal),
        ] {
            let (_, decoder) = decode(&bytes, &[]);
            assert_eq!(decoder.end, Some(code), "{bytes:?}");
        }
    }
}
