//! Who may do what: their users' filters and ACL rules. Theirs takes the first
//! that fits, among the filters of one rule in any order; ours adds up what is
//! granted, and a deny wins.

use std::collections::BTreeMap;

use latchlight_broker::ledger::{AclRule, AnyOf, LedgerRules, Pattern, TopicAccess, TopicRule};

use super::filter;
use super::mochi::LedgerView;
use super::names::{Meant, NotMeant};
use super::report::Report;

/// Filters that are asked together, with whom they mean.
struct Stage {
    path: String,
    meant: Meant,
    filters: BTreeMap<TopicRule, TopicAccess>,
}

/// Writes the users' filters and the ACL rules.
pub(super) fn translate(theirs: &LedgerView<'_>, ours: &mut LedgerRules, report: &mut Report) {
    let mut stages = Vec::new();
    for (name, user) in &theirs.users {
        let path = format!("users.{name}.acl");
        let Some(theirs) = &user.acl else { continue };
        let Some(user) = ours.users.get_mut(*name) else { continue };
        user.acl = filter::translate_all(&path, theirs, report);
        let username: AnyOf<Pattern> =
            Pattern::try_from((*name).to_owned()).map(|name| vec![name].into()).unwrap_or_default();
        let meant = Meant { username, ..Meant::default() };
        stages.push(Stage { path, meant, filters: user.acl.clone() });
    }
    for (number, rule) in theirs.acl.iter().enumerate() {
        let path = format!("acl[{number}]");
        let none = BTreeMap::new();
        let filters = rule.filters.as_ref().unwrap_or(&none);
        let (client, username) = (rule.client.as_deref(), rule.username.as_deref());
        let meant = match Meant::read(client, username, rule.remote.as_deref()) {
            Ok(meant) => meant,
            Err(NotMeant::Never(why)) => {
                report.left_out(format!("{path}: it has never meant anybody: {why}"));
                continue;
            }
            Err(NotMeant::NoWord(why)) => {
                let denies = filters.values().any(|access| *access != 3);
                let so = if denies { ", so what it denied is NOT denied" } else { "" };
                report.look_at(format!("{path}: not carried over{so}: {why}"));
                continue;
            }
        };
        let allows_all = filters.is_empty();
        let filters = match allows_all {
            true => filter::translate_all(&path, &BTreeMap::from([("#".to_owned(), 3)]), report),
            false => filter::translate_all(&path, filters, report),
        };
        if allows_all {
            report.changed(format!(
                "{path}: without filters, it allowed everything: `'#': read-write`"
            ));
        }
        let is_last = allows_all && meant.is_everybody();
        stages.push(Stage { path, meant, filters });
        if is_last {
            if number + 1 < theirs.acl.len() {
                let next = number + 1;
                report.left_out(format!(
                    "acl[{next}] and on: acl[{number}] came before for everybody"
                ));
            }
            break;
        }
    }
    compare(&stages, report);
    let rules = stages.into_iter().filter(|stage| stage.path.starts_with("acl["));
    ours.acl = rules
        .filter(|stage| !stage.filters.is_empty())
        .map(|Stage { meant: Meant { client, username, remote }, filters, .. }| AclRule {
            client,
            username,
            remote,
            filters,
        })
        .collect();
    if !ours.acl.is_empty() || ours.users.values().any(|user| !user.acl.is_empty()) {
        report.changed(
            "subscriptions: one is granted as a whole or not at all; there, a filter was compared \
             as if it were a topic, and the messages were checked one by one",
        );
    }
}

/// Says where what was decided by the order, or by chance, is not so here.
fn compare(stages: &[Stage], report: &mut Report) {
    for (number, stage) in stages.iter().enumerate() {
        for (filter, access) in &stage.filters {
            if *access == TopicAccess::Deny {
                for (other, _) in meeting(stage, filter).filter(|(_, other)| *other != access) {
                    report.changed(format!(
                        "{} `{filter}`: deny wins over `{other}` of the same rule; there, it lost \
                         or chance decided",
                        stage.path
                    ));
                }
            }
            let before = stages[..number].iter().filter(|before| before.meant.meets(&stage.meant));
            for before in before {
                compare_with(before, stage, filter, *access, report);
            }
        }
    }
}

/// What a filter does to those that were asked before it.
fn compare_with(
    before: &Stage,
    stage: &Stage,
    filter: &TopicRule,
    access: TopicAccess,
    report: &mut Report,
) {
    use TopicAccess::{Deny, ReadOnly, WriteOnly};
    for (other, decided) in meeting(before, filter) {
        let (path, before) = (&stage.path, &before.path);
        let grants = match (access, *decided) {
            (Deny, Deny) => continue,
            (Deny, _) => {
                report.changed(format!(
                    "{path} `{filter}`: deny counts also where {before} `{other}` allowed it"
                ));
                continue;
            }
            // What it grants, it does not grant there.
            _ if stage.filters.get(other) == Some(&Deny) => continue,
            (access, ReadOnly) if access != ReadOnly => "publishing",
            (access, WriteOnly) if access != WriteOnly => "subscribing",
            _ => continue,
        };
        report.look_at(format!(
            "{path} `{filter}`: also grants {grants} that {before} `{other}` had refused"
        ));
    }
}

/// The filters of a stage that meet another one than themselves.
fn meeting<'a>(
    stage: &'a Stage,
    filter: &'a TopicRule,
) -> impl Iterator<Item = (&'a TopicRule, &'a TopicAccess)> {
    let is_other = move |other: &TopicRule| !std::ptr::eq(other, filter);
    stage.filters.iter().filter(move |(other, _)| is_other(other) && filter::meet(other, filter))
}
