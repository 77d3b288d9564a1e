//! One connection: a socket that never blocks, and what waits on either side of it.
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use anyhow::{Context, bail};
use latchlight_mqtt::{Framing, ProtocolVersion, frame};
use socket2::{Domain, Protocol, Socket, Type};

use crate::layer::Layer;
use crate::packets::Incoming;
use crate::target::Target;

/// A connection to the broker.
#[derive(Debug)]
pub struct Link {
    /// Packets to be sent; [`Link::flush`] sends them.
    pub out: Vec<u8>,
    /// Why it is closed, if it is.
    pub closed: Option<String>,
    /// Whether the CONNECT was answered.
    pub is_connected: bool,
    pub(crate) socket: TcpStream,
    pub(crate) wants_write: bool,
    version: ProtocolVersion,
    layer: Layer,
    raw: Vec<u8>,
    written: usize,
    part: Vec<u8>,
}

impl Link {
    /// Begins to connect, from this address if one is given, with a buffer in the kernel of this
    /// many bytes.
    ///
    /// # Errors
    /// There is no socket or no port to be had.
    pub fn open(
        target: &Target,
        from: Option<IpAddr>,
        receive_buffer: Option<usize>,
    ) -> anyhow::Result<Self> {
        let domain = Domain::for_address(target.address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(from) = from {
            // Its ports count per address from here on.
            socket.bind(&SocketAddr::new(from, 0).into()).context("bind to an own address")?;
        }
        match socket.connect(&target.address.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(IN_PROGRESS) => {}
            Err(error) => return Err(error).context("connect"),
        }
        let mut raw = Vec::new();
        let layer = Layer::open(target, &mut raw)?;
        Ok(Self {
            out: Vec::new(),
            closed: None,
            is_connected: false,
            socket: socket.into(),
            wants_write: true,
            version: target.version,
            layer,
            raw,
            written: 0,
            part: Vec::new(),
        })
    }

    /// Whether nothing waits to be sent.
    pub fn is_drained(&self) -> bool {
        self.out.is_empty() && self.raw.is_empty()
    }

    /// Hands to the kernel what it takes; the rest waits.
    pub fn flush(&mut self) {
        if let Err(error) = self.try_flush() {
            self.close(&error);
        }
    }

    fn try_flush(&mut self) -> anyhow::Result<()> {
        if !self.out.is_empty() || matches!(self.layer, Layer::Tls(_)) {
            self.layer.encode(&mut self.out, &mut self.raw)?;
        }
        while self.written < self.raw.len() {
            match self.socket.write(&self.raw[self.written..]) {
                Ok(0) => bail!("the socket takes nothing"),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("write"),
            }
        }
        self.raw.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads once and hands every whole packet to `heard`, with a place for answers.
    pub fn receive(
        &mut self,
        scratch: &mut [u8],
        decoded: &mut Vec<u8>,
        heard: &mut impl FnMut(Incoming<'_>, &mut Vec<u8>),
    ) {
        if let Err(error) = self.try_receive(scratch, decoded, heard) {
            self.close(&error);
        }
    }

    fn try_receive(
        &mut self,
        scratch: &mut [u8],
        decoded: &mut Vec<u8>,
        heard: &mut impl FnMut(Incoming<'_>, &mut Vec<u8>),
    ) -> anyhow::Result<()> {
        let count = match self.socket.read(scratch) {
            Ok(0) => bail!("the broker closed the connection"),
            Ok(count) => count,
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                return Ok(());
            }
            Err(error) => return Err(error).context("read"),
        };
        let came = if matches!(self.layer, Layer::Plain) {
            &scratch[..count]
        } else {
            decoded.clear();
            self.layer.decode(&scratch[..count], decoded)?;
            &decoded[..]
        };
        if self.part.is_empty() {
            let taken = take(came, self.version, &mut self.is_connected, &mut self.out, heard)?;
            self.part.extend_from_slice(&came[taken..]);
        } else {
            self.part.extend_from_slice(came);
            let part = &self.part;
            let taken = take(part, self.version, &mut self.is_connected, &mut self.out, heard)?;
            self.part.drain(..taken);
        }
        Ok(())
    }

    fn close(&mut self, error: &anyhow::Error) {
        self.closed.get_or_insert_with(|| format!("{error:#}"));
        self.out.clear();
        self.raw.clear();
        self.written = 0;
    }

    /// Gives back the memory that the way here took.
    pub fn shrink(&mut self) {
        for buffer in [&mut self.out, &mut self.raw, &mut self.part] {
            if buffer.is_empty() {
                *buffer = Vec::new();
            }
        }
    }
}

const IN_PROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

/// Hands over the whole packets at the head of `bytes`; gives how many bytes they are.
fn take(
    bytes: &[u8],
    version: ProtocolVersion,
    is_connected: &mut bool,
    out: &mut Vec<u8>,
    heard: &mut impl FnMut(Incoming<'_>, &mut Vec<u8>),
) -> anyhow::Result<usize> {
    let mut at = 0;
    while let Framing::Complete(header) = frame(&bytes[at..], usize::MAX)? {
        let end = at + header.total_len();
        if let Some(incoming) = Incoming::decode(&header, &bytes[at..end], version)? {
            *is_connected |= matches!(incoming, Incoming::Connected { .. });
            heard(incoming, out);
        }
        at = end;
    }
    Ok(at)
}
