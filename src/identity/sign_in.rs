//! Letting people and programs in: by a password, an API key or a token.
//!
//! What somebody may do then is asked of `Permissions`, each time anew.

mod by_provider;
mod error;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::registry::Registry;

use super::counts::Counts;
use super::throttle::Throttle;
use super::tokens::{
    AccessTokens, LIFETIME, RefreshToken, RefreshTokens, Revoked, SigningKeys, Used,
};
use super::{
    Account, AccountId, AccountKind, Directory, KeySecret, Pass, PassOver, Passwords, Principal,
    Scopes, ShownPassword, Through, Who,
};
use crate::database::Database;
use crate::events::{Event, Events, Kind};
use crate::key_folder::KeyFolder;

pub use error::SignInError;

/// How often what is over is looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// Lets people and programs in; cheap to clone.
#[derive(Clone)]
pub struct SignIn(Arc<Inner>);

struct Inner {
    directory: Directory,
    passwords: Passwords,
    access: AccessTokens,
    refresh: RefreshTokens,
    revoked: Revoked,
    throttle: Throttle,
    events: Events,
    counts: Counts,
}

/// What somebody gets who is let in.
#[derive(Debug)]
pub struct Granted {
    /// To be shown with each request.
    pub access_token: String,
    /// How long that one is good.
    pub lifetime: Duration,
    /// What it is good for.
    pub scopes: Scopes,
    /// For the next one, where there is one without signing in anew.
    pub refresh_token: Option<RefreshToken>,
}

impl SignIn {
    /// Opens the keys that sign tokens, and what is known of earlier ones.
    /// `issuer` is the URL of this server.
    ///
    /// # Errors
    /// The folder of keys or the database cannot be had.
    pub async fn open(
        database: &Database,
        directory: Directory,
        passwords: Passwords,
        keys: KeyFolder,
        issuer: String,
        events: Events,
    ) -> anyhow::Result<Self> {
        let pool = database.pool.clone();
        Ok(Self(Arc::new(Inner {
            directory,
            passwords,
            access: AccessTokens::new(SigningKeys::open(keys)?, issuer),
            refresh: RefreshTokens::new(pool.clone()),
            revoked: Revoked::open(pool).await?,
            throttle: Throttle::default(),
            events,
            counts: Counts::default(),
        })))
    }

    /// Lets a person in; for no more than is `wanted`. It is on record when
    /// this returns.
    ///
    /// # Errors
    /// Not, and why.
    pub async fn by_password(
        &self,
        name: &str,
        password: ShownPassword,
        wanted: Option<Scopes>,
        address: Option<IpAddr>,
    ) -> Result<Granted, SignInError> {
        let granted = self.try_password(name, password, wanted, address).await;
        self.0.counts.sign_in("password", &granted);
        match self.event("password", Some(name), address, &granted) {
            event if granted.is_ok() => self.0.events.record_and_wait(event).await,
            event => self.0.events.refused(event),
        }
        granted
    }

    async fn try_password(
        &self,
        name: &str,
        password: ShownPassword,
        wanted: Option<Scopes>,
        address: Option<IpAddr>,
    ) -> Result<Granted, SignInError> {
        let Self(inner) = self;
        inner.throttle.sign_in(name, address)?;
        let account = inner.directory.named(name).filter(|found| found.kind == AccountKind::User);
        // The same work for a name that is nobody's.
        let hash = account.as_ref().and_then(|account| account.proof.password.clone());
        let right = inner.passwords.verify(hash, password).await?;
        let account = account.filter(|account| right && account.is_open(Timestamp::now()));
        let account = account.ok_or(SignInError::Wrong)?;
        inner.throttle.let_in(name, address);
        let scopes = narrowed(account.allowed_scopes(), wanted)?;
        let token = inner.refresh.begin(account.id, account.epoch, scopes).await?;
        self.grant(account.id, account.epoch, scopes, Some(token))
    }

    /// Whether this is the password of somebody who was let in already, and
    /// wants to change it: whoever has stolen a token does not guess it either.
    ///
    /// # Errors
    /// Too many attempts, or it cannot be checked.
    pub async fn knows_password(
        &self,
        account: &Account,
        password: ShownPassword,
        address: Option<IpAddr>,
    ) -> Result<bool, SignInError> {
        let Self(inner) = self;
        inner.throttle.sign_in(account.name.as_str(), address)?;
        Ok(inner.passwords.verify(account.proof.password.clone(), password).await?)
    }

