//! How much the system still has to send. The only unsafe code of this crate:
//! no library wraps the call (ADR 0007).
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;

use tokio::net::TcpStream;

/// How many bytes were written to a socket that its peer's system has not
/// acknowledged, whether they were sent or not (SIOCOUTQ, as tcp(7) has it).
///
/// # Errors
/// The system does not say.
pub(super) fn length(socket: &TcpStream) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open for as long as the socket is borrowed,
    // and the call writes one int, to which the pointer points.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    u64::try_from(bytes).map_err(io::Error::other)
}
