//! A WebSocket client that is nothing but frames.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};

use super::patient;

/// The key of RFC 6455, 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// How the bytes that are written are packed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Each write is a frame.
    Whole,
    /// Frames of so many bytes, each a message.
    Frames(usize),
    /// Each write is one message, in frames of so many bytes, with a ping
    /// between each two.
    Fragments(usize),
}

pub struct WsClient<S = TcpStream> {
    pub stream: S,
    pub packing: Packing,
    /// What came of MQTT and was not read yet.
    received: Vec<u8>,
    raw: Vec<u8>,
    pub pongs: usize,
    /// How the server said the end.
    pub close_code: Option<u16>,
}

/// A good request for MQTT, with these headers more.
pub fn request(host: &str, more: &str) -> String {
    format!(
        "GET /mqtt HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: mqtt\r\n{more}\r\n"
    )
}

/// A frame as a client sends it.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x11, 0x22, 0x44, 0x88];
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        middle @ 126..=0xFFFF => {
            frame.push(0x80 | 126);
            frame.extend((middle as u16).to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    frame
}

impl WsClient {
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(patient(address)).unwrap()
    }
}

impl<S: Read + Write> WsClient<S> {
    pub fn over(stream: S) -> Result<Self> {
        Self::with_request(stream, &request("localhost", ""))
    }

    /// Sends a request; an answer other than 101 is an error, with its text.
    pub fn with_request(mut stream: S, request: &str) -> Result<Self> {
        stream.write_all(request.as_bytes())?;
        let mut raw = Vec::new();
        let head = loop {
            if let Some(end) = raw.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            let mut chunk = [0; 1024];
            let count = stream.read(&mut chunk)?;
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            raw.extend_from_slice(&chunk[..count]);
        };
        let answer = String::from_utf8(raw.drain(..head).collect()).unwrap();
        if !answer.starts_with("HTTP/1.1 101 ") {
            return Err(std::io::Error::other(answer));
        }
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        // [MQTT-6.0.0-4]
        assert!(answer.contains("Sec-WebSocket-Protocol: mqtt\r\n"));
        let packing = Packing::Whole;
        Ok(Self { stream, packing, received: Vec::new(), raw, pongs: 0, close_code: None })
    }

    pub fn packed(self, packing: Packing) -> Self {
        Self { packing, ..self }
    }

    /// Takes one frame out of what came; false: there is none.
    fn take_frame(&mut self) -> bool {
        let Some([first, second]) = self.raw.first_chunk::<2>().copied() else { return false };
        assert_eq!(second & 0x80, 0, "a server does not mask");
        let (skip, length) = match second {
            126 if self.raw.len() >= 4 => {
                (4, u64::from(u16::from_be_bytes([self.raw[2], self.raw[3]])))
            }
            127 if self.raw.len() >= 10 => {
                (10, u64::from_be_bytes(self.raw[2..10].try_into().unwrap()))
            }
            126 | 127 => return false,
            short => (2, u64::from(short)),
        };
        let end = skip + usize::try_from(length).unwrap();
        if self.raw.len() < end {
            return false;
        }
        let payload: Vec<u8> = self.raw.drain(..end).skip(skip).collect();
        match first {
            // [MQTT-6.0.0-1]: binary, and whole.
            0x82 => self.received.extend(payload),
            0x8A => {
                assert_eq!(payload, b"there?");
                self.pongs += 1;
            }
            0x88 => self.close_code = Some(u16::from_be_bytes([payload[0], payload[1]])),
            other => panic!("a frame that begins with {other:#x}"),
        }
        true
    }
}

impl<S: Read + Write> Read for WsClient<S> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while self.received.is_empty() {
            if self.take_frame() {
                continue;
            }
            let mut chunk = vec![0; 64 * 1024];
            match self.stream.read(&mut chunk)? {
                0 => return Ok(0),
                count => self.raw.extend_from_slice(&chunk[..count]),
            }
        }
        let count = self.received.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.received[..count]);
        self.received.drain(..count);
        Ok(count)
    }
}

impl<S: Write> Write for WsClient<S> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let frames = match self.packing {
            Packing::Whole => frame(0x82, bytes),
            Packing::Frames(size) => {
                bytes.chunks(size).flat_map(|chunk| frame(0x82, chunk)).collect()
            }
            Packing::Fragments(size) => {
                let mut frames = Vec::new();
                let last = bytes.chunks(size).count() - 1;
                for (number, chunk) in bytes.chunks(size).enumerate() {
                    let first = if number == 0 { 0x02 } else { 0x00 };
                    frames.extend(frame(first | u8::from(number == last) << 7, chunk));
                    if number < last && number < 3 {
                        frames.extend(frame(0x89, b"there?"));
                    }
                }
                frames
            }
        };
        self.stream.write_all(&frames)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.stream.flush()
    }
}
