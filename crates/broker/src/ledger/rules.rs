//! What a ledger says, as its file has it, and what follows from it for one
//! client. Nothing here depends on the order of the rules: what refuses wins
//! over what allows.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::access::Deed;
use super::password::PasswordHash;
use super::{
    AnyOf, DefaultAccess, Network, Pattern, TopicAccess, TopicRule, Who, WideSubscriptions,
    unique_map,
};
use crate::document::{self, DocumentError};

/// All that a ledger says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerRules {
    /// What counts for a topic that no rule says anything of.
    #[serde(rename = "default")]
    pub default_access: DefaultAccess,
    /// What becomes of a subscription that is allowed in part.
    #[serde(skip_serializing_if = "WideSubscriptions::is_default")]
    pub wide_subscriptions: WideSubscriptions,
    /// Who signs in with a password, by user name.
    #[serde(deserialize_with = "unique_map::read", skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<String, User>,
    /// Who is let in without a password, and who is not let in at all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub auth: Vec<AuthRule>,
    /// Who may do what with which topics.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acl: Vec<AclRule>,
}

/// Somebody with a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct User {
    /// The hash of the password. Without one, the user is let in by a
    /// certificate, or where a rule under `auth` allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<PasswordHash>,
    /// The certificates of which the user has to show one in the TLS handshake:
    /// by their common name, by a host name, mail address or URI of theirs, or
    /// by their fingerprint, as in `sha256:` with 64 hexadecimal digits. Who has
    /// no password is let in by that alone.
    #[serde(skip_serializing_if = "AnyOf::is_anything")]
    pub certificate: AnyOf<Pattern>,
    /// Not let in, whatever else is said.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disallow: bool,
    /// The client ids that the user may take.
    #[serde(skip_serializing_if = "AnyOf::is_anything")]
    pub client: AnyOf<Pattern>,
    /// Where the user may come from.
    #[serde(skip_serializing_if = "AnyOf::is_anything")]
    pub remote: AnyOf<Network>,
    /// What the user may do: the same as a rule under `acl` with this user
    /// name.
    #[serde(deserialize_with = "unique_map::read", skip_serializing_if = "BTreeMap::is_empty")]
    pub acl: BTreeMap<TopicRule, TopicAccess>,
}

/// Lets clients in without a password, or keeps them out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AuthRule {
    /// Which client ids are meant.
    #[serde(default, skip_serializing_if = "AnyOf::is_anything")]
    pub client: AnyOf<Pattern>,
    /// Which user names; who says none is not meant.
    #[serde(default, skip_serializing_if = "AnyOf::is_anything")]
    pub username: AnyOf<Pattern>,
    /// Which addresses.
    #[serde(default, skip_serializing_if = "AnyOf::is_anything")]
    pub remote: AnyOf<Network>,
    /// Whether they are let in.
    pub allow: bool,
}

/// Says what clients may do with topics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AclRule {
    /// Which client ids are meant.
    #[serde(default, skip_serializing_if = "AnyOf::is_anything")]
    pub client: AnyOf<Pattern>,
    /// Which user names; who says none is not meant.
    #[serde(default, skip_serializing_if = "AnyOf::is_anything")]
    pub username: AnyOf<Pattern>,
    /// Which addresses.
    #[serde(default, skip_serializing_if = "AnyOf::is_anything")]
    pub remote: AnyOf<Network>,
    /// Which topics, and what may be done with them.
    #[serde(deserialize_with = "unique_map::read")]
    pub filters: BTreeMap<TopicRule, TopicAccess>,
}

/// How somebody gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// Without a password.
    Open,
    /// With the password of the user name.
    Password,
    /// Not at all.
    Refused,
}

/// Whether a rule that asks for these names means this client.
fn is_called(who: &Who<'_>, client: &AnyOf<Pattern>, username: &AnyOf<Pattern>) -> bool {
    let matches = |pattern: &Pattern, name: &&str| pattern.matches(name, who);
    client.accepts(Some(who.client_id), matches) && username.accepts(who.username, matches)
}

impl LedgerRules {
    fn user(&self, who: &Who<'_>) -> Option<&User> {
        who.username.and_then(|name| self.users.get(name))
    }

    /// The user whose certificate this is; nothing: nobody's, or it may be that
    /// of several.
    pub(super) fn user_of_certificate(&self, who: &Who<'_>) -> Option<&str> {
        who.certificate?;
        let mut users = self
            .users
            .iter()
            .filter(|(name, user)| Who { username: Some(name), ..*who }.shows(&user.certificate));
        match (users.next(), users.next()) {
            (Some((name, _)), None) => Some(name),
            _ => None,
        }
    }

