//! The threads that serve sockets: one runtime each. They are the broker's own,
//! whatever runtime its embedder has.

mod busy_poll;
mod coalescing;
mod load;
mod orders;
mod parking;
mod relief;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Runtime};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use load::{HALF, Load};
pub(crate) use orders::destination;
pub(crate) use parking::note_read;

use crate::broker::Core;
use crate::connection::{Served, admit, serve};
use crate::ebb::{self, GiveBack};
use crate::listener::{Layers, Place, Socket};
use crate::{ClientCertificate, deadlines, sys};

/// How long connections may take to end when the broker closes.
const FAREWELL: Duration = Duration::from_secs(2);

/// So many connections that cannot move (over TLS or WebSocket) share a thread before another one
/// is given any.
const TOGETHER: usize = 8;

/// A runtime that no thread drives yet. Where a start fails half way, it is
/// dropped on a thread of the embedder's runtime, which may not wait for it.
struct Undriven(Option<Runtime>);

impl Drop for Undriven {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The running threads.
pub(crate) struct Threads {
    handles: Vec<JoinHandle<()>>,
}

/// Hands connections to the threads.
#[derive(Clone)]
pub(crate) struct Hands {
    threads: Arc<[Arc<Hand>]>,
}

/// One thread, as who gives it connections sees it.
pub(crate) struct Hand {
    given: mpsc::UnboundedSender<Given>,
    connections: TaskTracker,
    runtime: Handle,
    load: Load,
}

/// A connection that counts as its thread's from now on.
struct Given {
    what: What,
    _counted: TaskTrackerToken,
}

enum What {
    /// It comes from a listener.
    Accepted(Box<Accepted>),
    /// It comes from another thread.
    Served(Served),
}

/// What a thread needs to serve.
struct Bench {
    given: mpsc::UnboundedReceiver<Given>,
    connections: TaskTracker,
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
    /// Has each thread look at what it does, and give connections to another
    /// where that is better.
    pub(crate) fn relieve_each_other(&self, core: &Arc<Core>) {
        if self.threads.len() == 1 {
            return;
        }
        for (number, hand) in self.threads.iter().enumerate() {
            hand.runtime.spawn(relief::watch(core.clone(), self.clone(), number));
        }
    }

    pub(crate) fn give(&self, accepted: Accepted) {
        let candidates = self
            .threads
            .iter()
            .map(|hand| Candidate { connections: hand.connections.len(), load: hand.load.get() });
        let can_move = accepted.socket.can_move() && accepted.peer.layers.are_none();
        let hand = &self.threads[choose(candidates, can_move)];
        // The thread is gone: the broker is closing, and so is the socket.
        let _ = hand.send(What::Accepted(Box::new(accepted)));
    }
}

impl Hand {
    /// Gives a thread a connection that another one has served.
    ///
    /// # Errors
    /// The thread is gone: here it is back.
    pub(crate) fn take_over(&self, served: Served) -> Result<(), Served> {
        match self.send(What::Served(served)) {
            Err(What::Served(served)) => Err(served),
            _ => Ok(()),
        }
    }

    /// What a socket joins that this thread is to look at.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    fn send(&self, what: What) -> Result<(), What> {
        let given = Given { what, _counted: self.connections.token() };
        self.given.send(given).map_err(|error| error.0.what)
    }
}

/// A thread, when it is asked who gets a connection.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    connections: usize,
    load: u32,
}

/// Which thread gets a connection: the first that has time, else the one that
/// has the fewest. One that cannot move later goes where there are few.
fn choose(candidates: impl Iterator<Item = Candidate> + Clone, can_move: bool) -> usize {
    let has_room = |candidate: Candidate| {
        candidate.load < HALF && (can_move || candidate.connections < TOGETHER)
    };
    let first = candidates.clone().position(has_room);
    let fewest = || candidates.enumerate().min_by_key(|(_, candidate)| candidate.connections);
    first.or_else(|| fewest().map(|(number, _)| number)).unwrap_or(0)
}

