//! The threads that serve sockets: one runtime each. A connection stays on the
//! thread that it was given to. They are the broker's own, whatever runtime its
//! embedder has.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::broker::Core;
use crate::connection::admit;
use crate::ebb::{self, GiveBack};
use crate::listener::{Layers, Place, Socket};
use crate::{ClientCertificate, deadlines, sys};

/// How long connections may take to end when the broker closes.
const FAREWELL: Duration = Duration::from_secs(2);

/// So many connections share a thread before another one is given any: where a
/// message's publisher and its receiver are on one thread, it wakes only that.
const TOGETHER: usize = 8;

/// Over which time it is found out whether a thread is busy.
const SPAN: Duration = Duration::from_secs(1);

/// The running threads.
pub(crate) struct Threads {
    handles: Vec<JoinHandle<()>>,
}

/// Hands accepted connections to the threads.
#[derive(Clone)]
pub(crate) struct Hands {
    threads: Arc<[Hand]>,
}

/// One thread, as who gives it connections sees it.
struct Hand {
    given: mpsc::UnboundedSender<Given>,
    connections: TaskTracker,
    /// It did something for more than half of the time, lately.
    is_busy: Arc<AtomicBool>,
}

/// A connection that counts as its thread's from now on.
struct Given {
    accepted: Accepted,
    counted: TaskTrackerToken,
}

/// What a thread needs to serve.
struct Bench {
    given: mpsc::UnboundedReceiver<Given>,
    connections: TaskTracker,
    is_busy: Arc<AtomicBool>,
}

/// A connection that was let in by the listener's limits, which bound how
/// many of them can wait here.
pub(crate) struct Accepted {
    pub(crate) socket: Socket,
    pub(crate) peer: Peer,
    pub(crate) place: Place,
}

/// Who is at the other end, as far as the listener knows.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) accepted_at: Instant,
    /// The name of the listener.
    pub(crate) listener: Arc<str>,
    /// What lies between the socket and MQTT there.
    pub(crate) layers: Layers,
    /// What the client has shown, once it has.
    pub(crate) certificate: Option<Arc<ClientCertificate>>,
}

impl Hands {
    fn new(count: usize) -> (Self, Vec<Bench>) {
        let (hands, benches): (Vec<_>, Vec<_>) = (0..count).map(|_| hand()).unzip();
        (Self { threads: hands.into() }, benches)
    }

    pub(crate) fn give(&self, accepted: Accepted) {
        let loads = self.threads.iter().map(|hand| Load {
            connections: hand.connections.len(),
            is_busy: hand.is_busy.load(Ordering::Relaxed),
        });
        let hand = &self.threads[choose(loads)];
        let counted = hand.connections.token();
        // The thread is gone: the broker is closing, and so is the socket.
        let _ = hand.given.send(Given { accepted, counted });
    }
}

fn hand() -> (Hand, Bench) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (connections, is_busy) = (TaskTracker::new(), Arc::new(AtomicBool::new(false)));
    let bench =
        Bench { given: receiver, connections: connections.clone(), is_busy: is_busy.clone() };
    (Hand { given: sender, connections, is_busy }, bench)
}

/// What a thread has to do.
#[derive(Debug, Clone, Copy)]
struct Load {
    connections: usize,
    is_busy: bool,
}

/// Which thread gets a connection: the first that has few and is not busy, else
/// the one that has the fewest.
fn choose(loads: impl Iterator<Item = Load> + Clone) -> usize {
    let has_room = |load: Load| load.connections < TOGETHER && !load.is_busy;
    let first = loads.clone().position(has_room);
    let fewest = || loads.enumerate().min_by_key(|(_, load)| load.connections);
    first.or_else(|| fewest().map(|(number, _)| number)).unwrap_or(0)
}

