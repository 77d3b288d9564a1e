//! Topic names and filters (MQTT 5, 4.7 and 4.8.2).
#![allow(clippy::unwrap_used)]

use latchlight_mqtt::{InvalidTopic, TopicFilter, TopicName};

fn filter(text: &str) -> TopicFilter {
    TopicFilter::try_from(text).unwrap()
}

#[test]
fn a_filter_matches_what_the_standard_says() {
    // MQTT 5, 4.7.1.2 and 4.7.1.3, with their examples.
    for (text, matching, other) in [
        ("sport/tennis/player1/#", "sport/tennis/player1", "sport/tennis/player2"),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", "sport/tennis"),
        ("sport/#", "sport", "sports"),
        ("sport/tennis/+", "sport/tennis/player1", "sport/tennis/player1/ranking"),
        ("sport/+", "sport/", "sport"),
        ("+/+", "/finance", "finance"),
        ("/+", "/finance", "a/finance"),
        ("+", "finance", "/finance"),
        ("#", "a/b/c", "$SYS/a"),
        ("+/tennis/#", "a/tennis", "$SYS/tennis"),
        ("$SYS/#", "$SYS/a", "a/$SYS"),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", "$SYS/monitor"),
        ("a/b", "a/b", "a/B"),
        ("a//b", "a//b", "a/b"),
        ("/", "/", "//"),
        // [MQTT-4.8.2-4]
        ("$share/group/a/+", "a/b", "$share/group/a/b"),
    ] {
        assert!(filter(text).matches(matching), "{text} matches {matching}");
        assert!(!filter(text).matches(other), "{text} does not match {other}");
    }
}

#[test]
fn what_is_no_filter_is_refused_with_the_reason() {
    for (text, why) in [
        ("", InvalidTopic::Empty),
        ("a\0", InvalidTopic::Null),
        ("a#", InvalidTopic::MultiLevel),
        ("a/#/b", InvalidTopic::MultiLevel),
        ("##", InvalidTopic::MultiLevel),
        ("a+", InvalidTopic::SingleLevel),
        ("++/a", InvalidTopic::SingleLevel),
        ("$share/", InvalidTopic::Share),
        ("$share/g", InvalidTopic::Share),
        ("$share/g/", InvalidTopic::Share),
        ("$share//a", InvalidTopic::Share),
        ("$share/#/a", InvalidTopic::Share),
        ("$share/g/a#", InvalidTopic::MultiLevel),
        (&"x".repeat(65_536), InvalidTopic::TooLong),
    ] {
        assert_eq!(TopicFilter::try_from(text), Err(why), "{text:.20}");
    }
    for text in ["a/#", "+", "/", "$share", "$sharer/a", "$share/g/#", "+/+/#"] {
        assert_eq!(filter(text).as_str(), text);
    }
    filter(&"x".repeat(65_535));
}

#[test]
fn a_filter_knows_its_share() {
    let shared = filter("$share/group/a/#");
    assert_eq!(shared.shared(), Some(("group", "a/#")));
    assert_eq!(shared.filter(), "a/#");
    assert!(shared.has_wildcards());
    let plain = filter("$share");
    assert_eq!(plain.shared(), None);
    assert_eq!(plain.filter(), "$share");
    assert!(!plain.has_wildcards());
}

/// Each place of a forbidden byte, since names are read in words of eight.
#[test]
fn a_name_has_no_wildcard_anywhere() {
    for len in 1..=26 {
        let plain = "é".repeat(len);
        TopicName::try_from(plain.as_str()).unwrap();
        for at in 0..len {
            for (forbidden, why) in [
                ('+', InvalidTopic::Wildcard),
                ('#', InvalidTopic::Wildcard),
                ('\0', InvalidTopic::Null),
            ] {
                let mut name: Vec<char> = "x".repeat(len).chars().collect();
                name[at] = forbidden;
                let name: String = name.into_iter().collect();
                assert_eq!(TopicName::try_from(name), Err(why), "{forbidden:?} at {at} of {len}");
            }
        }
    }
    // Bytes that differ from a forbidden one by one bit, or by one.
    for near in ['*', ',', '"', '$', '\u{1}', '\u{80}', 'k', 'c', '\u{AB}', '\u{A3}'] {
        let name = format!("0123456{near}89{near}");
        assert_eq!(TopicName::try_from(name.as_str()).unwrap().as_str(), name);
    }
}

#[test]
fn a_name_has_levels() {
    let name = TopicName::try_from("/a//b").unwrap();
    assert_eq!(name.levels().collect::<Vec<_>>(), ["", "a", "", "b"]);
}
