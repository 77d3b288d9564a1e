//! What a client's packets do: one table, a file per packet type.

mod acknowledge;
mod auth;
mod connack;
pub(crate) mod connect;
mod disconnect;
mod publish;
mod session_expiry;
mod subscribe;
mod unsubscribe;
mod watched;

pub(crate) use auth::Enhanced;

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use latchlight_mqtt::{
    Connect, EncodeError, FixedHeader, Packet, PacketId, PacketType, ProtocolVersion, ReasonCode,
    encode_ack,
};

use crate::access::{PublishRequest, Refusal};
use crate::batch::{OwnBatch, Then};
use crate::broker::Core;
use crate::connection::End;
use crate::hooks::Notice;
use crate::injection::Injected;
use crate::line::TaskBell;
use crate::read_buffer::Received;
use crate::router::Publisher;
use crate::seldom::Seldom;
use crate::session_handle::Session;
use crate::store::Wait;
use crate::sys::is_system;
use crate::words::Words;
use crate::{ClientInfo, Time, Traffic};

/// The most that a packet takes which is no PUBLISH: handled at once, a larger
/// one would keep the others of its thread waiting. Ten thousand filters are
/// well below it.
const MOST_OF_OTHERS: usize = 1024 * 1024;

/// A client that was let in, as its connection holds it.
pub(crate) struct Client {
    pub(crate) core: Arc<Core>,
    pub(crate) session: Arc<Session>,
    pub(crate) info: Arc<ClientInfo>,
    pub(crate) version: ProtocolVersion,
    /// Which of the session's connections this is.
    pub(crate) epoch: u32,
    /// How others reach the connection's task.
    pub(crate) task: Arc<TaskBell>,
    /// How long the session outlives the connection, in ms.
    pub(crate) session_expiry: Time,
    /// It has asked for more than nothing, whatever it was given.
    wants_to_last: bool,
    /// What it takes and wants to be told.
    pub(crate) words: Words,
    /// Where it was let in by a method, which it may do anew.
    enhanced: Option<Box<Enhanced>>,
    /// Topic aliases that the client has set, from alias 1 on.
    aliases: Seldom<Vec<Option<ByteString>>>,
    pub(crate) batch: OwnBatch,
    /// How much it was read since the others of its thread came in between.
    pub(crate) turn: usize,
    /// How many bytes of a packet that is not whole are counted for it.
    partial: usize,
    /// There is no connection: a packet was put into its mouth.
    pub(crate) injected: Option<Injected>,
}

/// What follows a packet.
pub(crate) enum Next {
    /// The next one.
    Go,
    /// The end.
    End(End),
}

/// Handles one packet, which hooks may want to see first.
///
/// # Errors
/// The packet is malformed, or may not be now.
pub(crate) fn dispatch(
    client: &mut Client,
    packet: Received<'_>,
    header: FixedHeader,
    now: Time,
) -> Result<Next, End> {
    client.batch.received.packets += 1;
    if packet.len() > MOST_OF_OTHERS && header.packet_type()? != PacketType::Publish {
        return Err(End::protocol(ReasonCode::QuotaExceeded));
    }
    if client.core.hooks.wants.packets || client.core.hooks.steps.read_packet {
        watched::handle(client, packet, header, now)
    } else {
        handle(client, packet, header, now)
    }
}

fn handle(
    client: &mut Client,
    packet: Received<'_>,
    header: FixedHeader,
    now: Time,
) -> Result<Next, End> {
    let packet_type = header.packet_type()?;
    if packet_type != PacketType::Publish {
        client.spill(Then::Touch);
    }
    match packet_type {
        PacketType::Publish => publish::handle(client, packet, now),
        PacketType::PubAck | PacketType::PubRec | PacketType::PubRel | PacketType::PubComp => {
            acknowledge::handle(client, &packet, now)
        }
        PacketType::Subscribe => subscribe::handle(client, &packet, now),
        PacketType::Unsubscribe => unsubscribe::handle(client, &packet),
        PacketType::PingReq => {
            Packet::decode(Bytes::copy_from_slice(&packet), client.version)?;
            client.answer(&Packet::PingResp);
            Ok(Next::Go)
        }
        PacketType::Disconnect => disconnect::handle(client, &packet),
        PacketType::Auth => auth::handle(client, &packet),
        // [MQTT-3.1.0-2]: CONNECT comes once; the others are the server's to
        // send.
        PacketType::Connect
        | PacketType::ConnAck
        | PacketType::SubAck
        | PacketType::UnsubAck
        | PacketType::PingResp => Err(End::protocol(ReasonCode::ProtocolError)),
    }
}

impl Client {
    pub(crate) fn new(
        core: Arc<Core>,
        session: Arc<Session>,
        info: Arc<ClientInfo>,
        epoch: u32,
        task: Arc<TaskBell>,
        session_expiry: Time,
        enhanced: Option<Enhanced>,
    ) -> Self {
        let version = info.version;
        let (aliases, batch) = (Seldom::default(), OwnBatch::default());
        Self {
            core,
            session,
            info,
            version,
            epoch,
            task,
            session_expiry,
            wants_to_last: false,
            words: Words { version, max_packet_size: u32::MAX, wants_problem_information: true },
            enhanced: enhanced.map(Box::new),
            aliases,
            batch,
            turn: 0,
            partial: 0,
            injected: None,
        }
    }

    /// The same, for one packet that came by no connection. Its version is the
    /// newest, whatever the client speaks.
    pub(crate) fn injecting(mut self, injected: Injected) -> Self {
        self.version = ProtocolVersion::V5;
        self.injected = Some(injected);
        self
    }

