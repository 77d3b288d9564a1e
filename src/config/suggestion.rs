//! What somebody who mistyped a key may have meant.

use super::section::OBJECTS;

/// How alike two names have to be, from 0 to 1, to be taken for each other.
const ALIKE: f64 = 0.8;

/// The error of an unknown key with the key that was meant, where one is like
/// it, in the place of all that there are.
pub(super) fn of_key(error: String) -> String {
    let Some((before, keys)) = error.split_once("`, expected ") else { return error };
    let Some((_, unknown)) = before.rsplit_once("unknown field `") else { return error };
    // Every second part stands between backticks.
    let keys = keys.split('`').skip(1).step_by(2);
    let nearest = keys
        .map(|key| (strsim::jaro_winkler(unknown, key), key))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    match nearest {
        Some((_, key)) => format!("{before}`: did you mean `{key}`?"),
        None => error,
    }
}

/// The variable that was meant by one that lacks the second underscore between
/// the section and the key.
pub(super) fn of_variable(variable: &str) -> Option<String> {
    let name = super::environment::name_in_settings(variable)?;
    let sections = OBJECTS.iter().filter(|section| !section.is_empty() && !section.contains('.'));
    let mut keys = sections.filter_map(|section| name.strip_prefix(section)?.strip_prefix('_'));
    let key = keys.next()?.len();
    let (section, key) = variable.split_at_checked(variable.len().checked_sub(key)?)?;
    (!key.starts_with('_')).then(|| format!("{section}_{key}"))
}

#[cfg(test)]
mod tests {
    use super::{of_key, of_variable};

    #[test]
    fn a_key_that_is_like_another_has_it_named() {
        for (error, said) in [
            (
                "http.listn: unknown field `listn`, expected one of `listen`, `hosts`",
                "http.listn: unknown field `listn`: did you mean `listen`?",
            ),
            (
                "devices.a.grant: unknown field `grant`, expected `grants` or `alerts`",
                "devices.a.grant: unknown field `grant`: did you mean `grants`?",
            ),
            (
                "colour: unknown field `colour`, expected one of `http`, `mqtt`",
                "colour: unknown field `colour`, expected one of `http`, `mqtt`",
            ),
            ("data: invalid type", "data: invalid type"),
        ] {
            assert_eq!(of_key(error.to_owned()), said);
        }
    }

    #[test]
    fn a_variable_with_one_underscore_has_the_right_one_named() {
        let meant = |variable| of_variable(variable).unwrap_or_default();
        assert_eq!(meant("LATCHLIGHT_HTTP_LISTEN"), "LATCHLIGHT_HTTP__LISTEN");
        assert_eq!(meant("LATCHLIGHT_HTTP_ALLOW_PLAIN"), "LATCHLIGHT_HTTP__ALLOW_PLAIN");
        assert_eq!(meant("LATCHLIGHT_HTTP__LISTEN"), "");
        assert_eq!(meant("LATCHLIGHT_FOO_BAR"), "");
    }
}
