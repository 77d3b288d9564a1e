//! What stands between the server and its database: it passes on what is said,
//! or swallows it, as a network does that is cut without anybody being told.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::postgres_server::Cluster;

const SOCKET: &str = ".s.PGSQL.5432";

pub(super) struct Proxy {
    folder: tempfile::TempDir,
    swallows: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(super) fn before(cluster: &Cluster) -> Self {
        let url = cluster.url("postgres");
        let target = Path::new(url.split_once('=').unwrap().1).join(SOCKET);
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        let (swallows, told) = watch::channel(false);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, target.clone(), told.clone()));
            }
        });
        Self { folder, swallows, accepting }
    }

    pub(super) fn url(&self, name: &str) -> String {
        format!("postgres://latchlight@localhost/{name}?host={}", self.folder.path().display())
    }

    pub(super) fn swallow(&self) {
        self.swallows.send_replace(true);
    }

    /// Passes on what comes; connections from before are cut.
    pub(super) fn flow(&self) {
        self.swallows.send_replace(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(mut client: UnixStream, target: PathBuf, mut told: watch::Receiver<bool>) {
    if *told.borrow_and_update() {
        let _ = told.wait_for(|swallows| !swallows).await;
        return;
    }
    let Ok(mut server) = UnixStream::connect(target).await else { return };
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        () = copy(from_client, to_server) => return,
        () = copy(from_server, to_client) => return,
        _ = told.wait_for(|swallows| *swallows) => {}
    }
    let _ = told.wait_for(|swallows| !swallows).await;
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let mut bytes = vec![0; 8192];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}
