//! The auth ledger: users and rules from a YAML or JSON file, as an
//! [`Access`](crate::Access) hook. docs/broker.md has every key with an
//! example.
//!
//! What refuses wins over what allows, whatever the order; what no rule says
//! anything of is refused, unless the file says `default: allow`. Passwords
//! are there as argon2id hashes only.
//!
//! A filter that reaches into what is denied is refused as a whole, unless the
//! file says `wide_subscriptions: filter`: then it brings what may be read.
//!
//! What it deliberately does not do: write its file, and throttle who tries
//! passwords beyond how many are checked at once.

mod access;
mod any_of;
mod handle;
mod network;
mod password;
mod pattern;
mod refusal_log;
mod rules;
mod template;
mod topic_rule;
mod unique_map;
mod who;

pub use access::{DefaultAccess, TopicAccess, WideSubscriptions};
pub use any_of::AnyOf;
pub use handle::Ledger;
pub use network::{InvalidNetwork, Network};
pub use password::{InvalidPasswordHash, PasswordHash};
pub use pattern::{EmptyPattern, Pattern};
pub use rules::{AclRule, AuthRule, LedgerRules, User};
pub use topic_rule::{InvalidTopicRule, TopicRule};

use who::Who;
