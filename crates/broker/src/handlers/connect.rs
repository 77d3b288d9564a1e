//! CONNECT (MQTT 5, 3.1): who is let in, and with which session.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use latchlight_mqtt::{ConnAck, Connect, Packet, Properties, ProtocolVersion, ReasonCode, Will};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::Client;
use crate::access::ConnectRequest;
use crate::broker::Core;
use crate::deadlines::What;
use crate::live::Ticket;
use crate::message::Message;
use crate::router::Batch;
use crate::session::ConnectionLimits;
use crate::session_handle::{Line, PendingWill, Session};
use crate::transport::Transport;
use crate::{ClientInfo, Options, Time};

/// How long a session outlives its connection, in ms, within the bounds.
pub(super) fn expiry(seconds: u32, options: &Options) -> Time {
    let most = u64::try_from(options.max_session_expiry.as_millis()).unwrap_or(u64::MAX);
    (u64::from(seconds) * 1000).min(most)
}

/// Lets a client in and answers it.
///
/// # Errors
/// It is not let in; the caller answers with the reason.
pub(crate) async fn establish(
    core: &Arc<Core>,
    connect: Connect,
    stream: &Arc<TcpStream>,
    address: SocketAddr,
) -> Result<Client, ReasonCode> {
    // MQTT 5, 4.12.0-1: no method is known here.
    if connect.properties.authentication_method.is_some() {
        return Err(ReasonCode::BadAuthenticationMethod);
    }
    let assigned = connect.client_id.is_empty();
    let client_id: Arc<str> = match assigned {
        true => assign_client_id(core).into(),
        false => (*connect.client_id).into(),
    };
    let request = ConnectRequest {
        client_id: &client_id,
        username: connect.username.as_deref(),
        password: connect.password.as_deref(),
        address: Some(address),
        version: connect.version,
    };
    let identity = core.access.authenticate(&request).await?;
    let info = Arc::new(ClientInfo {
        client_id: client_id.clone(),
        identity,
        address: Some(address),
        version: connect.version,
        connected_at: SystemTime::now(),
    });
    if let Some(will) = &connect.will {
        core.access.authorize_will(&info, will)?;
    }
    let entered = enter(core, &connect, &info, stream)?;
    let session = &entered.session;
    for ticket in entered.lost {
        ticket.lost();
    }
    let keep_alive = keep_alive(&connect, &core.options);
    let now = core.clock.now();
    if keep_alive > 0 {
        // [MQTT-3.1.2-22]: one and a half times.
        let interval = u64::from(keep_alive) * 1500;
        let what = What::KeepAlive(interval);
        core.deadlines.add(now + interval, what, session, entered.epoch);
    }
    for observer in &core.observers {
        observer.connected(&info);
        for (filter, qos) in &entered.subscriptions {
            observer.subscribed(&info, filter, *qos);
        }
    }
    session.flush(now, &core.options, &core.counters);
    Ok(Client {
        core: core.clone(),
        session: session.clone(),
        info,
        version: connect.version,
        epoch: entered.epoch,
        wake: entered.wake,
        session_expiry: session_expiry(&connect, &core.options),
        aliases: Vec::new(),
        acks: Vec::new(),
        batch: Batch::default(),
        looked_at_carry: false,
    })
}

/// A session with its new connection.
struct Entered {
    session: Arc<Session>,
    epoch: u64,
    wake: Arc<Notify>,
    lost: Vec<Arc<Ticket>>,
    subscriptions: Vec<(String, latchlight_mqtt::QoS)>,
}

/// Finds or makes the session, and gives it this connection. CONNACK is the
/// first thing in its output [MQTT-3.2.0-1].
fn enter(
    core: &Arc<Core>,
    connect: &Connect,
    info: &Arc<ClientInfo>,
    stream: &Arc<TcpStream>,
) -> Result<Entered, ReasonCode> {
    let mut sessions = core.sessions.lock();
    let known = sessions.get(&*info.client_id).cloned();
    // C10: a client id belongs to whom its session belongs to.
    if known.as_ref().is_some_and(|known| known.identity != info.identity) {
        return Err(ReasonCode::NotAuthorized);
    }
    let present = known.is_some() && !connect.clean_start;
    let (session, discarded) = match known {
        Some(known) if present => (known, None),
        known => {
            if known.is_none() && sessions.len() >= core.options.max_sessions {
                return Err(ReasonCode::QuotaExceeded);
            }
            let session = Session::new(info.client_id.clone(), info.identity.clone());
            sessions.insert((*info.client_id).into(), session.clone());
            if known.is_none() {
                core.counters.sessions.one();
            }
            (session, known)
        }
    };
    let answer = Packet::ConnAck(Box::new(connack(connect, info, present, &core.options)));
    let (epoch, wake, mut lost) = begin(core, &session, connect, info, stream, &answer);
    // Another CONNECT of this client has waited until here.
    drop(sessions);
    let before = session.will.lock().take();
    match (discarded, before) {
        (Some(old), _) => lost.extend(end_discarded(core, &old)),
        // [MQTT-3.1.3-9]: who is back in time has no will to be sent; a will
        // without a delay is sent when its connection is taken over.
        (None, Some(will)) if will.delay == 0 => core.publish_message(&will.message),
        (None, _) => {}
    }
    *session.will.lock() = connect.will.as_ref().map(|will| pending(will, core.clock.now()));
    let held = session.subscriptions.lock();
    let subscriptions =
        held.iter().map(|(filter, options)| (filter.to_string(), options.qos)).collect();
    drop(held);
    Ok(Entered { session, epoch, wake, lost, subscriptions })
}

