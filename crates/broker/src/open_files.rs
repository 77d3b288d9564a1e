//! The system's table of this process's open files.

use std::io::stderr;
use std::os::fd::RawFd;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, getrlimit};

/// What is open beside connections, roughly.
const OTHERS: usize = 64;

/// Room for so many at the most: 128 KiB of the system's memory. Beyond that,
/// the table grows as they come.
const MOST: usize = 16 * 1024;

/// Has the table grow now to what so many connections need. It doubles when it
/// is full, and in a process with several threads whoever accepts a connection
/// just then stands still for up to 20 ms, until no processor uses the old one.
pub(crate) fn make_room(connections: usize) {
    let wanted = connections.saturating_add(OTHERS).min(MOST);
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let last = u64::try_from(wanted).unwrap_or(u64::MAX).min(limit).saturating_sub(1);
    // A descriptor with that number makes the room, which stays when it is
    // closed. Without one, the table grows as it would.
    if let Ok(last) = RawFd::try_from(last) {
        drop(fcntl_dupfd_cloexec(stderr(), last));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_room_for_as_many_as_may_be_open() {
        make_room(3000);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        assert!(size.trim().parse::<u64>().unwrap() >= limit.min(3000), "{size} of {limit}");
    }
}
