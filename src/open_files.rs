//! How many files this process may have open, and how they are shared out: the
//! connections of devices and apps must leave some for the rest to work with,
//! or nothing could be saved while somebody holds many.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The files that may be open, connections among them.
#[derive(Debug, Clone, Copy)]
pub struct OpenFiles(usize);

impl OpenFiles {
    /// Asks the system for as many as it grants.
    pub fn ask() -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let asked = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        let most = if asked.is_ok() { maximum } else { current };
        // None is no limit.
        Self(most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX)))
    }

    /// How many of them may be connections of devices.
    pub fn for_devices(self) -> usize {
        self.0 / 2
    }

    /// How many of them may be connections of apps.
    pub fn for_apps(self) -> usize {
        self.0 / 4
    }
}
