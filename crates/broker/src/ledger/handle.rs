//! The ledger in use: its rules, how they are replaced while clients are
//! connected, and what it answers to the broker.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use latchlight_mqtt::ReasonCode;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::access::Deed;
use super::password::Verifier;
use super::refusal_log::RefusalLog;
use super::rules::Entry;
use super::{LedgerRules, PasswordHash, Who, WideSubscriptions};
use crate::document::DocumentError;
use crate::{Access, ClientInfo, ConnectRequest, PublishRequest, Refusal, Review};

/// Users, and rules for what they may do; cheap to clone, all clones being
/// the same ledger.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use latchlight_broker::{Broker, document, ledger::Ledger};
///
/// let rules = "{auth: [{remote: 127.0.0.1, allow: true}], acl: [{filters: {'doors/%c/#': read-write}}]}";
/// let ledger = Ledger::new(document::read_str(rules, document::Format::Yaml)?)?;
/// let broker = Broker::builder().access(ledger.clone()).serve()?;
///
/// // The rules have changed: they count from now on, and for those who are there.
/// ledger.replace(document::read_str("{default: deny}", document::Format::Yaml)?)?;
/// broker.review();
/// # broker.close().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    rules: ArcSwap<InForce>,
    file: Option<PathBuf>,
    verifier: Verifier,
    refusals: RefusalLog,
    /// What the broker was told last: what it brings is looked at.
    filters: AtomicBool,
    /// Held while the rules are replaced: since when each user's password
    /// counts, where it is another one than at the start.
    changed: Mutex<FxHashMap<String, SystemTime>>,
}

/// Rules that count now.
#[derive(Debug)]
struct InForce {
    rules: LedgerRules,
    /// What the password of a user that there is not is held against, so that
    /// a refusal takes as long as for one that there is.
    decoy: Option<PasswordHash>,
}

impl InForce {
    fn check(rules: LedgerRules) -> Result<Self, DocumentError> {
        rules.check()?;
        let hashes = || rules.users.values().filter_map(|user| user.password.as_ref());
        let decoy = hashes().max_by_key(|hash| hash.cost()).cloned();
        if hashes().any(|hash| Some(hash.cost()) != decoy.as_ref().map(PasswordHash::cost)) {
            tracing::warn!(
                "the users' password hashes differ in cost: the time that a refusal takes tells \
                 who is a user; make them all with the same command"
            );
        }
        Ok(Self { rules, decoy })
    }
}

impl std::ops::Deref for InForce {
    type Target = LedgerRules;

    fn deref(&self) -> &LedgerRules {
        &self.rules
    }
}

impl Ledger {
    /// A ledger with these rules.
    ///
    /// # Errors
    /// They make no sense.
    pub fn new(rules: LedgerRules) -> Result<Self, DocumentError> {
        Self::with(rules, None)
    }

    /// The ledger of a file in YAML or JSON.
    ///
    /// # Errors
    /// The file cannot be read, or something in it is wrong.
    pub fn load(file: impl AsRef<Path>) -> Result<Self, DocumentError> {
        let file = file.as_ref();
        Self::with(LedgerRules::load(file)?, Some(file.to_owned()))
    }

