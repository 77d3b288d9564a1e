//! One connection: its transport, from CONNECT to the last byte. The session
//! behind it is free of I/O; this is where the two meet.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use latchlight_mqtt::{DecodeError, ReasonCode};
use tokio::io::{Interest, Ready};
use tokio_util::task::TaskTracker;

use crate::broker::Core;
use crate::farewell::finish;
use crate::handlers::Client;
use crate::intake::{go_on, read};
use crate::limits::Blame;
use crate::line::Closing;
use crate::listener::{Place, lay_over};
use crate::opening::open;
use crate::read_buffer::{CHUNK, Carry};
use crate::threads::{Hand, Peer, destination};
use crate::transport::Transport;

/// What a read counts at least, towards the chunk after which the others come
/// in between.
const LEAST_READ: usize = CHUNK / 8;

/// Why a connection ends.
#[derive(Debug)]
pub(crate) enum End {
    /// The socket failed, or the peer closed it without a word.
    Gone,
    /// The client said DISCONNECT.
    Said(ReasonCode),
    /// The broker closes it.
    Closing(Closing),
    /// The same for bytes that are no packet.
    Broken(DecodeError),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl From<DecodeError> for End {
    fn from(error: DecodeError) -> Self {
        Self::Broken(error)
    }
}

impl End {
    /// What it is called.
    pub(crate) fn reason(&self) -> ReasonCode {
        match self {
            Self::Gone => ReasonCode::UnspecifiedError,
            Self::Said(reason) => *reason,
            Self::Closing(closing) => closing.reason,
            Self::Broken(error) => error.reason(),
        }
    }

    /// How the broker closes, where it does.
    pub(crate) fn closing(&self) -> Option<Closing> {
        match self {
            Self::Gone | Self::Said(_) => None,
            Self::Closing(closing) => Some(*closing),
            Self::Broken(error) => {
                Some(Closing { reason: error.reason(), say: true, reset: false })
            }
        }
    }

    /// What is wrong with the client's bytes.
    pub(crate) fn error(&self) -> Option<DecodeError> {
        match self {
            Self::Broken(error) => Some(*error),
            _ => None,
        }
    }

    /// The client said what it may not.
    pub(crate) fn protocol(reason: ReasonCode) -> Self {
        Self::Closing(Closing { reason, say: true, reset: false })
    }
}

/// Takes a connection in: what stands over the socket, and CONNECT; what serves
/// the client from then on is a task of its own, as small as it can be: there
/// are many connections that say nothing. Who fails may be banned for it.
pub(crate) async fn admit(
    core: Arc<Core>,
    socket: Arc<dyn Transport>,
    mut peer: Peer,
    mut place: Place,
    connections: TaskTracker,
) {
    let opened = async {
        let laid = lay_over(&core, socket, &mut peer, &mut place).await;
        let (transport, end) = laid.ok_or(Blame::Client)?;
        let (client, carry) = open(&core, &transport, &peer, end).await?;
        Ok((transport, client, carry))
    };
    let opened = tokio::select! {
        opened = opened => opened,
        () = core.stop.cancelled() => Err(Blame::Broker),
    };
    match opened {
        Ok((transport, client, carry)) => {
            connections.spawn(serve(Served { client: Box::new(client), transport, carry, place }));
        }
        Err(Blame::Broker) => {}
        Err(Blame::Client) => {
            core.bans.failed(peer.address, core.clock.now(), &core.counters);
        }
    }
}

/// A connection whose client was let in, with all that its task holds.
pub(crate) struct Served {
    // A task takes a multiple of 128 bytes, and an allocator a power of two.
    client: Box<Client>,
    transport: Arc<dyn Transport>,
    carry: Carry,
    place: Place,
}

/// From the answer to CONNECT to the last byte, or until another thread takes
/// it over.
pub(crate) fn serve(served: Served) -> impl Future<Output = ()> {
    let Served { mut client, mut transport, mut carry, mut place } = served;
    // An async fn would hold all of it twice.
    async move {
        let end = loop {
            let done = match next(&mut client, &carry) {
                Ok(Step::LookAgain) => {
                    tokio::task::yield_now().await;
                    Ok(false)
                }
                Ok(Step::GoOn) => {
                    tokio::task::yield_now().await;
                    go_on(&mut client, &mut carry).map(|()| false)
                }
                Ok(Step::Pause { blocked }) => {
                    Box::pin(pause(&mut client, &*transport, blocked)).await
                }
                Ok(Step::Wait(interest)) => {
                    let ready =
                        Wait { client: &mut client, transport: &*transport, interest }.await;
                    take_up(&mut client, &*transport, &mut carry, ready)
                }
                Err(end) => Err(end),
            };
            let is_over = match done {
                Ok(is_over) => is_over,
                Err(end) => break end,
            };
            if let Some(to) = destination(client.session.number)
                && let Some(transport_there) = move_line(&client, &*transport, &to)
            {
                let served = Served { client, transport: transport_there, carry, place };
                let Err(back) = to.take_over(served) else { return };
                Served { client, transport, carry, place } = back;
            }
            if is_over {
                // The others of this thread come in between.
                tokio::task::yield_now().await;
            }
        };
        client.core.pauses.end(client.session.number);
        client.count_partial(0);
        Box::pin(finish(*client, transport, end)).await;
        // Others come in its place only when it is gone.
        drop(place);
    }
}

/// Lays the session's line to another thread, from which on that is the one to
/// serve it; not, where its transport cannot go, or another connection has it.
fn move_line(client: &Client, transport: &dyn Transport, to: &Hand) -> Option<Arc<dyn Transport>> {
    let there = transport.moved_to(to.runtime())?;
    let mut line = client.session.outbound.lock();
    let is_its_own = line.epoch == client.epoch && line.transport.is_some();
    is_its_own.then(|| line.transport.insert(there).clone())
}

/// What a connection's task does next.
enum Step {
    /// Others come in between, and then there is more to send.
    LookAgain,
    /// Others come in between, and then there are more packets to handle.
    GoOn,
    /// It waits for slow readers.
    Pause { blocked: bool },
    /// It waits for its transport, or a ring of its bell.
    Wait(Interest),
}

/// What is to be done now.
fn next(client: &mut Client, carry: &Carry) -> Result<Step, End> {
    // What came about since the last packets: by others, or while writing.
    client.core.hooks.tell();
    let Look { blocked, has_more } = look(client)?;
    if has_more {
        client.session.flush(client.core.clock.now(), &client.core.options, &client.core.counters);
        return Ok(Step::LookAgain);
    }
    if is_paused(client) {
        return Ok(Step::Pause { blocked });
    }
    if carry.has_more() {
        return Ok(Step::GoOn);
    }
    let readable = Interest::READABLE;
    Ok(Step::Wait(if blocked { readable | Interest::WRITABLE } else { readable }))
}

/// Waits for the transport, or a ring of the task's bell, which gives nothing.
struct Wait<'a> {
    client: &'a mut Client,
    transport: &'a dyn Transport,
    interest: Interest,
}