impl Threads {
    pub(crate) fn start(
        core: &Arc<Core>,
        give_back: Option<&GiveBack>,
    ) -> io::Result<(Self, Hands)> {
        let count = core.options.threads.max(1);
        #[cfg(target_os = "linux")]
        crate::open_files::make_room(core.options.max_connections);
        let (mut hands, mut threads) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let runtime = parking::runtime(core.options.busy_poll)?;
            let (hand, bench) = hand(runtime.handle());
            hands.push(hand);
            threads.push((Undriven(Some(runtime)), bench));
        }
        let hands = Hands { threads: hands.into() };
        let mut handles = Vec::with_capacity(count);
        for (number, (mut undriven, bench)) in threads.into_iter().enumerate() {
            let runtime = hands.threads[number].runtime();
            // The first thread also accepts and keeps house.
            if core.runtime.set(runtime.clone()).is_ok() {
                runtime.spawn(deadlines::keep_house(core.clone()));
                runtime.spawn(sys::run(core.clone()));
            }
            if let Some(give_back) = give_back {
                runtime.spawn(ebb::watch(core.clone(), give_back.clone()));
            }
            let thread = std::thread::Builder::new().name(format!("mqtt-{number}"));
            let works = core.clone();
            let spawned = thread.spawn(move || {
                if let Some(runtime) = undriven.0.take() {
                    runtime.block_on(work(works, bench));
                }
            });
            // Those that work already end.
            handles.push(spawned.inspect_err(|_| core.stop.cancel())?);
        }
        Ok((Self { handles }, hands))
    }

    /// None: all is done on this runtime, whose owner drives it.
    #[cfg(feature = "testing")]
    pub(crate) fn none(core: &Arc<Core>, runtime: &Handle) -> (Self, Hands) {
        let (hand, bench) = hand(runtime);
        let _ = core.runtime.set(runtime.clone());
        runtime.spawn(deadlines::keep_house(core.clone()));
        runtime.spawn(work(core.clone(), bench));
        (Self { handles: Vec::new() }, Hands { threads: [hand].into() })
    }

    pub(crate) fn join(self) {
        for handle in self.handles {
            if handle.join().is_err() {
                tracing::error!("a thread of the broker failed");
            }
        }
    }
}

fn hand(runtime: &Handle) -> (Arc<Hand>, Bench) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let connections = TaskTracker::new();
    let bench = Bench { given: receiver, connections: connections.clone() };
    let (runtime, load) = (runtime.clone(), Load::default());
    (Arc::new(Hand { given: sender, connections, runtime, load }), bench)
}

/// What a thread does until the broker stops, and its connections have ended.
async fn work(core: Arc<Core>, bench: Bench) {
    let Bench { mut given, connections } = bench;
    loop {
        tokio::select! {
            Some(Given { what, _counted }) = given.recv() => match what {
                What::Accepted(accepted) => take_in(&core, *accepted, &connections),
                What::Served(served) => {
                    connections.spawn(serve(served));
                }
            },
            () = core.stop.cancelled() => break,
        }
    }
    given.close();
    while let Some(Given { what, _counted }) = given.recv().await {
        match what {
            // Nobody has begun to serve it, and it is not waited for.
            What::Accepted(_) => {}
            What::Served(served) => {
                connections.spawn(serve(served));
            }
        }
    }
    connections.close();
    if tokio::time::timeout(FAREWELL, connections.wait()).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
}

fn take_in(core: &Arc<Core>, accepted: Accepted, connections: &TaskTracker) {
    let Accepted { socket, peer, place } = accepted;
    match socket.into_transport() {
        Ok(transport) => {
            connections.spawn(admit(core.clone(), transport, peer, place, connections.clone()));
        }
        Err(error) => tracing::debug!(%error, "take a connection in"),
    }
}

#[cfg(test)]
mod choice {
    use super::*;

    /// Where the next one goes, of threads with so many connections and loads.
    fn next(threads: &[(usize, u32)], can_move: bool) -> usize {
        let candidates = threads.iter().map(|&(connections, load)| Candidate { connections, load });
        choose(candidates, can_move)
    }

    #[test]
    fn those_that_can_move_are_together() {
        assert_eq!(next(&[(0, 0), (0, 0)], true), 0);
        assert_eq!(next(&[(10_000, HALF - 1), (0, 0)], true), 0);
        assert_eq!(next(&[(10_000, HALF), (0, 0)], true), 1);
        // Both have enough to do: as many to each.
        assert_eq!(next(&[(2, HALF), (1, HALF)], true), 1);
    }

    #[test]
    fn of_those_that_cannot_few_are_together_and_many_are_spread() {
        assert_eq!(next(&[(0, 0)], false), 0);
        assert_eq!(next(&[(TOGETHER - 1, 0), (0, 0)], false), 0);
        assert_eq!(next(&[(TOGETHER, 0), (0, 0)], false), 1);
        assert_eq!(next(&[(1, HALF), (3, 0)], false), 1);
        // What has left is made up for.
        assert_eq!(next(&[(TOGETHER - 1, 0), (TOGETHER, 0)], false), 0);
        let mut threads = [(0, 0); 3];
        for _ in 0..300 {
            threads[next(&threads, false)].0 += 1;
        }
        assert_eq!(threads.map(|(connections, _)| connections), [100; 3]);
    }
}