impl Threads {
    pub(crate) fn start(
        core: &Arc<Core>,
        give_back: Option<&GiveBack>,
    ) -> io::Result<(Self, Hands)> {
        let count = core.options.threads.max(1);
        let (hands, benches) = Hands::new(count);
        let mut handles = Vec::with_capacity(count);
        for (number, bench) in benches.into_iter().enumerate() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let core = core.clone();
            // The first thread also accepts and keeps house.
            if core.runtime.set(runtime.handle().clone()).is_ok() {
                runtime.spawn(deadlines::keep_house(core.clone()));
                runtime.spawn(sys::run(core.clone()));
            }
            if let Some(give_back) = give_back {
                runtime.spawn(ebb::watch(core.clone(), give_back.clone()));
            }
            if count > 1 {
                runtime.spawn(watch(core.clone(), bench.is_busy.clone()));
            }
            let thread = std::thread::Builder::new().name(format!("mqtt-{number}"));
            handles.push(thread.spawn(move || runtime.block_on(serve(core, bench)))?);
        }
        Ok((Self { handles }, hands))
    }

    /// None: all is done on this runtime, whose owner drives it.
    #[cfg(feature = "testing")]
    pub(crate) fn none(core: &Arc<Core>, runtime: &tokio::runtime::Handle) -> (Self, Hands) {
        let (hands, benches) = Hands::new(1);
        let _ = core.runtime.set(runtime.clone());
        runtime.spawn(deadlines::keep_house(core.clone()));
        for bench in benches {
            runtime.spawn(serve(core.clone(), bench));
        }
        (Self { handles: Vec::new() }, hands)
    }

    pub(crate) fn join(self) {
        for handle in self.handles {
            if handle.join().is_err() {
                tracing::error!("a thread of the broker failed");
            }
        }
    }
}

async fn serve(core: Arc<Core>, bench: Bench) {
    let Bench { mut given, connections, .. } = bench;
    loop {
        tokio::select! {
            Some(Given { accepted, counted }) = given.recv() => {
                let Accepted { socket, peer, place } = accepted;
                match socket.into_transport() {
                    Ok(transport) => {
                        let admission =
                            admit(core.clone(), transport, peer, place, connections.clone());
                        connections.spawn(admission);
                    }
                    Err(error) => tracing::debug!(%error, "take a connection in"),
                }
                drop(counted);
            }
            () = core.stop.cancelled() => break,
        }
    }
    // Those that nobody has begun to serve are not waited for.
    drop(given);
    connections.close();
    if tokio::time::timeout(FAREWELL, connections.wait()).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
}

/// Finds out, for the thread that runs it, whether it is busy.
async fn watch(core: Arc<Core>, is_busy: Arc<AtomicBool>) {
    let metrics = Handle::current().metrics();
    let mut ticks = tokio::time::interval(SPAN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut then, mut was_busy_for) = (Instant::now(), Duration::ZERO);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = core.stop.cancelled() => return,
        }
        let (now, busy_for) = (Instant::now(), metrics.worker_total_busy_duration(0));
        let busy = busy_for.saturating_sub(was_busy_for);
        is_busy.store(busy > now.duration_since(then) / 2, Ordering::Relaxed);
        (then, was_busy_for) = (now, busy_for);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the next one goes, of threads with so many connections.
    fn next(loads: &[(usize, bool)]) -> usize {
        choose(loads.iter().map(|&(connections, is_busy)| Load { connections, is_busy }))
    }

    #[test]
    fn few_connections_are_together_and_many_are_spread() {
        assert_eq!(next(&[(0, false)]), 0);
        assert_eq!(next(&[(TOGETHER, true)]), 0);
        assert_eq!(next(&[(TOGETHER - 1, false), (0, false)]), 0);
        assert_eq!(next(&[(TOGETHER, false), (0, false)]), 1);
        // What has left is made up for.
        assert_eq!(next(&[(TOGETHER - 1, false), (TOGETHER, false)]), 0);
        let mut threads = [(0, false); 3];
        for _ in 0..300 {
            threads[next(&threads)].0 += 1;
        }
        assert_eq!(threads.map(|(connections, _)| connections), [100; 3]);
    }

    #[test]
    fn a_busy_thread_is_given_none_that_another_has_room_for() {
        assert_eq!(next(&[(1, true), (3, false)]), 1);
        assert_eq!(next(&[(1, true), (TOGETHER, false)]), 0);
        // Both are: as many to each.
        assert_eq!(next(&[(2, true), (1, true)]), 1);
    }
}
