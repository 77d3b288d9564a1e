//! One connection, packet by packet: the layer for tests that misbehave on purpose.
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use latchlight_mqtt::{
    ConnAck, Connect, EncodeError, Framing, LARGEST_REMAINING_LENGTH, Packet, PacketType,
    ProtocolVersion, PubAck, PubComp, PubRec, PubRel, Publish, QoS, ReasonCode, frame,
};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::ConnectionError;

/// How much room a read is given at least.
const READ_CHUNK: usize = 8 * 1024;
/// How long [`Connection::connect`] waits for the CONNACK.
const CONNACK_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest packet that MQTT can express: 5 bytes of header and the rest.
const LARGEST_PACKET: usize = 5 + LARGEST_REMAINING_LENGTH;

/// One TCP connection that sends and receives packets and does nothing else by itself: no
/// acknowledgements (unless [asked](Connection::set_auto_acknowledge)), no pings, no reconnect.
///
/// [`receive`](Connection::receive) is cancel safe. What was only
/// [queued](Connection::queue) is written by `flush`, `send` or while `receive` waits.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    version: ProtocolVersion,
    max_packet_size: usize,
    auto_acknowledge: bool,
    input: BytesMut,
    output: Vec<u8>,
    written: usize,
    last_write: Instant,
}

impl Connection {
    /// Opens a TCP connection and sends nothing yet. `version` says how packets are encoded and
    /// decoded from now on; a CONNECT that is sent changes it to its own version.
    pub async fn open(
        address: impl ToSocketAddrs + std::fmt::Display,
        version: ProtocolVersion,
    ) -> Result<Self, ConnectionError> {
        let shown = address.to_string();
        let stream = TcpStream::connect(address)
            .await
            .map_err(|source| ConnectionError::Unreachable { address: shown, source })?;
        stream.set_nodelay(true)?;
        Ok(Self::from_stream(stream, version))
    }

    /// Speaks MQTT on a stream that the caller has connected.
    pub fn from_stream(stream: TcpStream, version: ProtocolVersion) -> Self {
        Self {
            stream,
            version,
            max_packet_size: LARGEST_PACKET,
            auto_acknowledge: false,
            input: BytesMut::new(),
            output: Vec::new(),
            written: 0,
            last_write: Instant::now(),
        }
    }

    /// Opens a connection, sends the CONNECT and waits up to 10 seconds for the CONNACK. An answer
    /// that refuses is [`ConnectionError::Refused`].
    pub async fn connect(
        address: impl ToSocketAddrs + std::fmt::Display,
        connect: Connect,
    ) -> Result<(Self, ConnAck), ConnectionError> {
        let mut connection = Self::open(address, connect.version).await?;
        let connack = connection.handshake(connect, CONNACK_TIMEOUT).await?;
        if connack.reason.is_error() {
            return Err(ConnectionError::Refused(connack.reason));
        }
        Ok((connection, connack))
    }

    /// Sends the CONNECT and waits for the CONNACK, which may also be a refusal.
    pub async fn handshake(
        &mut self,
        connect: Connect,
        within: Duration,
    ) -> Result<ConnAck, ConnectionError> {
        self.send(&Packet::Connect(Box::new(connect))).await?;
        match self.receive_within(within).await? {
            Packet::ConnAck(connack) => Ok(*connack),
            other => Err(ConnectionError::Unexpected {
                expected: PacketType::ConnAck,
                received: other.packet_type(),
            }),
        }
    }

    /// The protocol version that packets are encoded and decoded with.
    pub fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// Encodes and decodes in another version from now on: for the server's end of a connection,
    /// once it has seen the CONNECT.
    pub fn set_version(&mut self, version: ProtocolVersion) {
        self.version = version;
    }

    /// Our own address of the connection.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// Refuses to receive packets of more than `bytes` bytes.
    pub fn set_max_packet_size(&mut self, bytes: usize) {
        self.max_packet_size = bytes.min(LARGEST_PACKET);
    }

    /// Makes `receive` answer PUBLISH, PUBREC and PUBREL as the standard asks, before it returns
    /// them. Off at first.
    pub fn set_auto_acknowledge(&mut self, on: bool) {
        self.auto_acknowledge = on;
    }

    /// Encodes a packet behind what waits to be written.
    pub fn queue(&mut self, packet: &Packet) -> Result<(), EncodeError> {
        if let Packet::Connect(connect) = packet {
            self.version = connect.version;
        }
        let start = self.output.len();
        let encoded = packet.encode(self.version, &mut self.output);
        if encoded.is_err() {
            self.output.truncate(start);
        }
        encoded
    }

    /// How many bytes wait to be written.
    pub fn queued(&self) -> usize {
        self.output.len() - self.written
    }

    /// When bytes were last written.
    pub(crate) fn last_write(&self) -> Instant {
        self.last_write
    }

    /// Writes everything that waits.
    pub async fn flush(&mut self) -> Result<(), ConnectionError> {
        while self.queued() > 0 {
            self.stream.writable().await?;
            self.write_some()?;
        }
        Ok(())
    }

    /// Sends one packet: it is in the operating system's hands when this returns.
    pub async fn send(&mut self, packet: &Packet) -> Result<(), ConnectionError> {
        self.queue(packet)?;
        self.flush().await
    }

