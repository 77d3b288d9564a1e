//! Letting people in whom an OpenID Connect provider vouches for.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Granted, SignIn, SignInError, narrowed};
use crate::events::{Event, Kind};
use crate::identity::oidc::{Answer, Begun, Person, Provider, ProviderError};
use crate::identity::throttle::TooSoon;
use crate::identity::{Account, AccountKind, DirectoryError, Principal, Through, Who};

impl SignIn {
    /// Somebody sets out to sign in at the provider, which sends them to `back`.
    ///
    /// # Errors
    /// Not now, and why.
    pub async fn begin_at_provider(
        &self,
        provider: &Provider,
        back: String,
        address: Option<IpAddr>,
    ) -> Result<Begun, ProviderError> {
        self.0.throttle.provider(address).map_err(|TooSoon(wait)| ProviderError::TooSoon(wait))?;
        provider.begin(back).await
    }

    /// Lets a person in who comes back from the provider, in this browser. It is
    /// on record when this returns.
    ///
    /// # Errors
    /// Not, and why.
    pub async fn by_provider(
        &self,
        provider: &Provider,
        answer: Answer,
        browser: Option<String>,
        address: Option<IpAddr>,
    ) -> Result<Granted, ProviderError> {
        let Self(inner) = self;
        let tried = self.try_provider(provider, answer, browser, address).await;
        inner.counts.provider(&tried);
        match tried {
            Ok((account, granted)) => {
                let name = Some(account.name.as_str());
                let granted = Ok(granted);
                inner.events.record_and_wait(self.event("oidc", name, address, &granted)).await;
                Ok(granted?)
            }
            Err(error) => {
                let event = Event::of_nobody(Kind::SignIn, Through::Http, address, "oidc");
                inner.events.refused(event.refused(&error.to_string()));
                Err(error)
            }
        }
    }

    async fn try_provider(
        &self,
        provider: &Provider,
        answer: Answer,
        browser: Option<String>,
        address: Option<IpAddr>,
    ) -> Result<(Arc<Account>, Granted), ProviderError> {
        let Self(inner) = self;
        inner.throttle.provider(address).map_err(|TooSoon(wait)| ProviderError::TooSoon(wait))?;
        let person = provider.finish(answer, browser).await?;
        let account = self.of_person(person.clone(), provider.matches_email(), address).await?;
        let account = account.ok_or_else(|| ProviderError::Stranger(person.subject.to_string()))?;
        let scopes = narrowed(account.allowed_scopes(), None)?;
        let begun = inner.refresh.begin(account.id, account.epoch, scopes).await;
        let token = begun.map_err(SignInError::from)?;
        let granted = self.grant(account.id, account.epoch, scopes, Some(token))?;
        Ok((account, granted))
    }

    /// The account that is this person's and is open. One that waits for their
    /// address becomes theirs: from then on the address counts no more, which
    /// somebody else may have some day.
    async fn of_person(
        &self,
        person: Person,
        by_email: bool,
        address: Option<IpAddr>,
    ) -> Result<Option<Arc<Account>>, SignInError> {
        let Self(inner) = self;
        let is_open = |account: &Arc<Account>| {
            account.kind == AccountKind::User && account.is_open(Timestamp::now())
        };
        if let Some(account) = inner.directory.of_subject(&person.subject) {
            return Ok(Some(account).filter(is_open));
        }
        let Some(email) = person.email.filter(|_| by_email) else { return Ok(None) };
        let Some(account) = inner.directory.of_subject(&email).filter(is_open) else {
            return Ok(None);
        };
        let (waits_for, is_now) = (email.clone(), person.subject.clone());
        let bind = move |account: &mut Account| {
            if account.subject.as_ref() == Some(&waits_for) {
                account.subject = Some(is_now);
            }
        };
        let account = match inner.directory.change(account.id, bind).await {
            Ok(account) => account,
            // It is somebody's since just now.
            Err(DirectoryError::SubjectTaken | DirectoryError::Unknown) => return Ok(None),
            Err(error) => return Err(SignInError::Failed(error.into())),
        };
        if account.subject.as_ref() != Some(&person.subject) {
            return Ok(None);
        }
        let who = Who::account(&account, account.allowed_scopes());
        let principal = Principal { who, through: Through::Http, address, pin: None };
        let detail = format!("user {} is {}, who has {email}", account.name, person.subject);
        let event = Event::of(Kind::Account, &principal, "link").detail(&detail);
        inner.events.record_and_wait(event).await;
        Ok(Some(account).filter(is_open))
    }
}
