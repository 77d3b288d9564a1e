//! The beginning of a connection: CONNECT is read and answered.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use bytestring::ByteString;
use latchlight_mqtt::ProtocolVersion::V5;
use latchlight_mqtt::{
    ConnAck, Connect, DecodeError, Framing, Packet, PacketType, ProtocolVersion, ReasonCode, frame,
};
use tokio::io::Interest;
use tokio::time::Instant;

use crate::ClientInfo;
use crate::access;
use crate::authentication::data_of;
use crate::broker::Core;
use crate::handlers::{self, Client};
use crate::hooks::Notice;
use crate::limits::Blame;
use crate::read_buffer::Carry;
use crate::threads::Peer;
use crate::transport::Transport;

/// Another packet than the one whose turn it is.
const UNEXPECTED: Option<DecodeError> = Some(DecodeError::Protocol("a packet out of its turn"));

/// What is said before a client is let in.
pub(crate) struct FirstWords<'a> {
    pub(crate) transport: &'a Arc<dyn Transport>,
    /// When all of it has to be over.
    pub(crate) end: Instant,
    /// What came and was not looked at yet.
    bytes: Vec<u8>,
    /// CONNECT begins as that of MQTT 5 does, well formed or not.
    speaks_v5: bool,
}

/// Why a client is not let in.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is told.
    Because(ReasonCode),
    /// It is told by this, which a hook made.
    Answered(Box<ConnAck>),
    /// It is gone.
    Gone,
}

impl From<ReasonCode> for Refused {
    fn from(reason: ReasonCode) -> Self {
        Self::Because(reason)
    }
}

/// Behind its fixed header.
const CONNECT_OF_V5: &[u8] = b"\0\x04MQTT\x05";

/// How long a refusal may take to be sent.
const REFUSAL: Duration = Duration::from_millis(500);

/// Reads CONNECT and answers it, until `end`.
///
/// # Errors
/// The client was not let in, and whose doing that is.
pub(crate) async fn open(
    core: &Arc<Core>,
    transport: &Arc<dyn Transport>,
    peer: &Peer,
    end: Instant,
) -> Result<(Client, Carry), Blame> {
    let mut first_words = FirstWords { transport, end, bytes: Vec::new(), speaks_v5: false };
    let first = tokio::time::timeout_at(end, first_words.read_connect(core));
    let packet = match first.await.map_err(|_| Blame::Client)? {
        Ok(packet) => packet,
        Err(Some(error)) => {
            core.counters.protocol_errors.one();
            refuse_connect(&**transport, error, first_words.speaks_v5).await;
            return Err(Blame::Client);
        }
        Err(None) => return Err(Blame::Client),
    };
    let Packet::Connect(connect) = packet else {
        // [MQTT-3.1.0-1]: the first packet is CONNECT.
        core.counters.protocol_errors.one();
        return Err(Blame::Client);
    };
    core.counters.connects.one();
    core.counters.received.packets.one();
    let version = connect.version;
    let words = handlers::connect::limits(&connect).words();
    let client_id = connect.client_id.clone();
    match establish(core, *connect, &mut first_words, peer).await {
        Ok(client) => {
            if let Some(latencies) = &core.latencies {
                latencies.connect.note(peer.accepted_at.elapsed(), 1);
            }
            Ok((client, Carry::holding(first_words.bytes)))
        }
        Err(refused) => {
            let mut refusal = match refused {
                Refused::Gone => return Err(Blame::Client),
                Refused::Because(reason) => Box::new(ConnAck::new(false, reason)),
                Refused::Answered(refusal) => refusal,
            };
            let blame = Blame::of(refusal.reason);
            core.counters.connects_refused.one();
            // [MQTT-3.2.2-8]
            refusal.reason = access::told(refusal.reason, PacketType::ConnAck);
            note_refused(core, &client_id, version, peer, refusal.reason);
            let mut refusal = Packet::ConnAck(refusal);
            words.fit(&mut refusal);
            // [MQTT-3.1.2-24]
            if refusal
                .encoded_len(version)
                .is_ok_and(|length| length <= words.max_packet_size as usize)
            {
                say(&**transport, &refusal, version).await;
            }
            Err(blame)
        }
    }
}

/// Lets a client in that does not connect too often (C15).
async fn establish(
    core: &Arc<Core>,
    connect: Connect,
    first_words: &mut FirstWords<'_>,
    peer: &Peer,
) -> Result<Client, Refused> {
    let client_id = connect.client_id.clone();
    // Before a password is looked at, which costs more.
    if core.bans.is_client_banned(&client_id, peer.address, core.clock.now()) {
        core.counters.connects_refused_banned.one();
        return Err(ReasonCode::Banned.into());
    }
    let client = handlers::connect::establish(core, connect, first_words, peer).await?;
    core.bans.connected(&client_id, peer.address, core.clock.now(), &core.counters);
    Ok(client)
}

