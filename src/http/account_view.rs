//! Accounts as the API shows and takes them: never what lets them in.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::ApiError;
use crate::identity::oidc::Subject;
use crate::identity::{
    Account, AccountGrant, AccountId, AccountKind, DirectoryError, Identity, InvalidPassword,
    PasswordError, Role, Scopes, SignInError,
};
use crate::timestamp;

/// The most grants of one account.
const MOST_GRANTS: usize = 100;

/// An account as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub(super) struct AccountView<'a> {
    /// Its id, which it keeps.
    id: AccountId,
    /// Its name.
    #[schema(example = "ann")]
    name: &'a str,
    /// A person or a program.
    kind: AccountKind,
    /// What it is in the house.
    role: Role,
    /// What its tokens may be good for now.
    scopes: Scopes,
    /// What it may do to which devices; an owner needs none.
    grants: &'a [AccountGrant],
    /// Of a person: whether there is a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = true)]
    password: Option<bool>,
    /// Of a person: who it is at the OpenID Connect provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://id.example 248289761001")]
    subject: Option<&'a str>,
    /// Let in by nothing, for now.
    disabled: bool,
    /// When it was made.
    #[serde(serialize_with = "timestamp::milliseconds")]
    created_at: Timestamp,
    /// Until when it is good.
    #[serde(serialize_with = "timestamp::milliseconds_or_null")]
    expires_at: Option<Timestamp>,
}

impl<'a> AccountView<'a> {
    pub(super) fn of(account: &'a Account) -> Self {
        let is_user = account.kind == AccountKind::User;
        Self {
            id: account.id,
            name: account.name.as_str(),
            kind: account.kind,
            role: account.role,
            scopes: account.allowed_scopes(),
            grants: &account.grants,
            password: is_user.then_some(account.proof.password.is_some()),
            subject: account.subject.as_ref().map(Subject::as_str),
            disabled: account.disabled,
            created_at: account.created_at,
            expires_at: account.expires_at,
        }
    }
}

/// The name of a new account.
pub(super) fn check_name(name: &str) -> Result<Identity, ApiError> {
    let invalid = |why: &str| ApiError::Invalid(format!("name: {why}"));
    let name: Identity = name.parse().map_err(|error| invalid(&format!("{error}")))?;
    if !name.is_free_for_accounts() {
        return Err(invalid("it stands for somebody else in records: take another one"));
    }
    Ok(name)
}

/// Refuses grants that could never be of use.
pub(super) fn check_grants(grants: &[AccountGrant]) -> Result<(), ApiError> {
    if grants.len() > MOST_GRANTS {
        return Err(ApiError::Invalid(format!("grants: there are at most {MOST_GRANTS}")));
    }
    for (index, grant) in grants.iter().enumerate() {
        if grant.devices.is_empty() {
            return Err(ApiError::Invalid(format!("grants[{index}].devices: there is none")));
        }
        if !grant.window.ever_holds() {
            return Err(ApiError::Invalid(format!("grants[{index}].window: it never opens")));
        }
    }
    Ok(())
}

/// Refuses an end that is over.
pub(super) fn check_end(expires_at: Option<Timestamp>) -> Result<(), ApiError> {
    match expires_at {
        Some(end) if end <= Timestamp::now() => {
            Err(ApiError::Invalid("expires_at: it is over already".to_owned()))
        }
        _ => Ok(()),
    }
}

/// A field that may be left out, or taken back by `null`.
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl From<DirectoryError> for ApiError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::NameTaken(_)
            | DirectoryError::SubjectTaken
            | DirectoryError::LastOwner => Self::Conflict(error.to_string()),
            DirectoryError::Unknown => Self::NotFound(error.to_string()),
            DirectoryError::NotSaved(_) => {
                tracing::error!(%error, "the database did not answer");
                Self::Unavailable("the accounts cannot be saved now".to_owned())
            }
        }
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Busy(error.to_string()),
            PasswordError::Failed(_) => Self::Internal(error.into()),
        }
    }
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::TooSoon(wait) => Self::TooSoon(wait),
            SignInError::Busy => Self::Busy(error.to_string()),
            SignInError::Failed(error) => Self::Internal(error),
            SignInError::Wrong | SignInError::Void | SignInError::Scope => {
                Self::NotAllowed(error.to_string())
            }
        }
    }
}

impl From<InvalidPassword> for ApiError {
    fn from(error: InvalidPassword) -> Self {
        Self::Invalid(format!("password: {error}"))
    }
}
