//! Who an account is at a provider.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longer than any issuer and subject, or address, that is taken.
const LONGEST: usize = 512;

const MAILTO: &str = "mailto:";

/// Who an account is at a provider: `<issuer> <sub>`; or, until somebody of
/// that verified address has signed in for the first time, `mailto:<address>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(
    value_type = String,
    max_length = 512,
    pattern = "^(https?://[^ ]* .*[^ ].*|mailto:[!-?A-~]+@[!-?A-~]+)$",
    example = "https://id.example 248289761001"
)]
pub struct Subject(String);

/// What was given is no subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is the provider's issuer URL, a space, and the person's `sub` there; or mailto: and an \
     address in ASCII"
)]
pub struct InvalidSubject;

impl Subject {
    /// The person whom this issuer calls so.
    ///
    /// # Errors
    /// No issuer gives such a name.
    pub fn at(issuer: &str, sub: &str) -> Result<Self, InvalidSubject> {
        format!("{issuer} {sub}").parse()
    }

    /// Whoever has this address.
    ///
    /// # Errors
    /// It is no address.
    pub fn of_email(address: &str) -> Result<Self, InvalidSubject> {
        format!("{MAILTO}{address}").parse()
    }

    /// As it is kept and shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it waits for whoever has an address.
    pub fn is_email(&self) -> bool {
        self.0.starts_with(MAILTO)
    }
}

impl FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > LONGEST || text.chars().any(char::is_control) {
            return Err(InvalidSubject);
        }
        if let Some(address) = text.strip_prefix(MAILTO) {
            // Providers write one address in more than one way.
            let fits = address.bytes().all(|byte| byte.is_ascii_graphic())
                && address.split_once('@').is_some_and(|(name, host)| {
                    !name.is_empty() && !host.is_empty() && !host.contains('@')
                });
            return if fits { Ok(Self(text.to_ascii_lowercase())) } else { Err(InvalidSubject) };
        }
        let is_person = text.split_once(' ').is_some_and(|(issuer, sub)| {
            let schemes = ["https://", "http://"];
            schemes.iter().any(|scheme| issuer.starts_with(scheme)) && !sub.trim().is_empty()
        });
        if is_person { Ok(Self(text.to_owned())) } else { Err(InvalidSubject) }
    }
}

impl TryFrom<String> for Subject {
    type Error = InvalidSubject;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_a_person_at_an_issuer_or_an_address() {
        for text in ["https://sso.example 1", "http://localhost:1/a b c", "mailto:a@b"] {
            assert_eq!(text.parse().as_ref().map(Subject::as_str), Ok(text));
        }
        let long = format!("https://sso.example {}", "1".repeat(500));
        for text in [
            "",
            "bob",
            "https://sso.example",
            "https://sso.example ",
            "ftp://a 1",
            "mailto:",
            "mailto:bob",
            "mailto:@b",
            "mailto:a@",
            "mailto:a@b@c",
            "mailto:a b@c",
            "mailto:ü@b",
            "https://a 1\n",
            long.as_str(),
        ] {
            assert_eq!(text.parse::<Subject>(), Err(InvalidSubject), "{text}");
        }
    }

    #[test]
    fn an_address_is_one_however_it_is_written_and_no_person_is_an_address() {
        assert_eq!(Subject::of_email("Bob@Example.ORG"), "mailto:bob@example.org".parse());
        let person = Subject::at("https://sso.example", "mailto:bob@example.org");
        assert!(person.is_ok_and(|person| !person.is_email()));
        assert_eq!(Subject::at("mailto:x", "y@z"), Err(InvalidSubject));
    }
}
