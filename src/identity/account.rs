//! A person, or a program with an API key.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::oidc::Subject;
use super::{AccountGrant, Identity, Role, Scope, Scopes};
use crate::commands::Verb;
use crate::state::{Device, DeviceId, DeviceKind};

/// The id of an account: it stays when the name changes, and is never another
/// account's.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(transparent)]
#[schema(value_type = String, format = Uuid, example = "01a1fd70-1b2c-7d3e-8f40-5a6b7c8d9e0f")]
pub struct AccountId(Uuid);

/// What an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccountKind {
    /// A person, who signs in.
    User,
    /// A program, which shows a secret that it was given once.
    Key,
}

/// An account as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name, as in topics and records; no other account has it, in capital
    /// or small letters.
    pub name: Identity,
    /// A person or a program.
    pub kind: AccountKind,
    /// What it is in the house.
    pub role: Role,
    /// The most that its tokens may be good for; a person's, within what the
    /// role allows.
    pub scopes: Scopes,
    /// What it may do to which devices; an owner needs none.
    pub grants: Vec<AccountGrant>,
    /// What it shows to be let in.
    pub proof: Proof,
    /// Who it is at an OpenID Connect provider.
    pub subject: Option<Subject>,
    /// Tokens of an earlier epoch are void.
    pub epoch: u32,
    /// Not let in, whatever it shows.
    pub disabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is not let in any more.
    pub expires_at: Option<Timestamp>,
}

/// What an account shows to be let in, as it is kept.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Proof {
    /// The hash of a person's password: argon2id, as a PHC string.
    pub password: Option<String>,
    /// The SHA-256 of a program's secret, which nobody could guess.
    pub secret: Option<[u8; 32]>,
}

impl AccountId {
    /// A new one.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Account {
    /// Whether it is let in at this moment at all.
    pub fn is_open(&self, now: Timestamp) -> bool {
        !self.disabled && self.expires_at.is_none_or(|end| now < end)
    }

    /// The most that its tokens are good for now: a person's, within what the
    /// role allows.
    pub fn allowed_scopes(&self) -> Scopes {
        match self.kind {
            AccountKind::User => self.scopes.both(self.role.scopes()),
            AccountKind::Key => self.scopes,
        }
    }

    /// Whether it may do this to that device at this moment, scopes apart.
    pub fn may_operate(&self, verb: Verb, device: &Device, now: Timestamp) -> bool {
        self.role == Role::Owner || self.grants.iter().any(|g| g.allows(verb, &device.id, now))
    }

    /// Whether it may see this device at this moment, scopes apart.
    pub fn may_see(&self, device: &DeviceId, now: Timestamp) -> bool {
        self.role == Role::Owner || self.grants.iter().any(|grant| grant.shows(device, now))
    }

    /// Whether a grant that it has now showed it this device at that moment.
    pub(super) fn was_shown(&self, device: &DeviceId, at: Timestamp) -> bool {
        let showed = |grant: &&AccountGrant| grant.shows(device, at);
        self.grants.iter().filter(showed).any(|grant| self.begin_of(grant) <= at)
    }

    /// Since when it has one of its grants: one of before that was kept counts
    /// from the account's own beginning.
    pub(super) fn begin_of(&self, grant: &AccountGrant) -> Timestamp {
        grant.since.unwrap_or(self.created_at)
    }

    /// Notes since when each grant is there: from now on, unless it shows no
    /// more than one of `before`, who was let in until now.
    pub(super) fn date_grants(&mut self, before: Option<&Self>, now: Timestamp) {
        let before = before.filter(|before| before.is_open(now));
        // As it is kept.
        let now = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
        for grant in &mut self.grants {
            let earlier = before.and_then(|before| {
                let wider = before.grants.iter().filter(|wider| grant.is_within(wider));
                wider.map(|wider| before.begin_of(wider)).min()
            });
            grant.since = Some(earlier.unwrap_or(now));
        }
    }

    /// Whether it sees every device at this moment, also one that joins later.
    pub fn sees_every_device(&self, now: Timestamp) -> bool {
        self.role == Role::Owner || self.grants.iter().any(|grant| grant.shows_every(now))
    }

    /// Makes every token void that it has.
    pub fn revoke_tokens(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }
}

/// The scope that it takes to operate a device of this kind.
pub(super) fn operating_scope(kind: DeviceKind) -> Scope {
    match kind {
        DeviceKind::Lock => Scope::LocksOperate,
        DeviceKind::Light | DeviceKind::Camera | DeviceKind::Other => Scope::LightsOperate,
    }
}

impl AccountKind {
    /// The word, as in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Key => "key",
        }
    }
}

impl FromStr for AccountId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof")
            .field("password", &self.password.is_some())
            .field("secret", &self.secret.is_some())
            .finish()
    }
}
