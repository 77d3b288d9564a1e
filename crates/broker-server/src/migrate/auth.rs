//! Who gets in: their users and auth rules. Theirs looks for a user first,
//! then for the first rule that fits; ours looks at all, and a deny wins.

use anyhow::Context as _;
use latchlight_broker::ledger::{AuthRule, LedgerRules, PasswordHash, User};

use super::mochi::{self, LedgerView};
use super::names::{Meant, NotMeant};
use super::report::Report;

/// Writes the users and the auth rules.
pub(super) fn translate(
    theirs: &LedgerView<'_>,
    ours: &mut LedgerRules,
    report: &mut Report,
) -> anyhow::Result<()> {
    for (name, user) in &theirs.users {
        if name.is_empty() {
            report.left_out("users: the one without a name");
            continue;
        }
        let password = user.password.given().map(hash).transpose()?;
        if password.is_none() {
            report.changed(format!(
                "users.{name}: without a password; gets in only where a rule under `auth` says so"
            ));
        }
        let disallow = user.disallow.unwrap_or(false);
        let user = User { password, disallow, ..User::default() };
        ours.users.insert((*name).to_owned(), user);
    }
    let reached = reached(theirs.auth, report);
    let last_allow = reached.iter().rposition(allows);
    for (number, rule) in reached.iter().enumerate() {
        let path = format!("auth[{number}]");
        if !allows(rule) && last_allow.is_none_or(|last| last < number) {
            report.left_out(format!("{path}: it refused; whom no rule lets in is refused anyway"));
            continue;
        }
        translate_rule(&path, rule, ours, report)?;
    }
    if ours.users.values().any(|user| user.password.is_some()) {
        report.changed("passwords: they are kept as argon2id hashes");
        report.changed(
            "users with a password: a wrong one is refused, whatever the rules under `auth` say; \
             there, these were asked next",
        );
    }
    Ok(())
}

fn hash(password: &str) -> anyhow::Result<PasswordHash> {
    PasswordHash::of(password.as_bytes()).context("hash a password")
}

fn allows(rule: &mochi::AuthRule) -> bool {
    rule.allow.unwrap_or(false)
}

/// A password of `*` is any.
fn password(rule: &mochi::AuthRule) -> Option<&str> {
    rule.password.given().filter(|password| *password != "*")
}

fn meant(rule: &mochi::AuthRule) -> Result<Meant, NotMeant> {
    Meant::read(rule.client.as_deref(), rule.username.as_deref(), rule.remote.as_deref())
}

/// The rules up to one that means everybody: those behind it were never asked.
fn reached<'a>(rules: &'a [mochi::AuthRule], report: &mut Report) -> &'a [mochi::AuthRule] {
    let is_last = |rule: &mochi::AuthRule| {
        password(rule).is_none() && meant(rule).is_ok_and(|meant| meant.is_everybody())
    };
    let Some(last) = rules.iter().position(is_last) else { return rules };
    if last + 1 < rules.len() {
        report
            .left_out(format!("auth[{}] and on: auth[{last}] came before for everybody", last + 1));
    }
    &rules[..=last]
}

fn translate_rule(
    path: &str,
    rule: &mochi::AuthRule,
    ours: &mut LedgerRules,
    report: &mut Report,
) -> anyhow::Result<()> {
    let allow = allows(rule);
    let meant = match meant(rule) {
        Ok(meant) => meant,
        Err(NotMeant::Never(why)) => {
            report.left_out(format!("{path}: it has never meant anybody: {why}"));
            return Ok(());
        }
        Err(NotMeant::NoWord(why)) => {
            let so = if allow { "these are not let in" } else { "these are NOT refused by it" };
            report.look_at(format!("{path}: not carried over, so {so}: {why}"));
            return Ok(());
        }
    };
    if let Some(password) = password(rule) {
        return translate_password(path, rule, password, meant, ours, report);
    }
    if !allow {
        report.look_at(format!(
            "{path}: a deny wins here: it refuses also users with the right password, and whom a \
             rule before it let in"
        ));
    } else if meant.is_everybody() {
        report.look_at(format!("{path}: lets everybody in without a password, as there"));
    }
    let Meant { client, username, remote } = meant;
    ours.auth.push(AuthRule { client, username, remote, allow });
    Ok(())
}

/// A rule with a password: ours has users for that.
fn translate_password(
    path: &str,
    rule: &mochi::AuthRule,
    password: &str,
    meant: Meant,
    ours: &mut LedgerRules,
    report: &mut Report,
) -> anyhow::Result<()> {
    if !allows(rule) {
        report.left_out(format!("{path}: it refused one password only"));
        return Ok(());
    }
    let name = match meant.username.values() {
        [name] if !name.to_string().contains('*') => name.to_string(),
        _ => {
            report.look_at(format!(
                "{path}: one password for several user names: not carried over, so these are not \
                 let in; make each a user"
            ));
            return Ok(());
        }
    };
    let known = ours.users.get(&name);
    if known.is_some_and(|user| user.password.is_some()) {
        report.look_at(format!("{path}: `{name}` has a password already, and can have one only"));
        return Ok(());
    }
    if password.contains('*') {
        report.look_at(format!(
            "{path}: whatever stood behind the `*` of the password was not looked at; here the \
             password is the whole, `*` and all"
        ));
    }
    let user = ours.users.entry(name).or_default();
    user.password = Some(hash(password)?);
    user.client = meant.client;
    user.remote = meant.remote;
    Ok(())
}
