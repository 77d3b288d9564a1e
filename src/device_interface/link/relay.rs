//! Carries the bytes between paho-mqtt and an outside broker.
//!
//! When the write of a QoS 1 publish to its socket fails, Paho C 1.3.16 frees
//! the publish twice, and the process ends (docs/adr/0006). So paho does not
//! write to the broker's socket: it writes to a Unix socket of the relay,
//! whose other end stays open for as long as paho's client is there. When the
//! broker goes, paho reads the end of the stream, and what it still writes is
//! taken and dropped.
//!
//! The connection to the broker ends by a reset, unless the server has said
//! goodbye: a command that waits in its send buffer, because the network
//! hangs, is not to go out later (C3).

use std::fs::Permissions;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncWriteExt as _, copy, sink, split};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::dial::{Wire, reset_when_closed};

/// How long paho may take to come, and the broker to hear the last words.
const PATIENCE: Duration = Duration::from_secs(2);

/// Keeps the relay's end of paho's socket open. It is for paho's client to let
/// go of, after its own end.
pub(super) type Held = Arc<OnceLock<OwnedFd>>;

/// Where paho's client is to come, once: a socket in a folder that only this
/// user can enter, and only until it came.
pub(super) struct Door {
    listener: UnixListener,
    held: Held,
    folder: TempDir,
}

impl Door {
    pub(super) fn open() -> io::Result<Self> {
        let private = Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().permissions(private).tempdir()?;
        let listener = UnixListener::bind(socket(&folder))?;
        Ok(Self { listener, held: Held::default(), folder })
    }

    pub(super) fn socket(&self) -> PathBuf {
        socket(&self.folder)
    }

    pub(super) fn held(&self) -> Held {
        self.held.clone()
    }

    /// Lets paho in, and carries from then on.
    pub(super) async fn relay(self, wire: Wire) -> io::Result<Relay> {
        let (paho, _) = timeout(PATIENCE, self.listener.accept()).await??;
        let _ = self.held.set(paho.as_fd().try_clone_to_owned()?);
        reset_when_closed(&wire, true)?;
        let cutter = Cutter::default();
        let in_order = Arc::<AtomicBool>::default();
        let task = tokio::spawn(carry(paho, wire, cutter.clone(), in_order.clone()));
        Ok(Relay { task, in_order, _cut: cutter.cut.clone().drop_guard(), cutter })
    }
}

fn socket(folder: &TempDir) -> PathBuf {
    Path::join(folder.path(), "paho")
}

/// The relay of one connection. When it is dropped, paho reads the end of the
/// stream, and what did not go out to the broker never will.
pub(super) struct Relay {
    task: JoinHandle<io::Result<()>>,
    in_order: Arc<AtomicBool>,
    cutter: Cutter,
    _cut: DropGuard,
}

/// Cuts a relay off from elsewhere.
#[derive(Clone, Default)]
pub(super) struct Cutter {
    cut: CancellationToken,
    is_reset: CancellationToken,
}

impl Cutter {
    /// Resets the connection to the broker: when this returns, nothing goes
    /// out any more.
    pub(super) async fn cut(&self) {
        self.cut.cancel();
        self.is_reset.cancelled().await;
    }
}

impl Relay {
    pub(super) fn cutter(&self) -> Cutter {
        self.cutter.clone()
    }

    /// Nothing is on its way that may not arrive: the connection may end in
    /// order, so that the broker hears the last words.
    pub(super) fn end_in_order(&self) {
        self.in_order.store(true, Ordering::Relaxed);
    }

    /// Waits until it has ended by itself; gives what ended it, if that was a
    /// failure.
    pub(super) async fn ended(&mut self) -> Option<io::Error> {
        timeout(PATIENCE, &mut self.task).await.ok()?.ok()?.err()
    }
}

