//! The files of a Mochi-MQTT 2.7 user: a configuration, or a ledger alone.
//! What is not known is kept by its name, so that it can be said.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::report::Report;

/// Keys that are not known.
type Rest = BTreeMap<String, IgnoredAny>;

/// A configuration; or a ledger, whose three keys then stand here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Mochi {
    pub(super) listeners: Option<Vec<Listener>>,
    pub(super) hooks: Option<Hooks>,
    pub(super) options: Option<Options>,
    pub(super) logging: Option<Logging>,
    users: Option<BTreeMap<String, User>>,
    auth: Option<Vec<AuthRule>>,
    acl: Option<Vec<AclRule>>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Listener {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) address: String,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Hooks {
    auth: Option<Auth>,
    pub(super) storage: Option<Storage>,
    pub(super) debug: Option<Debug>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Storage {
    pub(super) redis: Option<RedisStorage>,
    #[serde(flatten)]
    pub(super) others: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RedisStorage {
    pub(super) address: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Secret,
    pub(super) database: Option<u32>,
    pub(super) h_prefix: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Auth {
    allow_all: Option<bool>,
    ledger: Option<Ledger>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Debug {
    pub(super) enable: Option<bool>,
    #[serde(flatten)]
    _rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Logging {
    pub(super) level: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Options {
    pub(super) capabilities: Option<Capabilities>,
    pub(super) client_net_write_buffer_size: Option<i64>,
    pub(super) client_net_read_buffer_size: Option<i64>,
    pub(super) sys_topic_resend_interval: Option<i64>,
    pub(super) inline_client: Option<bool>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Capabilities {
    pub(super) maximum_clients: Option<i64>,
    pub(super) maximum_message_expiry_interval: Option<i64>,
    pub(super) maximum_client_writes_pending: Option<i64>,
    pub(super) maximum_session_expiry_interval: Option<u32>,
    pub(super) maximum_packet_size: Option<u32>,
    pub(super) receive_maximum: Option<u16>,
    pub(super) maximum_inflight: Option<u16>,
    pub(super) topic_alias_maximum: Option<u16>,
    pub(super) shared_sub_available: Option<u8>,
    pub(super) minimum_protocol_version: Option<u8>,
    pub(super) maximum_qos: Option<u8>,
    pub(super) retain_available: Option<u8>,
    pub(super) wildcard_sub_available: Option<u8>,
    pub(super) sub_id_available: Option<u8>,
    pub(super) compatibilities: Option<BTreeMap<String, bool>>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Ledger {
    users: Option<BTreeMap<String, User>>,
    auth: Option<Vec<AuthRule>>,
    acl: Option<Vec<AclRule>>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct User {
    /// Theirs does not look at it: the key is the name.
    username: Option<String>,
    pub(super) password: Secret,
    pub(super) acl: Option<BTreeMap<String, u8>>,
    pub(super) disallow: Option<bool>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AuthRule {
    pub(super) client: Option<String>,
    pub(super) username: Option<String>,
    pub(super) remote: Option<String>,
    pub(super) password: Secret,
    pub(super) allow: Option<bool>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AclRule {
    pub(super) client: Option<String>,
    pub(super) username: Option<String>,
    pub(super) remote: Option<String>,
    pub(super) filters: Option<BTreeMap<String, u8>>,
    #[serde(flatten)]
    pub(super) rest: Rest,
}

/// A password in plain text: never shown.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Secret(pub(super) Option<String>);

impl Secret {
    /// An empty one is none.
    pub(super) fn given(&self) -> Option<&str> {
        self.0.as_deref().filter(|password| !password.is_empty())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "…" } else { "none" })
    }
}

impl Mochi {
    /// Whether it is more than a ledger.
    pub(super) fn is_configuration(&self) -> bool {
        self.listeners.is_some() || self.hooks.is_some() || self.options.is_some()
    }

    fn auth(&self) -> Option<&Auth> {
        self.hooks.as_ref().and_then(|hooks| hooks.auth.as_ref())
    }

    pub(super) fn lets_everybody_in(&self) -> bool {
        self.auth().and_then(|auth| auth.allow_all).unwrap_or(false)
    }

    /// The ledger, wherever it stands.
    pub(super) fn ledger(&self) -> Option<LedgerView<'_>> {
        if !self.is_configuration() {
            let Self { users, auth, acl, .. } = self;
            return Some(LedgerView::of(users, auth, acl));
        }
        let ledger = self.auth()?.ledger.as_ref()?;
        Some(LedgerView::of(&ledger.users, &ledger.auth, &ledger.acl))
    }

    /// Says which keys are not known.
    pub(super) fn report_unknown(&self, report: &mut Report) {
        let mut say = |path: &str, rest: &Rest| {
            for key in rest.keys() {
                report.left_out(format!("{path}{key}: not known, there neither"));
            }
        };
        say("", &self.rest);
        for (number, listener) in self.listeners.iter().flatten().enumerate() {
            say(&format!("listeners[{number}]."), &listener.rest);
        }
        self.hooks.iter().for_each(|hooks| say("hooks.", &hooks.rest));
        let storage = self.hooks.as_ref().and_then(|hooks| hooks.storage.as_ref());
        let redis = storage.and_then(|storage| storage.redis.as_ref());
        redis.into_iter().for_each(|redis| say("hooks.storage.redis.", &redis.rest));
        self.auth().into_iter().for_each(|auth| say("hooks.auth.", &auth.rest));
        let ledger = self.auth().and_then(|auth| auth.ledger.as_ref());
        ledger.into_iter().for_each(|ledger| say("hooks.auth.ledger.", &ledger.rest));
        self.options.iter().for_each(|options| say("options.", &options.rest));
        let capabilities = self.options.as_ref().and_then(|options| options.capabilities.as_ref());
        capabilities.into_iter().for_each(|all| say("options.capabilities.", &all.rest));
        self.logging.iter().for_each(|logging| say("logging.", &logging.rest));
    }
}

/// A ledger, wherever it stands.
#[derive(Default)]
pub(super) struct LedgerView<'a> {
    pub(super) users: Vec<(&'a str, &'a User)>,
    pub(super) auth: &'a [AuthRule],
    pub(super) acl: &'a [AclRule],
}

impl<'a> LedgerView<'a> {
    fn of(
        users: &'a Option<BTreeMap<String, User>>,
        auth: &'a Option<Vec<AuthRule>>,
        acl: &'a Option<Vec<AclRule>>,
    ) -> Self {
        Self {
            users: users.iter().flatten().map(|(name, user)| (name.as_str(), user)).collect(),
            auth: auth.as_deref().unwrap_or_default(),
            acl: acl.as_deref().unwrap_or_default(),
        }
    }

    /// Says which keys are not known.
    pub(super) fn report_unknown(&self, report: &mut Report) {
        for (name, user) in &self.users {
            for key in user.rest.keys() {
                report.left_out(format!("users.{name}.{key}: not known, there neither"));
            }
            if user.username.as_ref().is_some_and(|username| username != name) {
                report.left_out(format!("users.{name}.username: not looked at, there neither"));
            }
        }
        for (number, rule) in self.auth.iter().enumerate() {
            for key in rule.rest.keys() {
                report.left_out(format!("auth[{number}].{key}: not known, there neither"));
            }
        }
        for (number, rule) in self.acl.iter().enumerate() {
            for key in rule.rest.keys() {
                report.look_at(format!(
                    "acl[{number}].{key}: not known, there neither; if it was meant to stand below \
                     `filters`, the rule has never said it"
                ));
            }
        }
    }
}