    /// Lets a program in, by its key's name and secret. It may as well show the
    /// key itself with each request. Nobody guesses a secret, so that who shows
    /// it is never throttled.
    ///
    /// # Errors
    /// Not, and why.
    pub fn by_key(
        &self,
        name: &str,
        secret: &str,
        wanted: Option<Scopes>,
        address: Option<IpAddr>,
    ) -> Result<Granted, SignInError> {
        let granted = self.try_key(name, secret, wanted, address);
        self.0.counts.sign_in("api_key", &granted);
        match self.event("api_key", Some(name), address, &granted) {
            event if granted.is_ok() => self.0.events.record(event),
            event => self.0.events.refused(event),
        }
        granted
    }

    fn try_key(
        &self,
        name: &str,
        secret: &str,
        wanted: Option<Scopes>,
        address: Option<IpAddr>,
    ) -> Result<Granted, SignInError> {
        let Self(inner) = self;
        let account = self.of_key(secret);
        let account = account.filter(|found| found.name.as_str().eq_ignore_ascii_case(name));
        let Some(account) = account else {
            inner.throttle.sign_in(name, address)?;
            return Err(SignInError::Wrong);
        };
        let scopes = narrowed(account.allowed_scopes(), wanted)?;
        self.grant(account.id, account.epoch, scopes, None)
    }

    /// Lets somebody in who signed in before. The token is used up, and its
    /// successor is in what is granted.
    ///
    /// # Errors
    /// Not, and why.
    pub async fn by_refresh_token(
        &self,
        token: &str,
        wanted: Option<Scopes>,
        address: Option<IpAddr>,
    ) -> Result<Granted, SignInError> {
        let granted = self.try_refresh_token(token, wanted, address).await;
        self.0.counts.sign_in("refresh_token", &granted);
        if granted.is_err() {
            self.0.events.refused(self.event("refresh_token", None, address, &granted));
        }
        granted
    }

    async fn try_refresh_token(
        &self,
        token: &str,
        wanted: Option<Scopes>,
        address: Option<IpAddr>,
    ) -> Result<Granted, SignInError> {
        let Self(inner) = self;
        inner.throttle.refresh(address)?;
        let shown: RefreshToken = token.parse().map_err(|_| SignInError::Void)?;
        let is_let_in = |id, epoch| self.account(id, epoch).is_some();
        match inner.refresh.use_up(&shown, is_let_in).await? {
            Used::Next { token, account: id, epoch, scopes } => {
                let account = self.account(id, epoch).ok_or(SignInError::Void)?;
                let scopes = narrowed(scopes.both(account.allowed_scopes()), wanted)?;
                self.grant(id, epoch, scopes, Some(token))
            }
            Used::Again => {
                tracing::warn!(
                    sign_in = %shown.family(),
                    "a refresh token came again that had been used: the sign-in is over"
                );
                inner.revoked.add(shown.family()).await?;
                Err(SignInError::Void)
            }
            Used::Void | Used::Unknown => Err(SignInError::Void),
        }
    }

    /// Ends the sign-in that a token comes from, refresh or access; one that is
    /// not good any more needs no ending.
    ///
    /// # Errors
    /// The database does not take it.
    pub async fn revoke(&self, token: &str, address: Option<IpAddr>) -> Result<(), SignInError> {
        let Self(inner) = self;
        inner.throttle.refresh(address)?;
        if let Ok(shown) = token.parse::<RefreshToken>() {
            // One that had been used before ends its sign-in all the same.
            match inner.refresh.use_up(&shown, |_, _| false).await? {
                Used::Unknown => {}
                _ => inner.revoked.add(shown.family()).await?,
            }
        } else if let Some(claims) = inner.access.verify(token) {
            if let Some(family) = claims.sid {
                inner.refresh.end(family).await?;
            }
            inner.revoked.add(claims.sid.unwrap_or(claims.jti)).await?;
        }
        Ok(())
    }

    /// Whoever shows this as a bearer: an access token, or an API key. Nothing:
    /// nobody who is let in now.
    pub fn bearer(&self, shown: &str, address: Option<IpAddr>) -> Option<Principal> {
        self.pass(shown, address).map(|pass| pass.principal)
    }