/// Tells the observers whom the broker has not let in.
fn note_refused(
    core: &Core,
    client_id: &str,
    version: ProtocolVersion,
    peer: &Peer,
    reason: ReasonCode,
) {
    let client = ClientInfo {
        client_id: client_id.into(),
        identity: "".into(),
        address: peer.address,
        certificate: peer.certificate.clone(),
        version,
        connected_at: SystemTime::now(),
    };
    core.hooks.note(Some(&Arc::new(client)), Notice::ConnectRefused(reason));
    core.hooks.tell();
}

impl FirstWords<'_> {
    async fn read_connect(&mut self, core: &Core) -> Result<Packet, Option<DecodeError>> {
        // Anything else is turned away at its first byte.
        let is_connect = |first: u8| first >> 4 == PacketType::Connect as u8;
        // The version is that of the packet itself.
        self.read(core, is_connect).await
    }

    /// Asks the client something, and gives the data that it answers.
    ///
    /// # Errors
    /// It goes, says something else, or cannot be asked.
    pub(crate) async fn ask(
        &mut self,
        core: &Core,
        question: &Packet,
        method: &ByteString,
        most: u32,
    ) -> Result<Bytes, Refused> {
        // [MQTT-3.1.2-30]: the client waits for this.
        self.expect_nothing_more()?;
        // [MQTT-3.1.2-24]
        if question.encoded_len(V5).is_ok_and(|length| length > most as usize) {
            return Err(ReasonCode::PacketTooLarge.into());
        }
        say(&**self.transport, question, V5).await;
        let is_awaited = |first: u8| {
            first >> 4 == PacketType::Auth as u8 || first >> 4 == PacketType::Disconnect as u8
        };
        match self.read(core, is_awaited).await {
            // [MQTT-4.12.0-3]
            Ok(Packet::Auth(answer)) if answer.reason == ReasonCode::ContinueAuthentication => {
                Ok(data_of(&answer, method)?)
            }
            Ok(Packet::Disconnect(_)) | Err(None) => Err(Refused::Gone),
            Ok(_) => Err(ReasonCode::ProtocolError.into()),
            Err(Some(error)) => {
                core.counters.protocol_errors.one();
                Err(error.reason().into())
            }
        }
    }

    /// The client says no more until it is answered.
    ///
    /// # Errors
    /// It does [MQTT-3.1.2-30].
    pub(crate) fn expect_nothing_more(&self) -> Result<(), Refused> {
        match self.bytes.is_empty() {
            true => Ok(()),
            false => Err(ReasonCode::ProtocolError.into()),
        }
    }

    /// The next packet. `is_awaited` is asked about its first byte.
    async fn read(
        &mut self,
        core: &Core,
        is_awaited: impl Fn(u8) -> bool,
    ) -> Result<Packet, Option<DecodeError>> {
        let limit = core.options.max_connect_size as usize;
        loop {
            if let Some(first) = self.bytes.first()
                && !is_awaited(*first)
            {
                return Err(UNEXPECTED);
            }
            match frame(&self.bytes, limit)? {
                Framing::Complete(header) => {
                    let rest = self.bytes.split_off(header.total_len());
                    let bytes = std::mem::replace(&mut self.bytes, rest);
                    self.speaks_v5 |= bytes[header.header_len..].starts_with(CONNECT_OF_V5);
                    let most = core.options.max_user_properties;
                    return Ok(Packet::decode_limited(Bytes::from(bytes), V5, most)?);
                }
                Framing::Incomplete { .. } => {
                    self.transport.ready(Interest::READABLE).await.map_err(|_| None)?;
                    let most = self.bytes.len().max(512);
                    match self.transport.try_read_buf(&mut self.bytes, most) {
                        Ok(0) => return Err(None),
                        Ok(read) => core.counters.received.bytes.add(read as u64),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(_) => return Err(None),
                    }
                }
            }
        }
    }
}

/// A client whose version is not spoken here is told so in a way that it may
/// understand [MQTT-3.1.2-2], and one of MQTT 5 what else is wrong (4.13.1);
/// other mistakes are answered by the end (3.1.1: [MQTT-3.1.4-1]).
async fn refuse_connect(transport: &dyn Transport, error: DecodeError, speaks_v5: bool) {
    let version = match error {
        DecodeError::UnsupportedVersion(level) if level > 5 => ProtocolVersion::V5,
        DecodeError::UnsupportedVersion(_) => ProtocolVersion::V311,
        // 3.1.1: [MQTT-3.1.3-8]; MQTT 5 takes an empty one.
        DecodeError::ClientId(_) => ProtocolVersion::V311,
        _ if speaks_v5 => ProtocolVersion::V5,
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
    let write = transport.write_all(&bytes);
    let _ = tokio::time::timeout(REFUSAL, write).await;
}
