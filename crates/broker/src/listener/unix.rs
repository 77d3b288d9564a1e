//! Unix sockets and their files.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use super::source::BACKLOG;

/// A bound socket.
#[derive(Debug)]
pub(super) struct UnixSocket {
    listener: UnixListener,
    file: Option<SocketFile>,
}

/// A socket that accepts.
#[derive(Debug)]
pub(super) struct UnixAcceptor {
    listener: tokio::net::UnixListener,
    _file: Option<SocketFile>,
}

/// The file of a socket; removed when it is dropped, unless another has taken
/// its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl UnixSocket {
    /// Binds a socket at a path.
    ///
    /// # Errors
    /// The path is in use or cannot be had.
    pub(super) fn bind(path: PathBuf, mode: u32) -> io::Result<Self> {
        remove_old(&path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(&path)?)?;
        let file = SocketFile::of(path)?;
        // Nobody can connect before it listens.
        fs::set_permissions(&file.path, fs::Permissions::from_mode(mode))?;
        socket.listen(BACKLOG)?;
        Ok(Self { listener: socket.into(), file: Some(file) })
    }

    pub(super) fn path(&self) -> Option<PathBuf> {
        let address = self.listener.local_addr().ok()?;
        address.as_pathname().map(Path::to_path_buf)
    }

    /// Begins to listen, within the runtime that is entered.
    pub(super) fn listen(self) -> io::Result<UnixAcceptor> {
        self.listener.set_nonblocking(true)?;
        let listener = tokio::net::UnixListener::from_std(self.listener)?;
        Ok(UnixAcceptor { listener, _file: self.file })
    }
}

impl From<UnixListener> for UnixSocket {
    fn from(listener: UnixListener) -> Self {
        Self { listener, file: None }
    }
}

impl UnixAcceptor {
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.listener.accept().await?;
        stream.into_std()
    }
}

/// Removes the socket that somebody has left who does not listen any more.
fn remove_old(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(there) if there.file_type().is_socket() => {}
        Ok(_) => return Err(in_use("a file that is no socket is in the way")),
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(in_use("somebody listens there")),
    }
}

fn in_use(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, why)
}

impl SocketFile {
    fn of(path: PathBuf) -> io::Result<Self> {
        let there = fs::symlink_metadata(&path)?;
        Ok(Self { path, device: there.dev(), inode: there.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let there = fs::symlink_metadata(&self.path);
        if there.is_ok_and(|there| there.dev() == self.device && there.ino() == self.inode) {
            // Whoever removed the folder meanwhile has done the same.
            let _ = fs::remove_file(&self.path);
        }
    }
}
