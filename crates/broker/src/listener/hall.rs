//! The listeners of a running broker.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::accept::Accepting;
use super::places::Places;
use super::{Listener, ListenerInfo};
use crate::broker::Core;
use crate::threads::Hands;

/// All listeners; they share the limits.
pub(crate) struct Hall {
    core: Arc<Core>,
    hands: Hands,
    places: Arc<Places>,
    running: Mutex<Vec<Running>>,
}

struct Running {
    info: ListenerInfo,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Hall {
    pub(crate) fn new(core: Arc<Core>, hands: Hands) -> Self {
        let places = Arc::new(Places::new(&core.options));
        Self { core, hands, places, running: Mutex::default() }
    }

    /// Begins to accept.
    ///
    /// # Errors
    /// The name is taken, the listener is none, or the broker has stopped.
    pub(crate) fn add(&self, listener: Listener) -> io::Result<ListenerInfo> {
        let Some(runtime) = self.core.runtime.get().filter(|_| !self.core.stop.is_cancelled())
        else {
            return Err(io::Error::other("the broker has stopped"));
        };
        let address = listener.source.address()?;
        let name = listener.name.unwrap_or_else(|| listener.layers.name(&address));
        let mut running = self.running.lock();
        if running.iter().any(|running| running.info.name == name) {
            let why = format!("there is a listener {name:?} already");
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
        }
        let acceptor = {
            let _entered = runtime.enter();
            listener.source.listen()?
        };
        let stop = self.core.stop.child_token();
        let accepting = Accepting {
            core: self.core.clone(),
            name: name.clone(),
            layers: listener.layers,
            hands: self.hands.clone(),
            places: self.places.clone(),
            stop: stop.clone(),
        };
        let task = runtime.spawn(accepting.run(acceptor));
        let info = ListenerInfo { name, address };
        running.push(Running { info: info.clone(), stop, task });
        Ok(info)
    }

    /// Ends a listener; its socket is closed when this is done. False: there
    /// is none of this name.
    pub(crate) async fn remove(&self, name: &str) -> bool {
        let running = {
            let mut running = self.running.lock();
            let at = running.iter().position(|running| &*running.info.name == name);
            at.map(|at| running.remove(at))
        };
        let Some(running) = running else { return false };
        running.stop.cancel();
        // It fails where the broker was closed meanwhile, which ends it as well.
        let _ = running.task.await;
        true
    }

    /// All of them, in the order in which they were added.
    pub(crate) fn list(&self) -> Vec<ListenerInfo> {
        self.running.lock().iter().map(|running| running.info.clone()).collect()
    }
}
