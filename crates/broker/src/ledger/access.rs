//! The words of a ledger for what may be done with topics.

use serde::{Deserialize, Serialize};

/// What may be done with topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TopicAccess {
    /// Nothing, whatever another rule says.
    Deny,
    /// Subscribing.
    ReadOnly,
    /// Publishing.
    WriteOnly,
    /// Both.
    ReadWrite,
}

/// What counts where no rule says anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DefaultAccess {
    /// It is refused.
    #[default]
    Deny,
    /// It is allowed.
    Allow,
}

/// What becomes of a subscription that reaches beyond what its client may
/// read, as that to `#` does where `secret/#` is denied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WideSubscriptions {
    /// It is refused, and so says what it brings.
    #[default]
    Refuse,
    /// It is granted, and brings what the client may read: each topic is
    /// looked at, once for each of its readers.
    Filter,
}

/// What somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Read,
    Write,
}

impl WideSubscriptions {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl TopicAccess {
    pub(super) fn grants(self, deed: Deed) -> bool {
        match self {
            Self::Deny => false,
            Self::ReadOnly => deed == Deed::Read,
            Self::WriteOnly => deed == Deed::Write,
            Self::ReadWrite => true,
        }
    }
}
