//! AUTH of a client that is connected: it authenticates anew (MQTT 5, 4.12.1).

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use latchlight_mqtt::{Auth, Packet, ProtocolVersion, ReasonCode};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Client, Next};
use crate::ClientInfo;
use crate::access::ConnectRequest;
use crate::authentication::{self, Conversation, Proven, Reply};
use crate::broker::Core;
use crate::connection::End;
use crate::line::Closing;
use crate::session_handle::Session;

/// What a client that was let in by a method needs to authenticate anew.
pub(crate) struct Enhanced {
    method: ByteString,
    /// The name of the listener that it came by.
    listener: Arc<str>,
    turn: Arc<Mutex<Turn>>,
}

/// Whose word it is.
enum Turn {
    /// Nobody's: no authentication runs.
    Idle,
    /// The hook's.
    Hook,
    /// The client's, which was asked something.
    Client(oneshot::Sender<Bytes>),
}

impl Enhanced {
    pub(crate) fn new(method: ByteString, listener: Arc<str>) -> Self {
        Self { method, listener, turn: Arc::new(Mutex::new(Turn::Idle)) }
    }
}

impl Drop for Enhanced {
    /// The connection is gone: nobody answers any more.
    fn drop(&mut self) {
        *self.turn.lock() = Turn::Idle;
    }
}

pub(super) fn handle(client: &mut Client, packet: &[u8]) -> Result<Next, End> {
    let Packet::Auth(auth) = client.decode(packet)? else {
        return Err(End::protocol(ReasonCode::ProtocolError));
    };
    // [MQTT-4.12.0-7]
    let Some(enhanced) = &client.enhanced else {
        return Err(End::protocol(ReasonCode::ProtocolError));
    };
    // [MQTT-4.12.1-1]
    let data = authentication::data_of(&auth, &enhanced.method).map_err(End::protocol)?;
    let begins = next_turn(enhanced, &auth, &data)?;
    if begins {
        begin(client, enhanced, data).map_err(|reason| End::protocol(in_disconnect(reason)))?;
    }
    Ok(Next::Go)
}

/// Gives an answer to who waits for it; true: an authentication begins.
fn next_turn(enhanced: &Enhanced, auth: &Auth, data: &Bytes) -> Result<bool, End> {
    let mut turn = enhanced.turn.lock();
    match (auth.reason, std::mem::replace(&mut *turn, Turn::Hook)) {
        (ReasonCode::ReAuthenticate, Turn::Idle) => Ok(true),
        // [MQTT-4.12.0-3]
        (ReasonCode::ContinueAuthentication, Turn::Client(asked)) => {
            // Whom nobody listens to any more has run out of time, and is told.
            let _ = asked.send(data.clone());
            Ok(false)
        }
        _ => Err(End::protocol(ReasonCode::ProtocolError)),
    }
}

/// Other packets go on meanwhile, by what counted before (MQTT 5, 4.12.1).
fn begin(client: &Client, enhanced: &Enhanced, data: Bytes) -> Result<(), ReasonCode> {
    let Client { core, session, info, epoch, .. } = client;
    let conversation = {
        let connect = ConnectRequest {
            client_id: &info.client_id,
            is_client_id_assigned: false,
            clean_start: false,
            username: None,
            password: None,
            address: info.address,
            listener: &enhanced.listener,
            certificate: info.certificate.as_deref(),
            version: ProtocolVersion::V5,
        };
        Conversation::begin(&*core.access, &enhanced.method, connect, Some(info))?
    };
    let runtime = core.runtime.get().ok_or(ReasonCode::UnspecifiedError)?;
    let anew = Anew {
        core: core.clone(),
        session: session.clone(),
        info: info.clone(),
        epoch: *epoch,
        turn: enhanced.turn.clone(),
        reason: Some(ReasonCode::UnspecifiedError),
    };
    runtime.spawn(anew.run(conversation, data));
    Ok(())
}

/// An authentication of a client that is connected. Dropped before it has gone
/// well, it closes the connection [MQTT-4.12.1-2]; so a hook that panics does.
struct Anew {
    core: Arc<Core>,
    session: Arc<Session>,
    info: Arc<ClientInfo>,
    epoch: u32,
    turn: Arc<Mutex<Turn>>,
    /// Why it did not go well.
    reason: Option<ReasonCode>,
}

impl Anew {
    async fn run(mut self, conversation: Conversation, data: Bytes) {
        let limit = self.core.options.connect_timeout;
        let outcome = tokio::time::timeout(limit, self.all_steps(conversation, data)).await;
        self.reason = match outcome {
            // C10: who a client is does not change.
            Ok(Ok(proven)) if proven.identity == self.info.identity => {
                return self.succeed(proven);
            }
            Ok(Ok(_)) | Err(_) => Some(ReasonCode::NotAuthorized),
            Ok(Err(reason)) => Some(in_disconnect(reason)),
        };
    }

    async fn all_steps(
        &self,
        mut conversation: Conversation,
        mut data: Bytes,
    ) -> Result<Proven, ReasonCode> {
        loop {
            match conversation.step(&data).await? {
                Reply::Ask(question) => data = self.ask(question).await?,
                Reply::Proven(proven) => return Ok(proven),
            }
        }
    }

    fn succeed(mut self, proven: Proven) {
        self.reason = None;
        *self.turn.lock() = Turn::Idle;
        self.say(&authentication::auth(ReasonCode::Success, &proven.method, proven.data));
    }

    async fn ask(&self, question: Packet) -> Result<Bytes, ReasonCode> {
        let (asked, answer) = oneshot::channel();
        *self.turn.lock() = Turn::Client(asked);
        if !self.say(&question) {
            return Err(ReasonCode::UnspecifiedError);
        }
        // The connection may go meanwhile.
        answer.await.map_err(|_| ReasonCode::UnspecifiedError)
    }

    /// False: the connection is gone.
    fn say(&self, packet: &Packet) -> bool {
        let Self { core, session, .. } = self;
        {
            let mut line = session.outbound.lock();
            if line.epoch != self.epoch || !line.owed.is_connected() {
                return false;
            }
            line.owed.say(packet);
        }
        session.flush(core.clock.now(), &core.options, &core.counters);
        true
    }
}

impl Drop for Anew {
    fn drop(&mut self) {
        if let Some(reason) = self.reason {
            self.session.close(self.epoch, Closing { reason, say: true, reset: false });
        }
    }
}

/// A hook's reason as DISCONNECT may say it.
fn in_disconnect(reason: ReasonCode) -> ReasonCode {
    match reason.fits(latchlight_mqtt::PacketType::Disconnect) && reason.is_error() {
        true => reason,
        false => ReasonCode::NotAuthorized,
    }
}
