//! What a topic of the settings, or of a device, may look like.

use crate::config::DeviceTopics;

/// What is left of a topic below a prefix.
pub(super) fn below<'a>(topic: &'a str, prefix: &str) -> Option<&'a str> {
    topic.strip_prefix(prefix)?.strip_prefix('/')
}

/// Whether a topic is one of a filter's.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    latchlight_mqtt::TopicFilter::try_from(filter).is_ok_and(|filter| filter.matches(topic))
}

/// A name from outside, as messages have it: they may be 64 KiB long.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(120).flat_map(char::escape_default).collect()
}

/// Checks the prefix of all topics.
///
/// # Errors
/// It is empty, too long, or has wildcards, a `$` or empty levels.
pub fn check_prefix(prefix: &str) -> Result<(), String> {
    if prefix.len() > 256 {
        return Err("the prefix is longer than 256 bytes".to_owned());
    }
    check_plain(prefix)
}

/// Checks one of the more topics to listen on.
///
/// # Errors
/// It is no filter, or overlaps with the topics below the prefix: the server
/// never listens where it publishes.
pub fn check_extra(prefix: &str, filter: &str) -> Result<(), String> {
    if latchlight_mqtt::TopicFilter::try_from(filter).is_err() || filter.starts_with('$') {
        return Err(format!("`{}` is not a topic filter without `$`", shown(filter)));
    }
    if overlap(filter, &format!("{prefix}/#")) {
        return Err(format!(
            "`{filter}` overlaps with `{prefix}/#`: the server never listens where it publishes"
        ));
    }
    Ok(())
}

/// Checks one of the filters whose messages are put on record.
///
/// # Errors
/// It is no filter of one's own, or overlaps with the topics below the prefix,
/// on which devices are told their secrets.
pub fn check_recorded(prefix: &str, filter: &str) -> Result<(), String> {
    let parsed = latchlight_mqtt::TopicFilter::try_from(filter);
    if parsed.is_err() || filter.starts_with('$') {
        return Err(format!("`{}` is not a topic filter without `$`", shown(filter)));
    }
    if overlap(filter, &format!("{prefix}/#")) {
        return Err(format!(
            "`{filter}` overlaps with `{prefix}/#`, where devices are told their secrets: its \
             first level must be another name, and no wildcard"
        ));
    }
    Ok(())
}

/// Checks a pair of topics of another shape.
///
/// # Errors
/// One has wildcards or a `$` or stands below the prefix, or both are one.
pub fn check_pair(prefix: &str, pair: &DeviceTopics) -> Result<(), String> {
    check_base(prefix, &pair.up).map_err(|error| format!("up: {error}"))?;
    check_base(prefix, &pair.down).map_err(|error| format!("down: {error}"))?;
    if pair.up == pair.down {
        return Err(format!("up and down are the same topic `{}`", pair.up));
    }
    Ok(())
}

/// Checks a base topic that a device brings along.
///
/// # Errors
/// It has wildcards or a `$`, or does not stand apart from the prefix.
pub(super) fn check_base(prefix: &str, base: &str) -> Result<(), String> {
    check_plain(base)?;
    if base == prefix || below(base, prefix).is_some() || below(prefix, base).is_some() {
        return Err(format!("`{base}` must stand apart from the prefix `{prefix}`"));
    }
    Ok(())
}

fn check_plain(topic: &str) -> Result<(), String> {
    let whole = latchlight_mqtt::TopicName::try_from(topic).is_ok();
    let plain = !topic.starts_with('$') && topic.split('/').all(|level| !level.is_empty());
    if whole && plain && topic.len() <= 1024 {
        Ok(())
    } else {
        Err(format!("`{}` is not a topic without wildcards, `$` and empty levels", shown(topic)))
    }
}

/// Whether some topic matches both filters.
pub fn overlap(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (a.split('/'), b.split('/'));
    loop {
        match (a.next(), b.next()) {
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (None, Some(_)) | (Some(_), None) => return false,
            (Some("+"), Some(_)) | (Some(_), Some("+")) => {}
            (Some(x), Some(y)) if x == y => {}
            _ => return false,
        }
    }
}