    /// How this client gets in.
    pub(super) fn entry(&self, who: &Who<'_>) -> Entry {
        let mut allowed = false;
        for rule in &self.auth {
            if !is_called(who, &rule.client, &rule.username) {
                continue;
            }
            if rule.allow {
                allowed = allowed || who.may_be_from(&rule.remote);
            } else if who.is_from(&rule.remote) {
                return Entry::Refused;
            }
        }
        if let Some(user) = self.user(who) {
            let fits = is_called(who, &user.client, &AnyOf::default());
            if user.disallow || !fits || !who.may_be_from(&user.remote) {
                return Entry::Refused;
            }
            let has_certificate = !user.certificate.is_anything();
            if has_certificate && !who.may_show(&user.certificate) {
                return Entry::Refused;
            }
            // Whose name has a password shows it, whoever else is let in.
            if user.password.is_some() {
                return Entry::Password;
            }
            allowed |= has_certificate;
        }
        if allowed { Entry::Open } else { Entry::Refused }
    }

    /// Whether this client, which is let in, may do this with all of a topic
    /// filter, or with a topic.
    pub(super) fn allows(&self, who: &Who<'_>, deed: Deed, filter: &str) -> bool {
        let (mut granted, mut limited) = (false, false);
        for (rule, access) in self.topic_rules(who) {
            if access.grants(deed) {
                granted = granted || rule.covers(filter, who);
            } else if (*access == TopicAccess::Deny || !limited) && rule.overlaps(filter, who) {
                if *access == TopicAccess::Deny {
                    return false;
                }
                limited = true;
            }
        }
        // What a rule says something of is not left to the default.
        granted || (self.default_access == DefaultAccess::Allow && !limited)
    }

    /// Whether this client may read something of what a filter brings.
    pub(super) fn allows_some(&self, who: &Who<'_>, filter: &str) -> bool {
        let (mut granted, mut limited) = (false, false);
        for (rule, access) in self.topic_rules(who) {
            if access.grants(Deed::Read) {
                granted = granted || rule.overlaps(filter, who);
            } else if rule.covers(filter, who) {
                if *access == TopicAccess::Deny {
                    return false;
                }
                limited = true;
            }
        }
        granted || (self.default_access == DefaultAccess::Allow && !limited)
    }

    /// Whether a rule grants somebody something of this topic by name.
    pub(super) fn names(&self, topic: &str) -> bool {
        let of_users = self.users.values().map(|user| &user.acl);
        let of_all = self.acl.iter().map(|rule| &rule.filters);
        let mut rules = of_users.chain(of_all).flatten();
        rules.any(|(rule, access)| *access != TopicAccess::Deny && rule.names(topic))
    }