async fn carry(
    paho: UnixStream,
    wire: Wire,
    cutter: Cutter,
    may_end_in_order: Arc<AtomicBool>,
) -> io::Result<()> {
    let Cutter { cut, is_reset } = cutter;
    let is_reset = is_reset.drop_guard();
    let (mut from_paho, mut to_paho) = paho.into_split();
    let (mut from_broker, mut to_broker) = split(wire);
    let mut in_order = false;
    let result = {
        let hear = copy(&mut from_broker, &mut to_paho);
        let say = async {
            // Where it fails, the broker's last words may still be heard.
            let said = copy(&mut from_paho, &mut to_broker).await.is_ok();
            in_order = said && may_end_in_order.load(Ordering::Relaxed);
            if in_order {
                let _ = to_broker.shutdown().await;
            }
            tokio::time::sleep(PATIENCE).await;
        };
        tokio::select! {
            heard = hear => heard.map(drop),
            () = say => Ok(()),
            () = cut.cancelled() => Ok(()),
        }
    };
    let wire = from_broker.unsplit(to_broker);
    if in_order {
        let _ = reset_when_closed(&wire, false);
    }
    drop(wire);
    drop(is_reset);
    let _ = to_paho.shutdown().await;
    let _ = copy(&mut from_paho, &mut sink()).await;
    result
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::{ErrorKind, Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::runtime::Runtime;
    use tokio_util::either::Either;

    use super::*;

    /// paho's end, the relay, the broker's end.
    async fn connected(door: Door) -> (UnixStream, Relay, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (broker, _) = listener.accept().await.unwrap();
        let paho = UnixStream::connect(door.socket()).unwrap();
        let relay = door.relay(Either::Left(wire)).await.unwrap();
        (paho, relay, broker)
    }

    /// It has read the end, and then writes more than a socket holds.
    async fn writes_on(mut paho: UnixStream) {
        let written = tokio::task::spawn_blocking(move || {
            assert_eq!(paho.read(&mut [0]).unwrap(), 0);
            paho.write_all(&vec![0; 4 << 20])
        });
        written.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_is_written_after_the_broker_went_is_taken() {
        let (paho, _relay, broker) = connected(Door::open().unwrap()).await;
        broker.set_zero_linger().unwrap();
        drop(broker);
        writes_on(paho).await;
    }

    #[tokio::test]
    async fn a_relay_that_is_dropped_resets_the_broker_and_takes_what_is_written() {
        let (paho, relay, mut broker) = connected(Door::open().unwrap()).await;
        drop(relay);
        let reset = broker.read(&mut [0]).await.unwrap_err();
        assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
        writes_on(paho).await;
    }

    #[tokio::test]
    async fn who_cuts_it_off_has_reset_the_broker_when_that_returns() {
        let (paho, relay, broker) = connected(Door::open().unwrap()).await;
        relay.cutter().cut().await;
        let reset = broker.try_read(&mut [0]).unwrap_err();
        assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
        writes_on(paho).await;
    }

    #[tokio::test]
    async fn when_paho_gives_up_without_a_goodbye_nothing_goes_out_later() {
        let (paho, mut relay, mut broker) = connected(Door::open().unwrap()).await;
        drop(paho);
        let _ = relay.ended().await;
        let reset = broker.read(&mut [0]).await.unwrap_err();
        assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn the_last_words_reach_the_broker() {
        let (mut paho, mut relay, mut broker) = connected(Door::open().unwrap()).await;
        relay.end_in_order();
        paho.write_all(b"goodbye").unwrap();
        drop(paho);
        let mut heard = String::new();
        broker.read_to_string(&mut heard).await.unwrap();
        drop(broker);
        assert_eq!(heard, "goodbye");
        assert!(relay.ended().await.is_none());
    }

    #[test]
    fn while_it_is_held_a_write_does_not_fail_though_all_tasks_are_gone() {
        let runtime = Runtime::new().unwrap();
        let door = runtime.block_on(async { Door::open() }).unwrap();
        let held = door.held();
        let (mut paho, relay, mut broker) = runtime.block_on(connected(door));
        // What has come through says that the task is at work.
        paho.write_all(b"x").unwrap();
        runtime.block_on(broker.read_exact(&mut [0])).unwrap();
        drop(runtime);
        drop(relay);
        assert_eq!(paho.read(&mut [0]).unwrap(), 0);
        paho.set_nonblocking(true).unwrap();
        while let Ok(written) = paho.write(&[0; 4096]) {
            assert_ne!(written, 0);
        }
        assert_eq!(paho.write(&[0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(held);
        assert_eq!(paho.write(&[0]).unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn nobody_else_comes_to_the_door() {
        let door = Door::open().unwrap();
        let mode = door.folder.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let socket = door.socket();
        let (_paho, _relay, _broker) = connected(door).await;
        assert!(!socket.exists());
    }
}
