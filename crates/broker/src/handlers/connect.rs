//! CONNECT (MQTT 5, 3.1): who is let in, and with which session.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use bytestring::ByteString;
use latchlight_mqtt::{Connect, Packet, ReasonCode, Will};

use super::connack::{check_answer, connack};
use super::session_expiry::session_expiry;
use super::{Client, Enhanced};
use crate::access::ConnectRequest;
use crate::authentication::{Conversation, Proven, Reply};
use crate::broker::Core;
use crate::deadlines::Timers;
use crate::hooks::{Notice, without_secrets};
use crate::line::{Closing, Line, TaskBell};
use crate::opening::{FirstWords, Refused};
use crate::session::{Answer, ConnectionLimits};
use crate::session_handle::Session;
use crate::store::{SessionLog, Wait};
use crate::sys::is_system;
use crate::threads::Peer;
use crate::transport::Transport;
use crate::will::PendingWill;
use crate::{ClientInfo, Options, Origin, Time};

/// Lets a client in and answers it.
///
/// # Errors
/// It is not let in; the caller answers with the reason.
pub(crate) async fn establish(
    core: &Arc<Core>,
    mut connect: Connect,
    first_words: &mut FirstWords<'_>,
    peer: &Peer,
) -> Result<Client, Refused> {
    if core.hooks.steps.connect {
        intercept(core, &mut connect, peer)?;
    }
    let client_id: Arc<str> = match connect.client_id.is_empty() {
        true => assign_client_id(core).into(),
        false => (*connect.client_id).into(),
    };
    let request = ConnectRequest {
        client_id: &client_id,
        is_client_id_assigned: connect.client_id.is_empty(),
        clean_start: connect.clean_start,
        username: connect.username.as_deref(),
        password: connect.password.as_deref(),
        address: peer.address,
        listener: &peer.listener,
        certificate: peer.certificate.as_deref(),
        version: connect.version,
    };
    // Before it is let in: a change of the rules that it has seen is older.
    let connected_at = SystemTime::now();
    let reviews = core.reviews.load(Ordering::SeqCst);
    let proven = match &connect.properties.authentication_method {
        Some(method) => Some(authenticate(core, method, &connect, request, first_words).await?),
        None => None,
    };
    let identity = match &proven {
        Some(proven) => proven.identity.clone(),
        None => core.access.authenticate(&request).await?,
    };
    let info = Arc::new(ClientInfo {
        client_id,
        identity,
        address: peer.address,
        certificate: peer.certificate.clone(),
        version: connect.version,
        connected_at,
    });
    if let Some(will) = &connect.will {
        core.check_topic(will.topic.as_str())?;
        if is_system(will.topic.as_str()) {
            return Err(ReasonCode::NotAuthorized.into());
        }
        core.access.authorize_will(&info, will)?;
        check_format(will)?;
    }
    check_answer(core, &connect, &info, proven.as_ref())?;
    if core.hooks.wants.packets {
        let shown = without_secrets(Packet::Connect(Box::new(connect.clone())));
        core.hooks.note(Some(&info), Notice::PacketRead(shown));
    }
    let entered = enter(core, &connect, &info, proven.as_ref(), first_words.transport)?;
    let Entered { session, epoch, task, present, expiry } = entered;
    note_established(core, &info, &session, present);
    core.hooks.tell();
    core.sift(&session);
    session.flush(core.clock.now(), &core.options, &core.counters);
    if core.reviews.load(Ordering::SeqCst) != reviews || session.is_revoked() {
        core.review(&session);
    }
    if core.stop.is_cancelled() {
        let reason = ReasonCode::ServerShuttingDown;
        session.close(epoch, Closing { reason, say: true, reset: false });
    }
    let enhanced = proven.map(|proven| Enhanced::new(proven.method, peer.listener.clone()));
    let client = Client::new(core.clone(), session, info, epoch, task, expiry, enhanced);
    Ok(client.answered_as(&connect))
}

/// Asks a client by the method that it names.
///
/// # Errors
/// The method is not known, the client refused or gone, or its time over.
async fn authenticate(
    core: &Core,
    method: &ByteString,
    connect: &Connect,
    request: ConnectRequest<'_>,
    first_words: &mut FirstWords<'_>,
) -> Result<Proven, Refused> {
    let mut conversation = Conversation::begin(&*core.access, method, request, None)?;
    let mut data = connect.properties.authentication_data.clone().unwrap_or_default();
    let most = connect.properties.maximum_packet_size.unwrap_or(u32::MAX);
    let end = first_words.end;
    let all_steps = async {
        loop {
            match conversation.step(&data).await? {
                Reply::Ask(question) => {
                    data = first_words.ask(core, &question, method, most).await?;
                }
                Reply::Proven(proven) => return Ok(proven),
            }
        }
    };
    let proven = tokio::time::timeout_at(end, all_steps).await;
    let proven = proven.unwrap_or(Err(Refused::Because(ReasonCode::NotAuthorized)))?;
    // [MQTT-3.1.2-30]
    first_words.expect_nothing_more()?;
    Ok(proven)
}

