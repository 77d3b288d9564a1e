//! Their topic filters: one without `#` means all that is below it, too.

use std::collections::BTreeMap;

use latchlight_broker::ledger::{TopicAccess, TopicRule};

use super::report::Report;

/// The same topics, by ours; nothing: no topic has ever been meant.
fn translate(theirs: &str) -> Option<TopicRule> {
    let mut levels: Vec<&str> = Vec::new();
    for level in theirs.split('/') {
        if level == "#" {
            break;
        }
        levels.push(level);
    }
    levels.push("#");
    TopicRule::try_from(levels.join("/")).ok()
}

/// Their numbers.
fn access(number: u8) -> TopicAccess {
    match number {
        1 => TopicAccess::ReadOnly,
        2 => TopicAccess::WriteOnly,
        3 => TopicAccess::ReadWrite,
        _ => TopicAccess::Deny,
    }
}

/// The filters of a rule.
pub(super) fn translate_all(
    path: &str,
    theirs: &BTreeMap<String, u8>,
    report: &mut Report,
) -> BTreeMap<TopicRule, TopicAccess> {
    let mut ours = BTreeMap::new();
    for (filter, number) in theirs {
        let Some(rule) = translate(filter) else {
            report.left_out(format!("{path} `{filter}`: no topic has ever been meant by it"));
            continue;
        };
        if filter.contains("%c") || filter.contains("%u") {
            report.look_at(format!(
                "{path} `{filter}`: `%c` and `%u` stand for the client's own names here"
            ));
        }
        if rule.to_string() != *filter {
            report.changed(format!(
                "{path} `{filter}`: meant all topics below it, too, and is written as `{rule}`: \
                 cut it where that was not the intention"
            ));
        }
        let access = access(*number);
        match ours.get_mut(&rule) {
            None => drop(ours.insert(rule, access)),
            Some(known) if *known == access => {}
            Some(known) => {
                report.look_at(format!("{path} `{filter}`: said twice, and differently: denied"));
                *known = TopicAccess::Deny;
            }
        }
    }
    ours
}

/// Whether a topic may be meant by both.
pub(super) fn meet(one: &TopicRule, other: &TopicRule) -> bool {
    let (one, other) = (one.to_string(), other.to_string());
    for (one, other) in one.split('/').zip(other.split('/')) {
        match (one, other) {
            ("#", _) | (_, "#") => return true,
            ("+", _) | (_, "+") => {}
            (one, other) if one == other => {}
            _ => return false,
        }
    }
    // Every filter ends in `#` by now: the shorter one has met it.
    true
}