    /// The same, for somebody who stays.
    pub fn pass(&self, shown: &str, address: Option<IpAddr>) -> Option<Pass> {
        let Self(inner) = self;
        let (who, token) = if let Some(account) = self.of_key(shown) {
            (Who::account(&account, account.scopes), None)
        } else {
            let token = inner.access.verify(shown).filter(|token| !inner.revoked.has(token))?;
            let account = self.account(token.sub, token.epoch)?;
            (Who::account(&account, token.scope), Some(token))
        };
        let principal = Principal { who, through: Through::Http, address, pin: None };
        Some(Pass { principal, token })
    }

    /// Whether what somebody showed is good still. What their account may by
    /// now, is asked of `Permissions`.
    ///
    /// # Errors
    /// Not, and why.
    pub fn check(&self, pass: &Pass) -> Result<(), PassOver> {
        let Some(token) = &pass.token else { return Ok(()) };
        if self.0.revoked.has(token) {
            return Err(PassOver::Revoked);
        }
        if token.has_ended() { Err(PassOver::Ended) } else { Ok(()) }
    }

    /// What is counted of sign-ins, for Prometheus.
    pub fn register_counts(&self, registry: &mut Registry) {
        self.0.counts.register(registry);
    }

    /// Looks after the keys and what is over, for ever.
    pub async fn keep_house(&self) {
        let Self(inner) = self;
        loop {
            tokio::time::sleep(PRUNE_EVERY).await;
            if let Err(error) = inner.access.rotate_keys() {
                tracing::error!(error = format!("{error:#}"), "change the key that signs tokens");
            }
            let pruned = inner.refresh.prune().await.and(inner.revoked.prune().await);
            if let Err(error) = pruned {
                tracing::warn!(%error, "remove what is over of refresh tokens");
            }
        }
    }

    /// What is on record of an attempt. A name that is nobody's is not: who
    /// mistakes the field has put a password there.
    fn event(
        &self,
        how: &str,
        name: Option<&str>,
        address: Option<IpAddr>,
        granted: &Result<Granted, SignInError>,
    ) -> Event {
        let account = name.map(|name| self.0.directory.named(name));
        match (granted, &account) {
            (Ok(granted), Some(Some(account))) => {
                let who = Who::account(account, granted.scopes);
                let principal = Principal { who, through: Through::Http, address, pin: None };
                Event::of(Kind::SignIn, &principal, how).detail(&granted.scopes.to_string())
            }
            (Ok(_), _) => Event::of_nobody(Kind::SignIn, Through::Http, address, how),
            (Err(why), account) => {
                let whose = match account {
                    Some(Some(account)) => format!("as {}: ", account.name),
                    Some(None) => "as nobody who is known: ".to_owned(),
                    None => String::new(),
                };
                let event = Event::of_nobody(Kind::SignIn, Through::Http, address, how);
                event.refused(&format!("{whose}{why}"))
            }
        }
    }

    fn grant(
        &self,
        account: AccountId,
        epoch: u32,
        scopes: Scopes,
        refresh_token: Option<RefreshToken>,
    ) -> Result<Granted, SignInError> {
        let family = refresh_token.as_ref().map(RefreshToken::family);
        let access_token = self.0.access.issue(account, epoch, scopes, family);
        let access_token = access_token.map_err(SignInError::Failed)?;
        Ok(Granted { access_token, lifetime: LIFETIME, scopes, refresh_token })
    }

    /// The account, if it is let in now as it was then.
    fn account(&self, id: AccountId, epoch: u32) -> Option<Arc<Account>> {
        let account = self.0.directory.get(id);
        account.filter(|account| account.epoch == epoch && account.is_open(Timestamp::now()))
    }

    fn of_key(&self, secret: &str) -> Option<Arc<Account>> {
        let secret: KeySecret = secret.parse().ok()?;
        let account = self.0.directory.of_secret(&secret);
        account
            .filter(|account| account.kind == AccountKind::Key && account.is_open(Timestamp::now()))
    }
}

/// What is had of what is wanted; not wanting anything is wanting all.
fn narrowed(had: Scopes, wanted: Option<Scopes>) -> Result<Scopes, SignInError> {
    let scopes = had.both(wanted.unwrap_or(had));
    if scopes.is_empty() { Err(SignInError::Scope) } else { Ok(scopes) }
}
