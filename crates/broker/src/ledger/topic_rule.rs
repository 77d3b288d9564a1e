//! The topic filter of a rule: as a subscription's, with `%c` and `%u` for the
//! client's own id and user name.

use std::fmt;

use latchlight_mqtt::{InvalidTopic, TopicFilter};
use serde::{Deserialize, Serialize};

use super::Who;
use super::template::Template;
use crate::topics::Levels;

/// Such a filter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicRule {
    text: String,
    levels: Vec<Level>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// `+`
    Single,
    /// `#`
    Multi,
    Text(Template),
}

/// What was offered as the filter of a rule and is none.
#[derive(Debug, thiserror::Error)]
#[error("`{0}`: {1}")]
pub struct InvalidTopicRule(String, #[source] InvalidRule);

/// Why it is none.
#[derive(Debug, thiserror::Error)]
enum InvalidRule {
    #[error(transparent)]
    Topic(InvalidTopic),
    #[error(
        "write the filter without `$share/<name>/`: a rule counts for shared subscriptions too"
    )]
    Shared,
}

impl TryFrom<String> for TopicRule {
    type Error = InvalidTopicRule;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match TopicFilter::try_from(text.as_str()) {
            Err(error) => return Err(InvalidTopicRule(text, InvalidRule::Topic(error))),
            Ok(filter) if filter.shared().is_some() => {
                return Err(InvalidTopicRule(text, InvalidRule::Shared));
            }
            Ok(_) => {}
        }
        let level = |level| match level {
            "+" => Level::Single,
            "#" => Level::Multi,
            text => Level::Text(Template::parse(text)),
        };
        let levels = Levels::of(&text).map(level).collect();
        Ok(Self { text, levels })
    }
}

impl From<TopicRule> for String {
    fn from(rule: TopicRule) -> Self {
        rule.text
    }
}

impl fmt::Display for TopicRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TopicRule {
    /// Whether every topic that a filter (or a topic name, which is a filter
    /// of one topic) stands for is meant.
    pub(super) fn covers(&self, filter: &str, who: &Who<'_>) -> bool {
        // [MQTT-4.7.2-1]: a leading wildcard does not reach `$SYS` and alike.
        if filter.starts_with('$') && !matches!(self.levels[0], Level::Text(_)) {
            return false;
        }
        let (mut own, mut asked) = (self.levels.iter(), Levels::of(filter));
        loop {
            match (own.next(), asked.next()) {
                // `#` means the level above it as well.
                (Some(Level::Multi), _) | (None, None) => return true,
                (Some(Level::Single), Some(level)) if level != "#" => {}
                (Some(Level::Text(text)), Some(level))
                    if !matches!(level, "+" | "#") && text.is(level, who) => {}
                _ => return false,
            }
        }
    }

    /// Whether this topic is meant for somebody, and not by a wildcard from the
    /// first level on, which means whatever there is.
    pub(super) fn names(&self, topic: &str) -> bool {
        if !matches!(self.levels[0], Level::Text(_)) {
            return false;
        }
        let (mut own, mut asked) = (self.levels.iter(), Levels::of(topic));
        loop {
            match (own.next(), asked.next()) {
                (Some(Level::Multi), _) | (None, None) => return true,
                (Some(Level::Single), Some(_)) => {}
                (Some(Level::Text(text)), Some(level)) if text.may_be(level) => {}
                _ => return false,
            }
        }
    }

    /// Whether some topic that a filter stands for is meant. A leading
    /// wildcard of the rule reaches `$SYS` here: this is asked in order to
    /// refuse.
    pub(super) fn overlaps(&self, filter: &str, who: &Who<'_>) -> bool {
        let (mut own, mut asked) = (self.levels.iter(), Levels::of(filter));
        loop {
            match (own.next(), asked.next()) {
                (Some(Level::Multi), _) | (_, Some("#")) | (None, None) => return true,
                (Some(Level::Single), Some(_)) | (Some(Level::Text(_)), Some("+")) => {}
                (Some(Level::Text(text)), Some(level)) if text.is(level, who) => {}
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const WHO: Who<'static> = Who {
        client_id: "c+1",
        username: Some("user"),
        address: None,
        certificate: None,
        was_let_in: true,
    };

    fn rule(text: &str) -> TopicRule {
        TopicRule::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_rule_names_what_it_means_for_anybody() {
        for (own, topic) in
            [("a/#", "a/up"), ("a/+/up", "a/b/up"), ("a/%u/up", "a/b/up"), ("a/x-%c", "a/x-1")]
        {
            assert!(rule(own).names(topic), "{own} {topic}");
        }
        for (own, topic) in [("#", "a/up"), ("+/up", "a/up"), ("b/#", "a/up"), ("a/up/x", "a/up")] {
            assert!(!rule(own).names(topic), "{own} {topic}");
        }
    }

    #[test]
    fn a_rule_covers_what_lies_in_it_as_a_whole() {
        for (own, asked) in [
            ("a/#", "a"),
            ("a/#", "a/+/b/#"),
            ("+/b", "a/b"),
            ("+/b", "+/b"),
            ("#", "+/#"),
            ("$SYS/#", "$SYS/a"),
            ("d/%u/%c", "d/user/c+1"),
            ("d/x-%u-%c/#", "d/x-user-c+1/+"),
        ] {
            assert!(rule(own).covers(asked, &WHO), "{own} {asked}");
            assert!(rule(own).overlaps(asked, &WHO), "{own} {asked}");
        }
        for (own, asked) in [
            ("a", "a/b"),
            ("a/b", "a"),
            ("a/+", "a/#"),
            ("a/b", "a/+"),
            ("a/+", "a"),
            ("#", "$SYS/a"),
            ("+/a", "$SYS/a"),
            ("d/%u", "d/+"),
            ("d/%u/#", "#"),
        ] {
            assert!(!rule(own).covers(asked, &WHO), "{own} {asked}");
        }
    }

    #[test]
    fn a_rule_overlaps_what_reaches_into_it() {
        for (own, asked) in [
            ("a/b", "#"),
            ("a/b", "+/b"),
            ("a/b", "a/b/#"),
            ("a/+/c", "a/b/+"),
            ("#", "$SYS/a"),
            ("d/%u/x", "d/+/#"),
        ] {
            assert!(rule(own).overlaps(asked, &WHO), "{own} {asked}");
        }
        for (own, asked) in
            [("a/b", "a"), ("a/b", "a/c/#"), ("a/+", "a/b/c"), ("a", "+/b"), ("d/%u", "d/%u")]
        {
            assert!(!rule(own).overlaps(asked, &WHO), "{own} {asked}");
        }
    }

    #[test]
    fn who_has_no_name_has_no_topic_by_it() {
        let nobody = Who { username: None, ..WHO };
        assert!(!rule("d/%u/x").covers("d//x", &nobody));
        let empty = Who { username: Some(""), ..WHO };
        assert!(!rule("d/%u/x").covers("d//x", &empty));
    }

    #[test]
    fn what_is_no_filter_is_no_rule() {
        for text in ["", "a/#/b", "a+/b", "$share/g/a"] {
            assert!(TopicRule::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
