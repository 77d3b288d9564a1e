//! What comes in by a connection: read, and handled in batches, each within a
//! turn.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Instant;

use latchlight_mqtt::{Framing, PacketType, ReasonCode, frame};

use crate::Time;
use crate::connection::End;
use crate::handlers::{self, Client, Next};
use crate::read_buffer::{Carry, Read, Received, Taken};
use crate::threads::note_read;
use crate::transport::Transport;

/// For how long a connection's packets are handled before the others of its
/// thread come in between, in ms.
const TURN: Time = 5;

/// After how many messages and acknowledgements the clock is looked at for that,
/// or fewer where they cost more; after packets of other types it always is.
const LOOK_AFTER: usize = 16;

/// Less than this, where it reaches many, is not written before it was looked
/// whether more has come.
const LITTLE: usize = 8 * 1024;

/// Reads and handles what came; gives how many bytes that were.
pub(crate) fn read(
    client: &mut Client,
    transport: &dyn Transport,
    carry: &mut Carry,
) -> Result<usize, End> {
    let mut came = 0;
    let handled = in_batch(client, |client| take_what_came(client, transport, carry, &mut came));
    if came > 0 {
        note_read(client.session.number, came);
        client.core.counters.received.bytes.add(came as u64);
        client.session.inbound.lock().received.bytes += came as u64;
    }
    if handled? == Read::End {
        return Err(End::Gone);
    }
    count_partial(client, carry)?;
    Ok(came)
}

/// Counts what is held of a packet that is not whole.
fn count_partial(client: &mut Client, carry: &Carry) -> Result<(), End> {
    let most = client.core.options.max_partial_bytes as u64;
    let has_grown = client.count_partial(carry.partial());
    if has_grown && client.core.counters.partial_bytes.get() > most {
        return Err(End::protocol(ReasonCode::QuotaExceeded));
    }
    Ok(())
}

/// Reads once and handles what came. Where little reaches many, to write it
/// takes so long that it is worth to look whether more has come, which goes with
/// it, for as long as the turn lasts.
fn take_what_came(
    client: &mut Client,
    transport: &dyn Transport,
    carry: &mut Carry,
    came: &mut usize,
) -> Result<Read, End> {
    let first = carry.read(transport, |bytes| take_packets(client, bytes, None))?;
    let Read::Some(read) = first else { return Ok(first) };
    *came += read;
    let mut end = None;
    while *came < LITTLE
        && client.batch.reaches_many()
        && !(carry.has_more()
            || client.batch.is_full(&client.core.options)
            || client.batch.has_met_slow())
    {
        // There were packets, and that is when the turn began.
        let began = || client.session.last_packet.load(Ordering::Relaxed);
        let end = *end.get_or_insert_with(|| began() + TURN);
        if client.core.clock.now() >= end {
            break;
        }
        let more = carry.read_more(transport, |bytes| take_packets(client, bytes, Some(end)))?;
        // Its end is seen once more, at the next read.
        let Read::Some(read) = more else { break };
        *came += read;
    }
    Ok(first)
}

/// Handles packets that came before.
pub(crate) fn go_on(client: &mut Client, carry: &mut Carry) -> Result<(), End> {
    in_batch(client, |client| carry.go_on(|bytes| take_packets(client, bytes, None)))?;
    count_partial(client, carry)
}

/// Handles packets as one batch.
fn in_batch<T>(
    client: &mut Client,
    handle: impl FnOnce(&mut Client) -> Result<T, End>,
) -> Result<T, End> {
    let began = client.core.latencies.as_ref().map(|_| Instant::now());
    // A hook that panics ends its client, not the broker.
    let handled = catch_unwind(AssertUnwindSafe(|| handle(client))).unwrap_or_else(|_| {
        tracing::error!(client = ?client.info.client_id, "handling a packet panicked");
        Err(End::protocol(ReasonCode::UnspecifiedError))
    });
    let all_well = client.core.hooks.tell();
    // What the good packets before a bad one brought about goes out.
    let messages = client.flush();
    if let (Some(latencies), Some(began), 1..) = (&client.core.latencies, began, messages) {
        latencies.publish.note(began.elapsed(), messages);
    }
    match handled {
        Ok(_) if !all_well => Err(End::protocol(ReasonCode::UnspecifiedError)),
        handled => handled,
    }
}

/// Handles the whole packets, as many as fit into a turn, which ends then if it
/// has begun.
fn take_packets(
    client: &mut Client,
    received: Received<'_>,
    end: Option<Time>,
) -> Result<Taken, End> {
    let bytes = received.bytes;
    let limit = client.core.options.max_packet_size as usize;
    let now = client.core.clock.now();
    let end = end.unwrap_or(now + TURN);
    let (mut handled, mut work) = (0, 0);
    loop {
        match frame(&bytes[handled..], limit)? {
            Framing::Incomplete { needed } => {
                if handled > 0 {
                    client.session.last_packet.store(now, Ordering::Relaxed);
                }
                let missing = if handled < bytes.len() { needed } else { 0 };
                return Ok(Taken { handled, missing, has_more: false });
            }
            Framing::Complete(header) => {
                let packet = &bytes[handled..handled + header.total_len()];
                handled += packet.len();
                let packet = Received { bytes: packet, ..received };
                match handlers::dispatch(client, packet, header, now)? {
                    Next::Go => {}
                    Next::End(end) => return Err(end),
                }
                work += 1 + std::mem::take(&mut client.batch.work);
                let is_full = client.batch.is_full(&client.core.options);
                if is_quick(header.packet_type()?) && work < LOOK_AFTER && !is_full {
                    continue;
                }
                work = 0;
                if is_full || client.core.clock.now() >= end {
                    client.session.last_packet.store(now, Ordering::Relaxed);
                    let has_more = handled < bytes.len();
                    return Ok(Taken { handled, missing: 0, has_more });
                }
            }
        }
    }
}

/// Whether packets of this type take about as long as the next one, and not
/// long.
fn is_quick(packet: PacketType) -> bool {
    use PacketType::{PubAck, PubComp, PubRec, PubRel, Publish};
    matches!(packet, Publish | PubAck | PubRec | PubRel | PubComp)
}
