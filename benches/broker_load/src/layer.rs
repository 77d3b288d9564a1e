//! What stands between MQTT and the socket.
use std::io::{ErrorKind, Read, Write};

use anyhow::{Context, bail};
use latchlight_mqtt::{Framing, frame};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::target::{Target, Transport};

/// The client's half of a WebSocket's opening, and the server's answer to its key: the pair that
/// RFC 6455 has as its example (1.3).
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// What a client's frames are masked with. A broker cannot tell that it is always the same.
const MASK: [u8; 4] = [0x5A, 0xC3, 0x3C, 0xA5];
const LARGEST_OPENING: usize = 16 * 1024;

/// The state of a connection below MQTT.
#[derive(Debug)]
pub enum Layer {
    /// MQTT's bytes are the socket's.
    Plain,
    /// TLS.
    Tls(Box<ClientConnection>),
    /// WebSocket: whether it is open, and the bytes of what is not whole yet.
    WebSocket {
        /// The server has switched.
        open: bool,
        /// The beginning of an answer or a frame.
        part: Vec<u8>,
    },
}

impl Layer {
    /// A new one for a connection to there; what it says first goes to `raw`.
    ///
    /// # Errors
    /// TLS cannot begin.
    pub fn open(target: &Target, raw: &mut Vec<u8>) -> anyhow::Result<Self> {
        match &target.transport {
            Transport::Plain => Ok(Self::Plain),
            Transport::Tls(config) => {
                let name = ServerName::from(target.address.ip());
                let mut connection = ClientConnection::new(config.clone(), name)?;
                // What is sent is bounded by who sends.
                connection.set_buffer_limit(None);
                Ok(Self::Tls(Box::new(connection)))
            }
            Transport::WebSocket => {
                write!(
                    raw,
                    "GET /mqtt HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
                    target.address
                )?;
                Ok(Self::WebSocket { open: false, part: Vec::new() })
            }
        }
    }

    /// Moves MQTT packets from `out` to `raw`, as the socket takes them.
    ///
    /// # Errors
    /// TLS broke.
    pub fn encode(&mut self, out: &mut Vec<u8>, raw: &mut Vec<u8>) -> anyhow::Result<()> {
        match self {
            Self::Plain if raw.is_empty() => std::mem::swap(out, raw),
            Self::Plain => {
                raw.extend_from_slice(out);
                out.clear();
            }
            Self::Tls(connection) => {
                connection.writer().write_all(out).context("encrypt")?;
                out.clear();
                while connection.wants_write() {
                    connection.write_tls(raw).context("write TLS")?;
                }
            }
            Self::WebSocket { open: false, .. } => {}
            Self::WebSocket { .. } => {
                let mut rest = &out[..];
                while let Ok(Framing::Complete(header)) = frame(rest, usize::MAX) {
                    let (packet, behind) = rest.split_at(header.total_len());
                    put_frame(packet, raw);
                    rest = behind;
                }
                out.clear();
            }
        }
        Ok(())
    }

    /// Appends the MQTT bytes of what came from the socket; not to be called for
    /// [`Layer::Plain`], whose bytes are what came.
    ///
    /// # Errors
    /// What came breaks the rules of the layer, or ends it.
    pub fn decode(&mut self, mut came: &[u8], mqtt: &mut Vec<u8>) -> anyhow::Result<()> {
        match self {
            Self::Plain => mqtt.extend_from_slice(came),
            Self::Tls(connection) => {
                while !came.is_empty() {
                    connection.read_tls(&mut came).context("read TLS")?;
                    connection.process_new_packets().context("decrypt")?;
                    match connection.reader().read_to_end(mqtt) {
                        Ok(_) => bail!("the broker ended TLS"),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error).context("read from TLS"),
                    }
                }
            }
            Self::WebSocket { open, part } => {
                part.extend_from_slice(came);
                if !*open {
                    *open = take_opening(part)?;
                }
                if *open {
                    take_frames(part, mqtt)?;
                }
            }
        }
        Ok(())
    }
}

/// Takes the answer to the opening away from the head of `part`, if it is whole.
fn take_opening(part: &mut Vec<u8>) -> anyhow::Result<bool> {
    let Some(end) = part.windows(4).position(|four| four == b"\r\n\r\n") else {
        if part.len() > LARGEST_OPENING {
            bail!("the answer to the opening has no end");
        }
        return Ok(false);
    };
    let answer = String::from_utf8_lossy(&part[..end]).into_owned();
    if !answer.starts_with("HTTP/1.1 101") || !answer.contains(ACCEPT) {
        bail!("no WebSocket, but: {answer}");
    }
    part.drain(..end + 4);
    Ok(true)
}

/// Takes all whole frames away from the head of `part`.
fn take_frames(part: &mut Vec<u8>, mqtt: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut at = 0;
    while let Some((kind, payload)) = next_frame(&part[at..])? {
        let whole = at + payload.start..at + payload.end;
        match kind {
            // Continuation and binary.
            0 | 2 => mqtt.extend_from_slice(&part[whole.clone()]),
            8 => bail!("the broker closed the WebSocket"),
            // Ping and pong: none is sent within the time that a work takes.
            9 | 10 => {}
            other => bail!("a WebSocket frame of type {other}"),
        }
        at = whole.end;
    }
    part.drain(..at);
    Ok(())
}

/// The type of the frame at the head and where its payload stands, if it is whole.
fn next_frame(bytes: &[u8]) -> anyhow::Result<Option<(u8, std::ops::Range<usize>)>> {
    let [first, second, ..] = *bytes else { return Ok(None) };
    if second & 0x80 != 0 {
        bail!("the broker masks its frames");
    }
    let (start, length): (usize, usize) = match second {
        126 => match bytes.get(2..4) {
            Some(length) => (4, usize::from(length[0]) << 8 | usize::from(length[1])),
            None => return Ok(None),
        },
        127 => match bytes.get(2..10) {
            Some(length) => {
                let length = length.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
                (10, usize::try_from(length)?)
            }
            None => return Ok(None),
        },
        length => (2, usize::from(length)),
    };
    let end = start.checked_add(length).context("a frame without end")?;
    Ok((bytes.len() >= end).then_some((first & 0x0F, start..end)))
}

fn put_frame(payload: &[u8], raw: &mut Vec<u8>) {
    raw.push(0x82);
    match payload.len() {
        length @ ..126 => raw.push(0x80 | length as u8),
        length @ ..65_536 => {
            raw.push(0x80 | 126);
            raw.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            raw.push(0x80 | 127);
            raw.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    raw.extend_from_slice(&MASK);
    raw.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_come_back_however_they_are_cut() -> anyhow::Result<()> {
        for length in [0, 125, 126, 65_535, 65_536] {
            let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut raw = Vec::new();
            put_frame(&payload, &mut raw);
            // As a server sends it: without the mask.
            let at = raw.len() - length - 4;
            raw[1] &= 0x7F;
            raw.drain(at..at + 4);
            for (index, byte) in raw[at..].iter_mut().enumerate() {
                *byte ^= MASK[index % 4];
            }
            for cut in [1, 3, raw.len() / 2] {
                let mut layer = Layer::WebSocket { open: true, part: Vec::new() };
                let mut mqtt = Vec::new();
                layer.decode(&raw[..cut.min(raw.len())], &mut mqtt)?;
                layer.decode(&raw[cut.min(raw.len())..], &mut mqtt)?;
                assert_eq!(mqtt, payload);
            }
        }
        Ok(())
    }
}
