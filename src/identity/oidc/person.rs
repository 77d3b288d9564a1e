//! A person, as the provider has vouched for them.

use openidconnect::core::CoreIdTokenClaims;

use super::{ProviderError, Subject};

/// Whom the provider has signed in just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Who they are there, for ever.
    pub subject: Subject,
    /// The address that is theirs, as the provider has verified.
    pub email: Option<Subject>,
}

impl Person {
    /// From what has been checked already to be the provider's own words.
    pub(super) fn of(claims: &CoreIdTokenClaims) -> Result<Self, ProviderError> {
        let subject = Subject::at(claims.issuer().as_str(), claims.subject().as_str())
            .map_err(|_| ProviderError::Odd("its name for the person is none".to_owned()))?;
        let verified = claims.email_verified() == Some(true);
        let email = claims.email().filter(|_| verified);
        Ok(Self { subject, email: email.and_then(|email| Subject::of_email(email).ok()) })
    }
}
