//! The store: their Redis is ours, too; every other one is a folder here.

use super::mochi::{RedisStorage, Storage};
use super::report::Report;
use crate::config::StorePrefix;

/// The folder that stands for every other store.
const FOLDER: &str = "store";

/// What is written for it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OurStore {
    /// A folder, or a URL.
    pub(super) place: Option<String>,
    /// What the names of the keys in Redis begin with.
    pub(super) prefix: Option<String>,
    /// A password stands in the URL.
    pub(super) has_password: bool,
}

pub(super) fn translate(theirs: &Storage, report: &mut Report) -> OurStore {
    let mut ours = OurStore::default();
    for name in theirs.others.keys() {
        ours.place = Some(FOLDER.to_owned());
        report.changed(format!(
            "hooks.storage.{name}: the store is a folder of ours, `{FOLDER}`, which begins empty: \
             what theirs has kept is not read"
        ));
    }
    if let Some(redis) = &theirs.redis {
        if ours.place.is_some() {
            report.left_out("hooks.storage: one store is enough; the one in Redis is taken");
        }
        ours = translate_redis(redis, report);
    }
    ours
}

fn translate_redis(theirs: &RedisStorage, report: &mut Report) -> OurStore {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let address = given(&theirs.address).unwrap_or_else(|| "localhost:6379".to_owned());
    let user = theirs.username.as_deref().map(escape).unwrap_or_default();
    let password = theirs.password.given();
    let login = match password {
        Some(password) => format!("{user}:{}@", escape(password)),
        None if user.is_empty() => String::new(),
        None => format!("{user}@"),
    };
    let database = theirs.database.filter(|number| *number > 0);
    let database = database.map_or(String::new(), |number| format!("/{number}"));
    let mut prefix = given(&theirs.h_prefix);
    if prefix.as_ref().is_some_and(|prefix| StorePrefix::try_from(prefix.clone()).is_err()) {
        prefix = None;
        report.changed(
            "hooks.storage.redis.h_prefix: it has characters that `store_prefix` may not have; \
             the default is taken",
        );
    }
    report.changed(
        "hooks.storage.redis: the same server, under other keys, and begun empty: what theirs has \
         kept is neither read nor taken away. Redis has to have `appendonly yes` and `appendfsync \
         always` for what is acknowledged not to be lost",
    );
    let has_password = password.is_some();
    if has_password {
        report
            .look_at("hooks.storage.redis.password: it stands in `store`, which only you can read");
    }
    OurStore { place: Some(format!("redis://{login}{address}{database}")), prefix, has_password }
}

/// As it may stand in a URL.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(byte.into());
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
