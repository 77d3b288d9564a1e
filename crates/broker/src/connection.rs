//! One connection: its socket, from the first byte to the last. The session
//! behind it is free of I/O; this is where the two meet.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use latchlight_mqtt::{
    ConnAck, DecodeError, Disconnect, Framing, Packet, PacketType, ProtocolVersion, ReasonCode,
    frame,
};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::broker::Core;
use crate::deadlines::What;
use crate::handlers::{self, Client, Next};
use crate::listener::Place;
use crate::read_buffer::{Carry, Read};
use crate::session_handle::Closing;
use crate::transport::Transport as _;

/// How long the last words to a client may take.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Why a connection ends.
#[derive(Debug)]
pub(crate) enum End {
    /// The socket failed, or the peer closed it without a word.
    Gone,
    /// The client said DISCONNECT.
    Said(ReasonCode),
    /// The broker closes it.
    Closing(Closing),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl From<DecodeError> for End {
    fn from(error: DecodeError) -> Self {
        Self::protocol(error.reason())
    }
}

impl End {
    /// The client said what it may not.
    pub(crate) fn protocol(reason: ReasonCode) -> Self {
        Self::Closing(Closing { reason, say: true, reset: false })
    }
}

/// Serves a connection to its end.
pub(crate) async fn run(
    core: Arc<Core>,
    stream: Arc<TcpStream>,
    address: SocketAddr,
    _place: Place,
) {
    let opened = tokio::select! {
        opened = open(&core, &stream, address) => opened,
        () = core.stop.cancelled() => return,
    };
    let Some((mut client, mut carry)) = opened else { return };
    let end = loop {
        if let Err(end) = step(&mut client, &stream, &mut carry).await {
            break end;
        }
    };
    finish(client, stream, end).await;
}

/// Reads CONNECT and answers it; nothing: the client was not let in.
async fn open(
    core: &Arc<Core>,
    stream: &Arc<TcpStream>,
    address: SocketAddr,
) -> Option<(Client, Carry)> {
    let first = tokio::time::timeout(core.options.connect_timeout, read_connect(core, stream));
    let (packet, rest) = match first.await.ok()? {
        Ok(first) => first,
        Err(Some(error)) => {
            core.counters.protocol_errors.one();
            refuse_version(stream, error).await;
            return None;
        }
        Err(None) => return None,
    };
    let Packet::Connect(connect) = packet else {
        // [MQTT-3.1.0-1]: the first packet is CONNECT.
        core.counters.protocol_errors.one();
        return None;
    };
    let version = connect.version;
    match handlers::connect::establish(core, *connect, stream, address).await {
        Ok(client) => Some((client, Carry::holding(rest))),
        Err(reason) => {
            core.counters.connects_refused.one();
            let refusal = Packet::ConnAck(Box::new(ConnAck::new(false, reason)));
            say(stream, &refusal, version).await;
            None
        }
    }
}

async fn read_connect(
    core: &Core,
    stream: &TcpStream,
) -> Result<(Packet, Vec<u8>), Option<DecodeError>> {
    let mut bytes: Vec<u8> = Vec::new();
    let limit = core.options.max_connect_size as usize;
    loop {
        match frame(&bytes, limit)? {
            Framing::Complete(header) => {
                let rest = bytes.split_off(header.total_len());
                // The version is that of the packet itself.
                let packet = Packet::decode(Bytes::from(bytes), ProtocolVersion::V5)?;
                return Ok((packet, rest));
            }
            Framing::Incomplete { .. } => {
                // Anything but CONNECT is turned away at its first byte.
                if bytes.first().is_some_and(|first| first >> 4 != PacketType::Connect as u8) {
                    return Err(None);
                }
                stream.readable().await.map_err(|_| None)?;
                bytes.reserve(512);
                match stream.try_read_buf(&mut bytes) {
                    Ok(0) => return Err(None),
                    Ok(read) => core.counters.bytes_in.add(read as u64),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return Err(None),
                }
            }
        }
    }
}

/// A client whose version is not spoken here is told so in a way that it may
/// understand [MQTT-3.1.2-2]; other mistakes are answered by the end.
async fn refuse_version(stream: &TcpStream, error: DecodeError) {
    let version = match error {
        DecodeError::UnsupportedVersion(level) if level > 5 => ProtocolVersion::V5,
        DecodeError::UnsupportedVersion(_) => ProtocolVersion::V311,
        // 3.1.1: [MQTT-3.1.3-8]; MQTT 5 takes an empty one.
        DecodeError::ClientId(_) => ProtocolVersion::V311,
        _ => return,
    };
    let refusal = Packet::ConnAck(Box::new(ConnAck::new(false, error.reason())));
    say(stream, &refusal, version).await;
}

/// Waits for the socket or a wake-up, and does what there is to do.
async fn step(client: &mut Client, stream: &TcpStream, carry: &mut Carry) -> Result<(), End> {
    let core = client.core.clone();
    // What came together with CONNECT, or with the packet before.
    if !client.looked_at_carry {
        client.looked_at_carry = true;
        let held = carry.held().to_vec();
        let (taken, _) = take_packets(client, &held)?;
        *carry = Carry::holding(held[taken..].to_vec());
        after_batch(client).await?;
    }
    let interest = {
        let line = client.session.outbound.lock();
        if let Some(closing) = line.closing.filter(|_| line.epoch == client.epoch) {
            return Err(End::Closing(closing));
        }
        if line.epoch != client.epoch {
            let reason = ReasonCode::SessionTakenOver;
            return Err(End::Closing(Closing { reason, say: true, reset: false }));
        }
        if line.blocked { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE }
    };
    let ready = tokio::select! {
        ready = stream.ready(interest) => ready?,
        () = client.wake.notified() => return Ok(()),
        () = core.stop.cancelled() => {
            let reason = ReasonCode::ServerShuttingDown;
            return Err(End::Closing(Closing { reason, say: true, reset: false }));
        }
    };
    if ready.is_writable() {
        client.session.flush(core.clock.now(), &core.options, &core.counters);
    }
    if ready.is_readable() || ready.is_read_closed() {
        let read = carry.read(stream, |bytes| take_packets(client, bytes));
        // What the good packets before a bad one brought about goes out.
        let outcome = after_batch(client).await;
        match read? {
            Read::End => return Err(End::Gone),
            Read::Nothing => {}
            Read::Some(read) => core.counters.bytes_in.add(read as u64),
        }
        outcome?;
    }
    Ok(())
}

/// Handles all whole packets; gives how many bytes they were, and how many
/// are missing of the next one.
fn take_packets(client: &mut Client, bytes: &[u8]) -> Result<(usize, usize), End> {
    let limit = client.core.options.max_packet_size as usize;
    let now = client.core.clock.now();
    let mut taken = 0;
    loop {
        match frame(&bytes[taken..], limit)? {
            Framing::Incomplete { needed } => {
                if taken > 0 {
                    client.session.last_packet.store(now, Ordering::Relaxed);
                }
                return Ok((taken, if taken < bytes.len() { needed } else { 0 }));
            }
            Framing::Complete(header) => {
                let packet = &bytes[taken..taken + header.total_len()];
                taken += packet.len();
                match handlers::handle(client, packet, header, now)? {
                    Next::Go => {}
                    Next::End(end) => return Err(end),
                }
            }
        }
    }
}

/// Writes what the batch has brought about, and waits for slow readers.
async fn after_batch(client: &mut Client) -> Result<(), End> {
    let core = client.core.clone();
    client.flush_acks();
    client.batch.flush(&core);
    while client.batch.is_congested() {
        client.batch.drained(&core).await;
        // Meanwhile the client itself was not read: that is how it is slowed down.
        client.session.last_packet.store(core.clock.now(), Ordering::Relaxed);
    }
    Ok(())
}

/// The end of a connection: last words, then the session goes on without it.
async fn finish(mut client: Client, stream: Arc<TcpStream>, end: End) {
    let core = client.core.clone();
    client.flush_acks();
    client.batch.flush(&core);
    let (reason, said) = match &end {
        End::Gone => (ReasonCode::UnspecifiedError, false),
        End::Said(reason) => (*reason, true),
        End::Closing(closing) => (closing.reason, false),
    };
    if let End::Closing(closing) = &end {
        if closing.reset {
            stream.reset_when_closed();
        } else if closing.say && client.version.is_v5() {
            // [MQTT-4.13.1-1]
            let packet = Packet::Disconnect(Disconnect::new(closing.reason));
            say(&stream, &packet, client.version).await;
        }
        if matches!(
            closing.reason,
            ReasonCode::ProtocolError | ReasonCode::MalformedPacket | ReasonCode::PacketTooLarge
        ) {
            core.counters.protocol_errors.one();
        }
    }
    let shutting_down = reason == ReasonCode::ServerShuttingDown;
    // [MQTT-3.1.2-10]: a normal DISCONNECT takes the will away.
    let takes_will_away = said && reason != ReasonCode::DisconnectWithWill;
    let keeps_will = !takes_will_away && !shutting_down;
    let lost = {
        let mut line = client.session.outbound.lock();
        if line.epoch != client.epoch {
            // Taken over: the session and its will are the newer one's.
            drop(line);
            return client.report_disconnected(reason);
        }
        let lost = line.owed.disconnect();
        if !lost.is_empty() {
            stream.reset_when_closed();
        }
        line.transport = None;
        line.closing = None;
        line.blocked = false;
        lost
    };
    client.session.set_connected(false);
    client.session.drained.notify_waiters();
    leave(&client, keeps_will, &core);
    // The last holder closes the socket, or resets it; only then it is told.
    drop(stream);
    for ticket in lost {
        ticket.lost();
    }
    client.report_disconnected(reason);
}

/// What happens to session and will when the connection is gone.
fn leave(client: &Client, keeps_will: bool, core: &Arc<Core>) {
    let session = &client.session;
    if !keeps_will {
        session.will.lock().take();
    }
    let now = core.clock.now();
    let expiry = client.session_expiry;
    let will_delay = session.will.lock().as_ref().map(|will| will.delay.min(expiry));
    if let Some(delay) = will_delay {
        if delay == 0 {
            core.publish_will(session);
        } else {
            core.deadlines.add(now + delay, What::Will, session, client.epoch);
        }
    }
    if expiry == 0 {
        core.discard(session, client.epoch);
    } else {
        core.deadlines.add(now.saturating_add(expiry), What::SessionEnd, session, client.epoch);
    }
}

/// Writes a packet apart from the session's output, for a short while.
async fn say(stream: &TcpStream, packet: &Packet, version: ProtocolVersion) {
    let mut bytes = Vec::new();
    if packet.encode(version, &mut bytes).is_err() {
        return;
    }
    let write = async {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            stream.writable().await?;
            match stream.try_write_vectored(&[IoSlice::new(rest)]) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok::<_, io::Error>(())
    };
    let _ = tokio::time::timeout(LAST_WORDS, write).await;
}
