//! A port for a server that cannot say which one it was given.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// A port that the system gives nobody by itself: it is still free when it is
/// listened on a moment later, and again after a restart.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() as u16).wrapping_mul(16);
    loop {
        let number = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        // From 32768 on, they are the system's to give.
        let port = 10_000 + number % 20_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