/// Shows the interceptors a CONNECT.
///
/// # Errors
/// One of them refused it, or made it one that a client could not send.
fn intercept(core: &Core, connect: &mut Connect, peer: &Peer) -> Result<(), Refused> {
    let origin = Origin { address: peer.address, listener: &peer.listener };
    core.hooks.connect(connect, origin).map_err(Refused::Answered)?;
    let whole = Packet::Connect(Box::new(connect.clone()));
    if let Err(error) = whole.encode(connect.version, &mut Vec::new()) {
        tracing::error!(%error, "a hook made a CONNECT that is none");
        return Err(ReasonCode::ImplementationSpecificError.into());
    }
    Ok(())
}

/// Tells the observers who has come, and what the session holds.
fn note_established(core: &Core, info: &Arc<ClientInfo>, session: &Session, present: bool) {
    core.hooks.note(Some(info), Notice::Connected);
    for (filter, held) in session.subscriptions.lock().iter() {
        let notice = Notice::Subscribed(filter.clone().into(), held.options.qos);
        core.hooks.note(Some(info), notice);
    }
    core.hooks.note(Some(info), Notice::SessionEstablished { present });
}

/// That a will's payload is UTF-8 where it says so (MQTT 5, 3.1.3.2.3).
fn check_format(will: &Will) -> Result<(), ReasonCode> {
    match will.properties.payload_format_indicator {
        Some(1) if std::str::from_utf8(&will.payload).is_err() => {
            Err(ReasonCode::PayloadFormatInvalid)
        }
        _ => Ok(()),
    }
}

/// A session with its new connection.
struct Entered {
    session: Arc<Session>,
    epoch: u32,
    task: Arc<TaskBell>,
    /// It goes on with a session that was there.
    present: bool,
    /// How long the session outlives the connection, in ms.
    expiry: Time,
}

/// How a connection begins.
struct Beginning<'a> {
    answer: &'a Packet,
    expiry: Time,
    /// The commit that CONNACK has to wait for.
    after: Option<u64>,
}

/// Finds or makes the session, and gives it this connection.
fn enter(
    core: &Arc<Core>,
    connect: &Connect,
    info: &Arc<ClientInfo>,
    proven: Option<&Proven>,
    transport: &Arc<dyn Transport>,
) -> Result<Entered, ReasonCode> {
    // A will leaves the store in the commit in which its receivers get it.
    let _together = core.recorder.as_ref().map(|recorder| recorder.together());
    let mut sessions = core.sessions.lock();
    let known = sessions.get(&info.client_id).cloned();
    // C10: a client id belongs to whom its session belongs to.
    if known.as_ref().is_some_and(|known| known.identity != info.identity) {
        return Err(ReasonCode::NotAuthorized);
    }
    let is_over = known.as_ref().is_some_and(|known| {
        let line = known.outbound.lock();
        // An earlier run has let its subscriptions in.
        let is_restored = line.info.is_none();
        // MQTT 5, 3.1.2.11.2: it ends with the connection that is taken over.
        let is_fleeting = !line.owed.is_durable();
        drop(line);
        known.is_revoked() || is_fleeting || (is_restored && !core.allows_all_that(known, info))
    });
    let present = known.is_some() && !connect.clean_start && !is_over;
    let (session, replaced) = match known {
        Some(known) if present => (known, None),
        known => {
            if known.is_none() && sessions.len() >= core.options.max_sessions {
                return Err(ReasonCode::QuotaExceeded);
            }
            let number = core.session_numbers.fetch_add(1, Ordering::Relaxed);
            let session = Session::new(info.client_id.clone(), info.identity.clone(), number);
            sessions.insert(session.clone());
            if known.is_none() {
                core.counters.sessions.one();
            }
            (session, known)
        }
    };
    if let Some(replaced) = &replaced {
        replaced.set_stored(false);
        replaced.outbound.lock().owed.end_log();
    }
    // An earlier session of this client was perhaps forgotten just now.
    let forgotten = core.recorder.as_ref().filter(|_| !present).map(|r| r.forgotten());
    let expiry = session_expiry(core, connect, Some(&session));
    let answer = connack(connect, info, proven, present, expiry, &core.options);
    let answer = &Packet::ConnAck(Box::new(answer));
    let beginning = Beginning { answer, expiry, after: forgotten };
    let (mut entered, due) = begin(core, session, connect, info, transport, beginning);
    entered.present = present;
    // Another CONNECT of this client has waited until here.
    drop(sessions);
    if let Some(replaced) = replaced {
        end_replaced(core, &replaced);
    }
    if let Some(will) = due {
        core.publish_will(*will);
    }
    Ok(entered)
}

