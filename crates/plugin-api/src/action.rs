//! What a plugin's author writes.

use crate::{ActionError, ActionInfo, Answer, Call, Host};

/// A named function that a message's first word selects.
///
/// One value serves every call, from several threads at once.
pub trait Action: Send + Sync + 'static {
    /// Its name, what it does, and who may call it; asked once, at the start.
    fn info(&self) -> ActionInfo;

    /// Does it. Calls come from devices and apps alike; `call` says from whom.
    ///
    /// A call that outlasts the server's `plugins.time_limit_ms` puts the
    /// whole plugin in quarantine, so do not sleep here and do not wait for
    /// what may never come.
    ///
    /// # Errors
    /// It was not done, and why; the caller is told.
    fn perform(&self, call: &Call, host: &dyn Host) -> Result<Answer, ActionError>;
}
