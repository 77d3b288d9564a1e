//! The threads that serve sockets: one runtime each, connections handed out
//! in turn. They are the broker's own, whatever runtime its embedder has.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::broker::Core;
use crate::ebb::{self, GiveBack};
use crate::listener::{Layers, Place, Socket};
use crate::{ClientCertificate, connection, deadlines, sys};

/// How long connections may take to end when the broker closes.
const FAREWELL: Duration = Duration::from_secs(2);

/// The running threads.
pub(crate) struct Threads {
    handles: Vec<JoinHandle<()>>,
}

/// Hands accepted connections to the threads in turn.
#[derive(Clone)]
pub(crate) struct Hands {
    threads: Arc<[mpsc::UnboundedSender<Accepted>]>,
    turn: Arc<AtomicUsize>,
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
    pub(crate) fn give(&self, accepted: Accepted) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.threads.len();
        // The thread is gone: the broker is closing, and so is the socket.
        let _ = self.threads[turn].send(accepted);
    }
}

impl Threads {
    pub(crate) fn start(
        core: &Arc<Core>,
        give_back: Option<&GiveBack>,
    ) -> io::Result<(Self, Hands)> {
        let count = core.options.threads.max(1);
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..count).map(|_| mpsc::unbounded_channel()).unzip();
        let hands = Hands { threads: senders.into(), turn: Arc::default() };
        let mut handles = Vec::with_capacity(count);
        for (number, receiver) in receivers.into_iter().enumerate() {
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
            let thread = std::thread::Builder::new().name(format!("mqtt-{number}"));
            handles.push(thread.spawn(move || runtime.block_on(serve(core, receiver)))?);
        }
        Ok((Self { handles }, hands))
    }

    /// None: all is done on this runtime, whose owner drives it.
    #[cfg(feature = "testing")]
    pub(crate) fn none(core: &Arc<Core>, runtime: &tokio::runtime::Handle) -> (Self, Hands) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let _ = core.runtime.set(runtime.clone());
        runtime.spawn(deadlines::keep_house(core.clone()));
        runtime.spawn(serve(core.clone(), receiver));
        (Self { handles: Vec::new() }, Hands { threads: [sender].into(), turn: Arc::default() })
    }

    pub(crate) fn join(self) {
        for handle in self.handles {
            if handle.join().is_err() {
                tracing::error!("a thread of the broker failed");
            }
        }
    }
}

async fn serve(core: Arc<Core>, mut accepted: mpsc::UnboundedReceiver<Accepted>) {
    let connections = TaskTracker::new();
    loop {
        tokio::select! {
            Some(Accepted { socket, peer, place }) = accepted.recv() => {
                match socket.into_transport() {
                    Ok(transport) => {
                        connections.spawn(connection::run(core.clone(), transport, peer, place));
                    }
                    Err(error) => tracing::debug!(%error, "take a connection in"),
                }
            }
            () = core.stop.cancelled() => break,
        }
    }
    connections.close();
    if tokio::time::timeout(FAREWELL, connections.wait()).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
}