/// Gives a session its new connection, in the place of an old one; gives the
/// will of that one, if it is due.
fn begin(
    core: &Core,
    session: Arc<Session>,
    connect: &Connect,
    info: &Arc<ClientInfo>,
    transport: &Arc<dyn Transport>,
    beginning: Beginning<'_>,
) -> (Entered, Option<Box<PendingWill>>) {
    let now = core.clock.now();
    session.last_packet.store(now, Ordering::Relaxed);
    let mut line = session.outbound.lock();
    // [MQTT-3.1.4-3]
    if line.take_over(&core.counters) {
        core.counters.takeovers.one();
    }
    line.epoch = line.epoch.wrapping_add(1);
    let task = Arc::new(TaskBell::default());
    line.task = task.clone();
    line.transport = Some(transport.clone());
    line.closing = None;
    line.blocked = false;
    line.info = Some(info.clone());
    // [MQTT-3.1.3-9]: who is back in time has no will to be sent; one without
    // a delay is sent when its connection is taken over (MQTT 5, 3.1.4).
    let due = line.will.take().filter(|will| will.delay == 0);
    line.will = connect.will.as_ref().map(|will| Box::new(PendingWill::new(will, info)));
    // [MQTT-3.1.2-22]: one and a half times the keep alive.
    line.silence = u32::from(keep_alive(connect, &core.options)) * 1500;
    core.deadlines.set(&session, &mut line.timers, Timers::default());
    let Beginning { answer, expiry, after } = beginning;
    let after = record(core, &session, &mut line, expiry).max(after);
    // The devices are let in by a store that cannot write, too: after a crash
    // a session that was to go may then be back.
    let recorder = core.recorder.clone().filter(|recorder| !recorder.is_failing());
    let after = after.zip(recorder).map(|(commit, recorder)| Wait {
        recorder,
        session: Arc::downgrade(&session),
        commit,
    });
    let answer = Answer { packet: answer, after };
    line.owed.tells = core.hooks.tells(info);
    line.rights = line.rights.wrapping_add(1);
    if core.checks_delivery() {
        line.owed.begin_sifting();
    }
    line.owed.connect(limits(connect), expiry > 0, answer, now, &core.options, &core.counters);
    session.set_connected(true, &core.counters);
    let epoch = line.epoch;
    drop(line);
    (Entered { session, epoch, task, present: false, expiry }, due)
}

/// Notes a session that outlives its connection, or that it does so no more;
/// gives the commit that CONNACK has to wait for.
fn record(core: &Core, session: &Arc<Session>, line: &mut Line, expiry: Time) -> Option<u64> {
    let recorder = core.recorder.as_ref()?;
    if expiry == 0 {
        session.set_stored(false);
        return line.owed.end_log();
    }
    let is_new = !line.owed.is_logged();
    let commit = recorder.session(session.number, &session.record(expiry, None));
    if is_new {
        line.owed.begin_log(SessionLog::new(recorder, session, 0));
        session.set_stored(true);
        for (filter, held) in session.subscriptions.lock().iter() {
            recorder.subscribed(session.number, filter, held);
        }
    }
    if !is_new || line.will.is_some() {
        recorder.will(session.number, line.will.as_deref());
    }
    // Also of a session that is there, but not on disk yet.
    line.owed.note_expiry(expiry, commit)
}

/// Ends a session that a clean start replaced [MQTT-3.1.2-4].
fn end_replaced(core: &Core, replaced: &Arc<Session>) {
    let epoch = {
        let mut line = replaced.outbound.lock();
        if line.take_over(&core.counters) {
            core.counters.takeovers.one();
        }
        line.epoch = line.epoch.wrapping_add(1);
        line.epoch
    };
    replaced.set_connected(false, &core.counters);
    core.discard(replaced, epoch);
}

/// What a client takes, as its CONNECT says.
pub(crate) fn limits(connect: &Connect) -> ConnectionLimits {
    let properties = &connect.properties;
    ConnectionLimits {
        version: connect.version,
        receive_maximum: properties.receive_maximum.unwrap_or(u16::MAX),
        max_packet_size: max_packet_size(connect),
        topic_alias_maximum: properties.topic_alias_maximum.unwrap_or(0),
        wants_problem_information: properties.request_problem_information.unwrap_or(true),
    }
}

/// The largest packet that the client takes.
pub(crate) fn max_packet_size(connect: &Connect) -> u32 {
    connect.properties.maximum_packet_size.unwrap_or(u32::MAX)
}

/// The keep alive that counts, in seconds; the server may lower it in MQTT 5.
pub(super) fn keep_alive(connect: &Connect, options: &Options) -> u16 {
    let asked = connect.keep_alive;
    let most = options.max_keep_alive;
    let imposed = most > 0 && (asked == 0 || asked > most);
    if imposed && connect.version.is_v5() { most } else { asked }
}

/// One that no session has [MQTT-3.2.2-16].
fn assign_client_id(core: &Core) -> String {
    loop {
        let number = core.assigned.fetch_add(1, Ordering::Relaxed);
        let id = format!("auto-{:x}-{number:x}", core.clock.started());
        if !core.sessions.lock().contains(&id) {
            return id;
        }
    }
}
