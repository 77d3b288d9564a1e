//! The socket: in the data folder, for the server's own user alone.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::net::UnixStream;

/// The socket's name in the data folder.
pub const FILE: &str = "latchlight.sock";

/// The longest path that every system takes as a socket's address.
const LONGEST: usize = 100;

/// The server's end, listening; the file is gone when this is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens in this folder, which no other running server may have. What a
    /// dead server left there is replaced.
    ///
    /// # Errors
    /// The folder cannot take a socket.
    pub fn listen(data: &Path) -> anyhow::Result<Self> {
        let path = data.join(FILE);
        let listener =
            listen_at(data, &path).with_context(|| format!("listen on {}", path.display()))?;
        Ok(Self { listener, path })
    }

    /// The listener itself, for the HTTP server.
    ///
    /// # Errors
    /// The process has too many open files.
    pub fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(file = %self.path.display(), %error, "the socket stays behind");
        }
    }
}

/// It is made in a folder that nobody else can enter, so that nobody else can
/// have opened it before it has its mode.
fn listen_at(data: &Path, path: &Path) -> io::Result<UnixListener> {
    let private = tempfile::Builder::new()
        .prefix(".socket-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(data)?;
    let folder = File::open(private.path())?;
    let listener = UnixListener::bind(address(private.path(), &folder))?;
    let made = private.path().join(FILE);
    std::fs::set_permissions(&made, Permissions::from_mode(0o600))?;
    std::fs::rename(made, path)?;
    Ok(listener)
}

/// Opens the socket in this folder.
pub(super) async fn connect(data: &Path) -> io::Result<UnixStream> {
    let folder = File::open(data)?;
    UnixStream::connect(address(data, &folder)).await
}

/// The socket's path, as the system takes it: where it is too long, by way of
/// the open folder.
fn address(path: &Path, folder: &File) -> PathBuf {
    let whole = path.join(FILE);
    if whole.as_os_str().len() <= LONGEST {
        return whole;
    }
    PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(FILE)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_the_owners_alone_and_gone_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let socket = Socket::listen(folder.path()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        connect(folder.path()).await.unwrap();
        drop(socket);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_a_dead_server_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        drop(UnixListener::bind(folder.path().join(FILE)).unwrap());
        assert!(connect(folder.path()).await.is_err());
        let _socket = Socket::listen(folder.path()).unwrap();
        connect(folder.path()).await.unwrap();
    }

    #[tokio::test]
    async fn a_path_longer_than_an_address_works_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("d".repeat(120)).join("e".repeat(120));
        std::fs::create_dir_all(&deep).unwrap();
        let _socket = Socket::listen(&deep).unwrap();
        connect(&deep).await.unwrap();
    }
}
