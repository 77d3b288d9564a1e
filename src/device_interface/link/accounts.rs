//! What accounts may see and do changes: by hand, and as time goes by. Here it
//! is noticed, so that the embedded broker looks at its sessions again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use latchlight_broker::Broker;
use tokio::sync::Notify;

use super::sign_in::Admission;
use crate::identity::{Account, AccountId};

/// How often it is looked whether a grant's time has begun or ended.
const EVERY: Duration = Duration::from_secs(1);

/// The accounts as they were when they were last looked at.
#[derive(Default)]
struct Accounts(HashMap<AccountId, Seen>);

struct Seen {
    account: Arc<Account>,
    /// Whether it was let in, and which of its grants held.
    held: Vec<bool>,
}

impl Accounts {
    /// Looks at all of them; true: something is not as it was.
    fn look(&mut self, accounts: Vec<Arc<Account>>, now: Timestamp) -> bool {
        let before = std::mem::take(&mut self.0);
        let mut has_changed = before.len() != accounts.len();
        for account in accounts {
            let held = held(&account, now);
            let is_same = before
                .get(&account.id)
                .is_some_and(|seen| seen.account == account && seen.held == held);
            has_changed |= !is_same;
            self.0.insert(account.id, Seen { account, held });
        }
        has_changed
    }
}

fn held(account: &Account, now: Timestamp) -> Vec<bool> {
    let grants = account.grants.iter().map(|grant| grant.window.holds(now));
    std::iter::once(account.is_open(now)).chain(grants).collect()
}

/// Has the broker look at its sessions again whenever somebody may no more what
/// they could before; for ever.
pub(super) async fn keep_current(
    broker: Broker,
    admission: Admission,
    topics_changed: Arc<Notify>,
) {
    let mut revoked = admission.credentials.revoked();
    let mut changes = admission.directory.changes();
    let mut accounts = Accounts::default();
    let mut look = || accounts.look(admission.directory.list(), Timestamp::now());
    look();
    loop {
        let has_changed = tokio::select! {
            changed = revoked.changed() => changed.is_ok(),
            () = topics_changed.notified() => true,
            changed = changes.changed() => changed.is_ok() && look(),
            () = tokio::time::sleep(EVERY) => look(),
        };
        if !has_changed {
            continue;
        }
        let broker = broker.clone();
        // It goes through all sessions: not on a thread that serves anybody.
        match tokio::task::spawn_blocking(move || broker.review()).await {
            Ok(0) => {}
            Ok(sessions) => tracing::info!(sessions, "sessions ended: they may no more"),
            Err(error) => tracing::error!(%error, "look at the sessions again"),
        }
    }
}
