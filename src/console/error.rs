//! What can go wrong between the command line and the server.

use std::io;
use std::path::PathBuf;

use crate::config::InvalidSettings;
use crate::state::FileError;

/// Why the server did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// config.json cannot be read, so nobody knows where the server would be.
    #[error(transparent)]
    File(#[from] FileError),
    /// The settings are none.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// Nobody listens.
    #[error(
        "no server answers at {socket}: start it with `latchlight serve --config {config}`, or \
         name the configuration of the one that runs with --config"
    )]
    NoServer {
        /// The socket that was tried.
        socket: PathBuf,
        /// The configuration that it is of.
        config: PathBuf,
    },
    /// It is somebody else's.
    #[error("the server at {socket} answers only the user who runs it, and root")]
    NotYours {
        /// The socket that was tried.
        socket: PathBuf,
    },
    /// The socket cannot be used.
    #[error("open {socket}: {source}")]
    Open {
        /// The socket that was tried.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The server refused, or could not.
    #[error("{detail}")]
    Problem {
        /// The answer's status.
        status: u16,
        /// What kind of problem it is: the last part of its type.
        kind: String,
        /// What it was, as a sentence.
        detail: String,
    },
    /// What came cannot be written where it should be.
    #[error("write: {0}")]
    Write(io::Error),
    /// What came is no answer of this server.
    #[error("the server's answer cannot be read: {0}")]
    Unreadable(String),
    /// The server took too long.
    #[error("the server has not answered within {0} s")]
    TooSlow(u64),
}