impl Future for Wait<'_> {
    type Output = io::Result<Option<Ready>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let rung = self.client.task.poll_rung(context);
        match self.transport.poll_ready(context, self.interest) {
            Poll::Ready(ready) => Poll::Ready(ready.map(Some)),
            Poll::Pending if rung.is_ready() => Poll::Ready(Ok(None)),
            Poll::Pending => {
                // It has to wait: the others have their turn.
                self.client.turn = 0;
                Poll::Pending
            }
        }
    }
}

/// Does what the transport is ready for; true: the others of this thread have
/// waited long enough.
fn take_up(
    client: &mut Client,
    transport: &dyn Transport,
    carry: &mut Carry,
    ready: io::Result<Option<Ready>>,
) -> Result<bool, End> {
    let Some(ready) = ready? else { return Ok(false) };
    write(client, ready);
    if !ready.is_readable() {
        return Ok(false);
    }
    client.turn += read(client, transport, carry)?.max(LEAST_READ);
    // Of a socket that always has more, the runtime would never look away.
    let is_over = client.turn >= CHUNK;
    if is_over {
        client.turn = 0;
    }
    Ok(is_over)
}

/// How a connection's line is.
struct Look {
    blocked: bool,
    has_more: bool,
}

/// Whether the connection is to end, and what waits to be written.
fn look(client: &Client) -> Result<Look, End> {
    let line = client.session.outbound.lock();
    if line.epoch != client.epoch {
        let reason = ReasonCode::SessionTakenOver;
        return Err(End::Closing(Closing { reason, say: true, reset: false }));
    }
    match line.closing {
        Some(closing) => Err(End::Closing(closing)),
        None => Ok(Look { blocked: line.blocked, has_more: line.has_more }),
    }
}

/// Whether the client waits for slow readers; it does so for a limited time.
fn is_paused(client: &mut Client) -> bool {
    let Client { core, session, batch, .. } = client;
    if !batch.has_met_slow() {
        return false;
    }
    if !batch.is_congested(core, session) {
        if batch.paused_at.take().is_some() {
            core.pauses.end(session.number);
        }
        batch.rest();
        return false;
    }
    let now = core.clock.now();
    let since = *batch.paused_at.get_or_insert(now);
    if u128::from(now.saturating_sub(since)) < core.options.max_pause.as_millis() {
        return true;
    }
    batch.forget_slow();
    core.pauses.end(session.number);
    batch.paused_at = None;
    let is_congested = batch.is_congested(core, session);
    batch.rest();
    is_congested
}

/// The client's messages have met a slow reader: until that has caught up, or
/// stalled, nothing more is read of the client; it still gets what is its own.
async fn pause(client: &mut Client, transport: &dyn Transport, blocked: bool) -> Result<bool, End> {
    let ready = tokio::select! {
        ready = transport.ready(Interest::WRITABLE), if blocked => ready?,
        () = client.batch.drained() => Ready::EMPTY,
        () = client.task.rung() => Ready::EMPTY,
    };
    write(client, ready);
    // It is not the client that is silent.
    client.session.last_packet.store(client.core.clock.now(), Ordering::Relaxed);
    Ok(false)
}

fn write(client: &Client, ready: Ready) {
    if ready.is_writable() {
        let Client { core, session, .. } = client;
        session.flush(core.clock.now(), &core.options, &core.counters);
    }
}