    /// Sends bytes as they are, be they a packet, a part of one or nonsense.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        self.output.extend_from_slice(bytes);
        self.flush().await
    }

    /// Waits for the next packet. Cancel safe.
    pub async fn receive(&mut self) -> Result<Packet, ConnectionError> {
        self.drive(true).await
    }

    /// Waits for the next packet, at most so long.
    pub async fn receive_within(&mut self, limit: Duration) -> Result<Packet, ConnectionError> {
        timeout(limit, self.receive()).await.map_err(|_| ConnectionError::TimedOut(limit))?
    }

    /// Waits for the next packet and returns its bytes, undecoded and unanswered. Cancel safe.
    pub async fn receive_raw(&mut self) -> Result<Bytes, ConnectionError> {
        loop {
            if let Some(bytes) = self.take_frame()? {
                return Ok(bytes);
            }
            self.transfer(true).await?;
        }
    }

    /// Waits until the peer closes the connection, and returns the packets that came before. It is
    /// an error if the connection is still open after `limit`.
    pub async fn closed_within(&mut self, limit: Duration) -> Result<Vec<Packet>, ConnectionError> {
        let deadline = Instant::now() + limit;
        let mut packets = Vec::new();
        loop {
            match timeout_at(deadline, self.receive()).await {
                Err(_) => return Err(ConnectionError::TimedOut(limit)),
                Ok(Ok(packet)) => packets.push(packet),
                Ok(Err(ConnectionError::Closed | ConnectionError::Io(_))) => return Ok(packets),
                Ok(Err(error)) => return Err(error),
            }
        }
    }

    /// Answers a PUBLISH, PUBREC or PUBREL as a well-behaved client does; other packets need no
    /// answer. A PINGREQ is the server's to answer.
    pub async fn acknowledge(&mut self, packet: &Packet) -> Result<(), ConnectionError> {
        if let Some(answer) = acknowledgement(packet) {
            self.send(&answer).await?;
        }
        Ok(())
    }

    /// Ends the connection without a DISCONNECT, as a device whose power fails: a TCP reset, and
    /// what was not yet written is lost.
    pub fn abort(self) {
        // Without the option the connection still ends, only by FIN in place of RST.
        let _ = self.stream.set_zero_linger();
    }

    /// Writes what waits and closes our direction; the peer's packets can still be received.
    pub async fn shutdown(&mut self) -> Result<(), ConnectionError> {
        self.flush().await?;
        self.stream.shutdown().await?;
        Ok(())
    }

    /// Writes what waits and, with `reading`, returns the next packet. Without, it never returns
    /// unless the connection fails. Cancel safe.
    pub(crate) async fn drive(&mut self, reading: bool) -> Result<Packet, ConnectionError> {
        loop {
            if reading && let Some(frame) = self.take_frame()? {
                let packet = Packet::decode(frame, self.version)?;
                if self.auto_acknowledge
                    && let Some(answer) = acknowledgement(&packet)
                {
                    self.queue(&answer)?;
                    self.write_some()?;
                }
                return Ok(packet);
            }
            self.transfer(reading).await?;
        }
    }

    fn take_frame(&mut self) -> Result<Option<Bytes>, ConnectionError> {
        match frame(&self.input, self.max_packet_size)? {
            Framing::Complete(header) => Ok(Some(self.input.split_to(header.total_len()).freeze())),
            Framing::Incomplete { .. } => Ok(None),
        }
    }

    /// Waits until the socket takes or has bytes, and moves some.
    async fn transfer(&mut self, reading: bool) -> Result<(), ConnectionError> {
        let interest = match (reading, self.queued() > 0) {
            (true, true) => Interest::READABLE | Interest::WRITABLE,
            (true, false) => Interest::READABLE,
            (false, true) => Interest::WRITABLE,
            (false, false) => return std::future::pending().await,
        };
        let ready = self.stream.ready(interest).await?;
        if ready.is_writable() {
            self.write_some()?;
        }
        if reading && ready.is_readable() {
            self.read_some()?;
        }
        Ok(())
    }

    fn read_some(&mut self) -> Result<(), ConnectionError> {
        self.input.reserve(READ_CHUNK);
        match self.stream.try_read_buf(&mut self.input) {
            Ok(0) if self.input.is_empty() => Err(ConnectionError::Closed),
            Ok(0) => Err(ConnectionError::ClosedInPacket(self.input.len())),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn write_some(&mut self) -> Result<(), ConnectionError> {
        while self.queued() > 0 {
            match self.stream.try_write(&self.output[self.written..]) {
                Ok(count) => {
                    self.written += count;
                    self.last_write = Instant::now();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }
}

fn acknowledgement(packet: &Packet) -> Option<Packet> {
    let success = ReasonCode::Success;
    Some(match packet {
        Packet::Publish(Publish { qos, packet_id: Some(packet_id), .. }) => match qos {
            QoS::AtMostOnce => return None,
            QoS::AtLeastOnce => Packet::PubAck(PubAck::new(*packet_id, success)),
            QoS::ExactlyOnce => Packet::PubRec(PubRec::new(*packet_id, success)),
        },
        // A PUBREC with an error ends the exchange [MQTT-4.3.3-4].
        Packet::PubRec(PubRec { packet_id, reason, .. }) if !reason.is_error() => {
            Packet::PubRel(PubRel::new(*packet_id, success))
        }
        Packet::PubRel(PubRel { packet_id, .. }) => {
            Packet::PubComp(PubComp::new(*packet_id, success))
        }
        _ => return None,
    })
}