    /// Asks the access hook, unless whoever injects has said not to.
    fn authorize_publish(&self, request: &PublishRequest<'_>) -> Result<(), Refusal> {
        match self.injected {
            Some(Injected { asks_access: false, .. }) if !is_system(request.topic) => Ok(()),
            _ => self.core.authorize_publish(&self.info, request),
        }
    }

    fn authorize_subscribe(&self, filter: &str) -> Result<(), ReasonCode> {
        match self.injected {
            Some(Injected { asks_access: false, .. }) => Ok(()),
            _ => self.core.access.authorize_subscribe(&self.info, filter),
        }
    }

    /// Tells whoever injects what the client would be told.
    fn tell_injector(&mut self, outcome: ReasonCode) {
        if let Some(injected) = &mut self.injected {
            injected.outcome = outcome;
        }
    }

    /// The same, answered as it asked for when it connected.
    fn answered_as(mut self, connect: &Connect) -> Self {
        self.words = connect::limits(connect).words();
        self.wants_to_last = connect.properties.session_expiry_interval.is_some_and(|at| at > 0);
        self
    }

    /// Counts what is held of a packet that is not whole; true if that has
    /// grown.
    pub(crate) fn count_partial(&mut self, held: usize) -> bool {
        let before = std::mem::replace(&mut self.partial, held);
        if held != before {
            self.core.counters.partial_bytes.add(held as u64);
            self.core.counters.partial_bytes.sub(before as u64);
        }
        held > before
    }

    fn decode(&self, packet: &[u8]) -> Result<Packet, End> {
        let (bytes, options) = (Bytes::copy_from_slice(packet), &self.core.options);
        Ok(Packet::decode_limited(bytes, self.version, options.max_user_properties)?)
    }

    /// Answers after the batch; not, where the client does not take that much
    /// [MQTT-3.1.2-24], [MQTT-3.1.2-25].
    fn answer(&mut self, packet: &Packet) {
        self.spill(Then::Touch);
        let batch = &mut *self.batch;
        let before = batch.acks.len();
        let encoded: Result<(), EncodeError> = packet.encode(self.version, &mut batch.acks);
        if batch.acks.len() - before > self.words.max_packet_size as usize {
            batch.acks.truncate(before);
            self.core.counters.dropped_too_large.one();
        } else {
            batch.answers += 1;
        }
        if let Err(error) = encoded {
            tracing::error!(%error, "encode an answer");
        }
    }

    /// Answers a message, or goes on with its exchange, after the batch, and
    /// after what came before it [MQTT-4.6.0-2].
    fn acknowledge(&mut self, packet: PacketType, id: PacketId, reason: ReasonCode) {
        self.spill(Then::Touch);
        let batch = &mut *self.batch;
        encode_ack(packet, id, reason, self.version, &mut batch.acks);
        batch.answers += 1;
    }

    /// Moves the answers to the session's output.
    fn flush_acks(&mut self) {
        if self.batch.acks.is_empty() || self.injected.is_some() {
            return;
        }
        let batch = &mut *self.batch;
        let answers = std::mem::take(&mut batch.answers);
        let mut line = self.session.outbound.lock();
        if line.epoch == self.epoch
            && let Some(output) = line.owed.output()
        {
            if let (Some(recorder), Some(commit)) = (&self.core.recorder, batch.take_commit()) {
                let (recorder, session) = (recorder.clone(), Arc::downgrade(&self.session));
                Wait { recorder, session, commit }.hold(output);
            }
            line.owed.append_answers(&batch.acks, answers);
            if line.schedule() {
                batch.touch(&self.session);
            }
        }
        batch.acks.clear();
    }

    /// Counts what was handled; gives how many messages of that were taken.
    fn count_received(&mut self) -> u64 {
        let received = std::mem::take(&mut self.batch.received);
        self.core.counters.received.add(&received);
        self.session.inbound.lock().received.add(&received);
        received.all_messages()
    }

    /// Writes what the packets of one batch have brought about; gives how many
    /// messages were taken.
    pub(crate) fn flush(&mut self) -> u64 {
        // Counted before it is answered; and before it is written, where nobody
        // has to take it first.
        let mut messages = self.count_received();
        self.spill(Then::Write);
        if self.batch.received != Traffic::default() {
            messages += self.count_received();
        }
        self.flush_acks();
        self.batch.take_commit();
        self.batch.flush(&self.core);
        self.batch.gathered = 0;
        self.batch.rest();
        messages
    }

    /// Gives those who get it what was gathered, and answers it.
    fn spill(&mut self, then: Then) {
        // Looked at first: mostly there is none, and to take it moves all of it.
        if self.batch.burst.is_some()
            && let Some(burst) = self.batch.burst.take()
        {
            self.batch.gathered = burst.bytes();
            let tallies = self.core.deliver_burst(&burst, &self.session, &mut self.batch, then);
            publish::answer(self, &burst, &tallies);
        }
    }

    pub(crate) fn report_disconnected(&self, reason: ReasonCode) {
        if self.session.is_revoked() {
            let _together = self.core.recorder.as_ref().map(|recorder| recorder.together());
            self.core.discard(&self.session, self.epoch);
        }
        let session_ended = self.session.has_ended();
        self.note(Notice::Disconnected { reason, session_ended });
        self.core.hooks.tell();
    }

    /// Notes what the observers are told after this packet.
    fn note(&self, notice: Notice) {
        self.core.hooks.note(Some(&self.info), notice);
    }
}
