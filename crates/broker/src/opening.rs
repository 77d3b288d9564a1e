//! The beginning of a connection: CONNECT is read and answered.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use latchlight_mqtt::{ConnAck, DecodeError, Framing, Packet, PacketType, ProtocolVersion, frame};
use tokio::io::Interest;

use crate::broker::Core;
use crate::handlers::{self, Client};
use crate::read_buffer::Carry;
use crate::threads::Peer;
use crate::transport::Transport;

/// How long a refusal may take to be sent.
const REFUSAL: Duration = Duration::from_millis(500);

/// Reads CONNECT and answers it; nothing: the client was not let in.
pub(crate) async fn open(
    core: &Arc<Core>,
    transport: &Arc<dyn Transport>,
    peer: &Peer,
) -> Option<(Client, Carry)> {
    let first =
        tokio::time::timeout(core.options.connect_timeout, read_connect(core, &**transport));
    let (packet, rest) = match first.await.ok()? {
        Ok(first) => first,
        Err(Some(error)) => {
            core.counters.protocol_errors.one();
            refuse_version(&**transport, error).await;
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
    match handlers::connect::establish(core, *connect, transport, peer).await {
        Ok(client) => Some((client, Carry::holding(rest))),
        Err(reason) => {
            core.counters.connects_refused.one();
            let refusal = Packet::ConnAck(Box::new(ConnAck::new(false, reason)));
            say(&**transport, &refusal, version).await;
            None
        }
    }
}

async fn read_connect(
    core: &Core,
    transport: &dyn Transport,
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
                transport.ready(Interest::READABLE).await.map_err(|_| None)?;
                bytes.reserve(512);
                match transport.try_read_buf(&mut bytes) {
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
async fn refuse_version(transport: &dyn Transport, error: DecodeError) {
    let version = match error {
        DecodeError::UnsupportedVersion(level) if level > 5 => ProtocolVersion::V5,
        DecodeError::UnsupportedVersion(_) => ProtocolVersion::V311,
        // 3.1.1: [MQTT-3.1.3-8]; MQTT 5 takes an empty one.
        DecodeError::ClientId(_) => ProtocolVersion::V311,
        _ => return,
    };
    let refusal = Packet::ConnAck(Box::new(ConnAck::new(false, error.reason())));
    say(transport, &refusal, version).await;
}

/// Writes a packet to a connection that has no session.
async fn say(transport: &dyn Transport, packet: &Packet, version: ProtocolVersion) {
    let mut bytes = Vec::new();
    if packet.encode(version, &mut bytes).is_err() {
        return;
    }
    let write = async {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            transport.ready(Interest::WRITABLE).await?;
            match transport.try_write(&[IoSlice::new(rest)]) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok::<_, io::Error>(())
    };
    let _ = tokio::time::timeout(REFUSAL, write).await;
}
