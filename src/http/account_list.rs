//! A page of accounts, by name.

use std::sync::Arc;

use serde::Deserialize;
use utoipa::IntoParams;

use super::query::Limit;
use crate::identity::Account;

/// The query of a list of accounts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageParameters {
    /// The most of a page.
    #[serde(default)]
    limit: Limit,
    /// The last name of the page before.
    cursor: Option<String>,
}

/// The accounts of a page, and the name that the next one begins behind.
pub(super) struct Page {
    pub(super) accounts: Vec<Arc<Account>>,
    pub(super) next_cursor: Option<String>,
}

impl PageParameters {
    /// The page of these accounts, which are in the order of their names.
    pub(super) fn page(self, mut accounts: Vec<Arc<Account>>) -> Page {
        if let Some(cursor) = self.cursor {
            let from = accounts.partition_point(|account| account.name.as_str() <= &*cursor);
            accounts.drain(..from);
        }
        let more = self.limit.cut(&mut accounts);
        let last = accounts.last().filter(|_| more);
        let next_cursor = last.map(|account| account.name.to_string());
        Page { accounts, next_cursor }
    }
}