/// Gives a session its new connection, in the place of an old one.
fn begin(
    core: &Core,
    session: &Session,
    connect: &Connect,
    info: &Arc<ClientInfo>,
    stream: &Arc<TcpStream>,
    answer: &Packet,
) -> (u64, Arc<Notify>, Vec<Arc<Ticket>>) {
    let now = core.clock.now();
    session.last_packet.store(now, Ordering::Relaxed);
    let wake = Arc::new(Notify::new());
    let mut line = session.outbound.lock();
    let lost = take_over(core, &mut line);
    line.epoch += 1;
    line.wake = wake.clone();
    let transport: Arc<dyn Transport> = stream.clone();
    line.transport = Some(transport);
    line.closing = None;
    line.blocked = false;
    line.info = Some(info.clone());
    let durable = session_expiry(connect, &core.options) > 0;
    line.owed.connect(limits(connect), durable, answer, now, &core.options, &core.counters);
    session.set_connected(true);
    (line.epoch, wake, lost)
}

/// Ends the connection that a session has; its task closes it with 0x8E
/// [MQTT-3.1.4-3]. Gives the live publishes that are lost with it.
fn take_over(core: &Core, line: &mut Line) -> Vec<Arc<Ticket>> {
    if !line.owed.is_connected() {
        return Vec::new();
    }
    core.counters.takeovers.one();
    let lost = line.owed.disconnect();
    if let Some(transport) = line.transport.take()
        && !lost.is_empty()
    {
        transport.reset_when_closed();
    }
    line.wake.notify_one();
    lost
}

/// Ends a session that a clean start replaced [MQTT-3.1.2-4].
fn end_discarded(core: &Core, old: &Arc<Session>) -> Vec<Arc<Ticket>> {
    let (lost, epoch) = {
        let mut line = old.outbound.lock();
        let lost = take_over(core, &mut line);
        line.epoch += 1;
        (lost, line.epoch)
    };
    old.set_connected(false);
    core.discard(old, epoch);
    lost
}

fn limits(connect: &Connect) -> ConnectionLimits {
    let properties = &connect.properties;
    ConnectionLimits {
        version: connect.version,
        receive_maximum: properties.receive_maximum.unwrap_or(u16::MAX),
        max_packet_size: properties.maximum_packet_size.map_or(usize::MAX, |size| size as usize),
    }
}

fn session_expiry(connect: &Connect, options: &Options) -> Time {
    match connect.version {
        ProtocolVersion::V5 => {
            expiry(connect.properties.session_expiry_interval.unwrap_or(0), options)
        }
        // 3.1.1: [MQTT-3.1.2-5], within the bound.
        _ if connect.clean_start => 0,
        _ => expiry(u32::MAX, options),
    }
}

/// The keep alive that counts, in seconds; the server may lower it in MQTT 5.
fn keep_alive(connect: &Connect, options: &Options) -> u16 {
    let asked = connect.keep_alive;
    let most = options.max_keep_alive;
    let imposed = most > 0 && (asked == 0 || asked > most);
    if imposed && connect.version.is_v5() { most } else { asked }
}

fn connack(connect: &Connect, info: &ClientInfo, present: bool, options: &Options) -> ConnAck {
    let mut answer = ConnAck::new(present, ReasonCode::Success);
    if !connect.version.is_v5() {
        return answer;
    }
    let mut properties = Properties::new();
    let values = properties.make_mut();
    values.receive_maximum = Some(options.receive_maximum.max(1));
    values.topic_alias_maximum = Some(options.topic_alias_maximum);
    values.maximum_packet_size = Some(options.max_packet_size.max(1));
    if connect.client_id.is_empty() {
        // [MQTT-3.2.2-16]
        values.assigned_client_identifier = Some((*info.client_id).into());
    }
    let keep_alive = keep_alive(connect, options);
    if keep_alive != connect.keep_alive {
        // [MQTT-3.2.2-21]
        values.server_keep_alive = Some(keep_alive);
    }
    let asked = connect.properties.session_expiry_interval.unwrap_or(0);
    let given = session_expiry(connect, options) / 1000;
    if u64::from(asked) != given {
        values.session_expiry_interval = Some(u32::try_from(given).unwrap_or(u32::MAX));
    }
    answer.properties = properties;
    answer
}

fn assign_client_id(core: &Core) -> String {
    let number = core.assigned.fetch_add(1, Ordering::Relaxed);
    format!("auto-{:x}-{number:x}", core.started)
}

fn pending(will: &Will, now: Time) -> PendingWill {
    let mut properties = will.properties.clone();
    let delay = u64::from(properties.will_delay_interval.unwrap_or(0)) * 1000;
    let interval = properties.message_expiry_interval;
    if !properties.is_empty() {
        properties.make_mut().will_delay_interval = None;
    }
    let message = Message {
        topic: will.topic.as_byte_string().clone(),
        payload: will.payload.clone(),
        qos: will.qos,
        retain: will.retain,
        properties,
        // It begins when the will is published; see `publish_message`.
        expires_at: interval.map(|seconds| now + u64::from(seconds) * 1000),
    };
    PendingWill { message: Arc::new(message), delay }
}
