//! Accounts, as people read them.

use std::fmt::Write as _;

use anyhow::Context as _;
use latchlight::console::Console;
use latchlight::identity::{AccountGrant, AccountKind, Role, Scopes};
use serde::Deserialize;
use serde_json::{Value, json};

use super::grants;
use super::server::all_pages;

/// An account, as the server shows it.
#[derive(Debug, Deserialize)]
pub(super) struct Account {
    name: String,
    kind: AccountKind,
    role: Role,
    scopes: Scopes,
    pub(super) grants: Vec<AccountGrant>,
    #[serde(default)]
    password: bool,
    #[serde(default)]
    subject: Option<String>,
    disabled: bool,
    created_at: String,
    expires_at: Option<String>,
}

impl Account {
    pub(super) fn of(answer: &Value) -> anyhow::Result<Self> {
        Self::deserialize(answer).context("read the server's answer")
    }

    /// Everything there is to know, in lines.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |what: &str, is: &str| {
            let _ = writeln!(text, "{what:<9} {is}");
        };
        line("name", &self.name);
        if self.kind == AccountKind::User {
            line("role", self.role.as_str());
        }
        line("scopes", &self.scopes.to_string());
        for (index, may) in self.may().iter().enumerate() {
            line(if index == 0 { "may" } else { "" }, may);
        }
        line("state", &self.state());
        if let Some(subject) = &self.subject {
            line("provider", subject);
        }
        line("since", &self.created_at);
        if let Some(end) = &self.expires_at {
            line("until", end);
        }
        text
    }

    /// The columns of its line in a list.
    fn row(&self) -> [String; 4] {
        let what = match self.kind {
            AccountKind::User => self.role.to_string(),
            AccountKind::Key => self.scopes.to_string(),
        };
        [self.name.clone(), what, self.state(), self.may().join("; ")]
    }

    fn may(&self) -> Vec<String> {
        match (self.role, self.grants.as_slice()) {
            (Role::Owner, _) => vec!["everything".to_owned()],
            (_, []) => vec!["nothing yet: no grant".to_owned()],
            (_, grants) => grants.iter().map(grants::line).collect(),
        }
    }

    fn state(&self) -> String {
        let shows_something = self.password || self.subject.is_some();
        match (self.disabled, self.kind, shows_something) {
            (true, _, _) => "disabled",
            (false, AccountKind::User, false) => "without a password",
            (false, _, _) => "open",
        }
        .to_owned()
    }
}

/// All accounts of a list in one answer.
pub(super) async fn all(console: &Console, path: &str, list: &str) -> anyhow::Result<Value> {
    Ok(json!({ list: all_pages(console, &format!("{path}?limit=1000"), list).await? }))
}

/// A line for each account.
pub(super) fn table(answer: &Value, list: &str) -> anyhow::Result<String> {
    let shown = answer[list].as_array().into_iter().flatten();
    let accounts: Vec<Account> = shown.map(Account::of).collect::<Result<_, _>>()?;
    if accounts.is_empty() {
        return Ok("there are none".to_owned());
    }
    let rows: Vec<[String; 4]> = accounts.iter().map(Account::row).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths = [width(0), width(1), width(2)];
    let mut text = String::new();
    for [name, what, state, may] in &rows {
        let [first, second, third] = widths;
        let _ = writeln!(text, "{name:<first$}  {what:<second$}  {state:<third$}  {may}");
    }
    Ok(text)
}