    fn with(rules: LedgerRules, file: Option<PathBuf>) -> Result<Self, DocumentError> {
        let inner = Inner {
            rules: ArcSwap::from_pointee(InForce::check(rules)?),
            file,
            verifier: Verifier::default(),
            refusals: RefusalLog::default(),
            filters: AtomicBool::new(false),
            changed: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Reads the file again, if there is one. Call
    /// [`Broker::review`](crate::Broker::review) afterwards: it is what ends
    /// the sessions of those who may no more.
    ///
    /// # Errors
    /// As [`Ledger::load`]; the rules are then those from before.
    pub fn reload(&self) -> Result<(), DocumentError> {
        let Some(file) = &self.inner.file else { return Ok(()) };
        self.replace(LedgerRules::load(file)?)
    }

    /// Puts other rules in the place of these, all at once.
    ///
    /// # Errors
    /// They make no sense; the rules are then those from before.
    pub fn replace(&self, rules: LedgerRules) -> Result<(), DocumentError> {
        let rules = Arc::new(InForce::check(rules)?);
        let mut changed = self.inner.changed.lock();
        let before = self.inner.rules.swap(rules.clone());
        let password = |rules: &LedgerRules, name: &str| -> Option<PasswordHash> {
            rules.users.get(name).and_then(|user| user.password.clone())
        };
        // Later than whatever was let in by the rules from before.
        let now = SystemTime::now();
        changed.retain(|name, _| rules.users.contains_key(name));
        for name in rules.users.keys() {
            let (old, new) = (password(&before, name), password(&rules, name));
            if new.is_some() && old != new {
                changed.insert(name.clone(), now);
            }
        }
        Ok(())
    }

    /// Whether some rule grants somebody something of this topic by name: by a
    /// filter that does not begin with a wildcard.
    pub fn names(&self, topic: &str) -> bool {
        self.inner.rules.load().names(topic)
    }

    /// Whether the password of a request is the right one; a refusal takes the
    /// same time whoever there is.
    async fn verify(
        &self,
        rules: &InForce,
        request: &ConnectRequest<'_>,
    ) -> Result<bool, ReasonCode> {
        let (Some(username), Some(password)) = (name_of(request.username), request.password) else {
            return Ok(false);
        };
        let own = rules.users.get(username).and_then(|user| user.password.as_ref());
        let Some(hash) = own.or(rules.decoy.as_ref()) else { return Ok(false) };
        let verified = self.inner.verifier.verify(hash, password).await;
        verified.map_err(|_| ReasonCode::ServerBusy)
    }
}

/// An empty name is none.
fn name_of(username: Option<&str>) -> Option<&str> {
    username.filter(|name| !name.is_empty())
}

fn who(client: &ClientInfo) -> Who<'_> {
    Who {
        client_id: &client.client_id,
        // As `authenticate` has given it.
        username: name_of(Some(&client.identity)),
        address: client.address.map(|address| address.ip()),
        certificate: client.certificate.as_deref(),
        was_let_in: true,
    }
}

#[async_trait]
impl Access for Ledger {
    /// Who gave a user name is who it says; who gave none is the user whose
    /// certificate it has shown; all others are one.
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        let anybody = Who {
            client_id: request.client_id,
            username: name_of(request.username),
            address: request.address.map(|address| address.ip()),
            certificate: request.certificate,
            was_let_in: false,
        };
        loop {
            let rules = self.inner.rules.load_full();
            let username = anybody.username.or_else(|| rules.user_of_certificate(&anybody));
            let who = Who { username, ..anybody };
            let entry = rules.entry(&who);
            let let_in = match entry {
                Entry::Open => true,
                Entry::Password => self.verify(&rules, request).await?,
                Entry::Refused => {
                    self.verify(&rules, request).await?;
                    false
                }
            };
            // Replaced meanwhile: the new ones count.
            if !Arc::ptr_eq(&rules, &self.inner.rules.load()) {
                continue;
            }
            if let_in {
                // Those without a name share theirs.
                return Ok(username.map_or_else(Arc::default, Into::into));
            }
            self.inner.refusals.note(request, username);
            return Err(match username {
                Some(_) => ReasonCode::BadUserNameOrPassword,
                None => ReasonCode::NotAuthorized,
            });
        }
    }

    fn authorize_publish(
        &self,
        client: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        let (rules, who) = (self.inner.rules.load(), who(client));
        // Whoever is not let in any more may be about to be disconnected.
        let is_let_in = rules.entry(&who) != Entry::Refused;
        match is_let_in && rules.allows(&who, Deed::Write, request.topic) {
            true => Ok(()),
            false => Err(Refusal::Ignore(ReasonCode::NotAuthorized)),
        }
    }

    fn authorize_subscribe(&self, client: &ClientInfo, filter: &str) -> Result<(), ReasonCode> {
        let (rules, who) = (self.inner.rules.load(), who(client));
        // Before the broker asks about each topic, nothing is granted in part.
        let filters = rules.wide_subscriptions == WideSubscriptions::Filter
            && self.inner.filters.load(Ordering::SeqCst);
        match rules.allows(&who, Deed::Read, filter) || (filters && rules.allows_some(&who, filter))
        {
            true => Ok(()),
            false => Err(ReasonCode::NotAuthorized),
        }
    }

    fn checks_delivery(&self) -> bool {
        let filters = self.inner.rules.load().wide_subscriptions == WideSubscriptions::Filter;
        self.inner.filters.store(filters, Ordering::SeqCst);
        filters
    }

    fn authorize_receive(&self, client: &ClientInfo, topic: &str) -> bool {
        let (rules, who) = (self.inner.rules.load(), who(client));
        rules.entry(&who) != Entry::Refused && rules.allows(&who, Deed::Read, topic)
    }

    fn review(&self, client: &ClientInfo) -> Review {
        let who = who(client);
        if self.inner.rules.load().entry(&who) == Entry::Refused {
            return Review::End(ReasonCode::NotAuthorized);
        }
        let changed = self.inner.changed.lock();
        let since = who.username.and_then(|name| changed.get(name));
        match since.is_some_and(|since| client.connected_at <= *since) {
            true => Review::Disconnect(ReasonCode::NotAuthorized),
            false => Review::Keep,
        }
    }
}