    /// The rules for topics that mean this client.
    fn topic_rules<'a>(
        &'a self,
        who: &'a Who<'_>,
    ) -> impl Iterator<Item = (&'a TopicRule, &'a TopicAccess)> {
        let own = self.user(who).map(|user| &user.acl);
        let meant = self.acl.iter().filter(|rule| {
            is_called(who, &rule.client, &rule.username) && who.is_from(&rule.remote)
        });
        own.into_iter().chain(meant.map(|rule| &rule.filters)).flatten()
    }

    /// Reads a file in YAML or JSON, and checks what it says.
    ///
    /// # Errors
    /// The file cannot be read, or something in it is wrong.
    pub fn load(file: &Path) -> Result<Self, DocumentError> {
        document::read_and_check(file, |rules: Self| rules.check().map(|()| rules))
    }

    /// Looks for what is wrong beyond each single value.
    ///
    /// # Errors
    /// Something is, and where.
    pub fn check(&self) -> Result<(), DocumentError> {
        if self.users.contains_key("") {
            return Err(DocumentError::mistake("users: a user name has at least one character"));
        }
        match self.acl.iter().position(|rule| rule.filters.is_empty()) {
            Some(empty) => Err(DocumentError::mistake(format!(
                "acl[{empty}].filters: a rule names at least one filter"
            ))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use latchlight_mqtt::TopicFilter;
    use proptest::prelude::*;

    use super::*;

    const WHO: Who<'static> = Who {
        client_id: "c",
        username: Some("u"),
        address: None,
        certificate: None,
        was_let_in: true,
    };

    fn access() -> impl Strategy<Value = TopicAccess> {
        use TopicAccess::{Deny, ReadOnly, ReadWrite, WriteOnly};
        prop_oneof![Just(Deny), Just(ReadOnly), Just(WriteOnly), Just(ReadWrite)]
    }

    fn filter() -> impl Strategy<Value = String> {
        let level = prop_oneof![Just("a"), Just("b"), Just("c"), Just("+")];
        (proptest::collection::vec(level, 1..4), any::<bool>()).prop_map(|(levels, is_open)| {
            let levels = levels.join("/");
            if is_open { format!("{levels}/#") } else { levels }
        })
    }

    fn acl_rule() -> impl Strategy<Value = AclRule> {
        let client = prop_oneof![Just("*"), Just("c"), Just("other")];
        let rule = prop_oneof![filter(), Just("%c/#".to_owned()), Just("#".to_owned())];
        let filters = proptest::collection::vec((rule, access()), 1..4);
        (client, filters).prop_map(|(client, filters)| AclRule {
            client: vec![Pattern::try_from(client.to_owned()).unwrap()].into(),
            username: AnyOf::default(),
            remote: AnyOf::default(),
            filters: filters
                .into_iter()
                .map(|(filter, access)| (TopicRule::try_from(filter).unwrap(), access))
                .collect(),
        })
    }

    fn rules() -> impl Strategy<Value = LedgerRules> {
        let default = prop_oneof![Just(DefaultAccess::Deny), Just(DefaultAccess::Allow)];
        (default, proptest::collection::vec(acl_rule(), 0..5)).prop_map(|(default_access, acl)| {
            LedgerRules { default_access, acl, ..Default::default() }
        })
    }

    /// All topics of up to four levels.
    fn topics() -> Vec<String> {
        let mut all = Vec::new();
        let mut last = vec![String::new()];
        for _ in 0..4 {
            let longer = |start: &String| {
                let start = start.clone();
                ["a", "b", "c"].map(|level| match start.is_empty() {
                    true => level.to_owned(),
                    false => format!("{start}/{level}"),
                })
            };
            last = last.iter().flat_map(longer).collect();
            all.extend(last.clone());
        }
        all
    }

    proptest! {
        #[test]
        fn the_order_of_rules_does_not_matter(rules in rules(), filter in filter()) {
            let mut other = rules.clone();
            other.acl.reverse();
            for deed in [Deed::Read, Deed::Write] {
                prop_assert_eq!(rules.allows(&WHO, deed, &filter), other.allows(&WHO, deed, &filter));
            }
        }

        #[test]
        fn a_subscription_is_allowed_in_part_where_some_topic_may_be_read(
            rules in rules(), filter in filter(),
        ) {
            let of = TopicFilter::try_from(filter.as_str()).unwrap();
            let mut topics = topics();
            topics.retain(|topic| of.matches(topic));
            if topics.iter().any(|topic| rules.allows(&WHO, Deed::Read, topic)) {
                prop_assert!(rules.allows_some(&WHO, &filter));
            }
        }

        #[test]
        fn who_may_subscribe_may_read_all_that_it_brings(rules in rules(), filter in filter()) {
            if rules.allows(&WHO, Deed::Read, &filter) {
                let filter = TopicFilter::try_from(filter).unwrap();
                for topic in topics().iter().filter(|topic| filter.matches(topic)) {
                    prop_assert!(rules.allows(&WHO, Deed::Read, topic), "{}", topic);
                }
            }
        }
    }

    #[test]
    fn a_denied_topic_is_denied_whatever_else_is_allowed() {
        let text = "{default: allow, acl: [
            {filters: {'#': read-write}}, {username: u, filters: {a/b: deny, a/c: read-only}}]}";
        let rules: LedgerRules =
            crate::document::read_str(text, crate::document::Format::Yaml).unwrap();
        let may = |deed, filter| rules.allows(&WHO, deed, filter);
        assert!(may(Deed::Write, "a") && may(Deed::Read, "x/#") && may(Deed::Write, "a/c"));
        assert!(!may(Deed::Write, "a/b") && !may(Deed::Read, "a/b"));
        // A subscription that reaches into it would bring it.
        assert!(!may(Deed::Read, "#") && !may(Deed::Read, "+/b") && !may(Deed::Read, "a/#"));
        let other = Who { username: Some("other"), ..WHO };
        assert!(rules.allows(&other, Deed::Read, "#"));
    }

    #[test]
    fn what_a_rule_limits_is_not_left_to_the_default() {
        let text = "{default: allow, acl: [{filters: {a/#: read-only}}]}";
        let rules: LedgerRules =
            crate::document::read_str(text, crate::document::Format::Yaml).unwrap();
        assert!(rules.allows(&WHO, Deed::Read, "#"));
        assert!(rules.allows(&WHO, Deed::Write, "b") && !rules.allows(&WHO, Deed::Write, "a/b"));
    }
}
