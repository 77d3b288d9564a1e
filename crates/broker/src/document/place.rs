//! Where in a text something stands that its path names.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Format, as_usize};

/// A mistake with its place, where it begins with the path of something; of
/// what is missing, the place where it should be.
pub(super) fn said(mistake: &str, text: &str, format: Format) -> String {
    let path = mistake.split_once(": ").and_then(|(path, _)| steps(path));
    match path.and_then(|path| find(&path, text, format)) {
        Some((line, column)) => format!("{mistake} (line {line}, column {column})"),
        None => mistake.to_owned(),
    }
}

/// A step of a path.
#[derive(Debug, PartialEq)]
enum Step<'a> {
    Key(&'a str),
    Number(usize),
}

/// The steps of a path as in `listeners[1].address`; nothing: it is none.
fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    for level in path.split('.') {
        let (key, numbers) = level.split_at(level.find('[').unwrap_or(level.len()));
        if key.is_empty() || key.contains(char::is_whitespace) {
            return None;
        }
        steps.push(Step::Key(key));
        for number in numbers.split_terminator(']') {
            steps.push(Step::Number(number.strip_prefix('[')?.parse().ok()?));
        }
    }
    Some(steps)
}

/// Line and column of what is at the end of a path, or of its key.
fn find(path: &[Step<'_>], text: &str, format: Format) -> Option<(usize, usize)> {
    match format {
        Format::Json => {
            let mut json = serde_json::Deserializer::from_str(text);
            let found = Walk(path).deserialize(&mut json).err()?;
            Some((found.line(), found.column()))
        }
        Format::Yaml => {
            let options = serde_saphyr::options! { with_snippet: false };
            let walked =
                serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
                    Walk(path).deserialize(yaml)
                });
            let found = walked.err()?;
            let place = found.location()?;
            Some((as_usize(place.line()), as_usize(place.column())))
        }
    }
}

/// Goes along a path and fails at its end: what has read the text so far says
/// where that is.
struct Walk<'a>(&'a [Step<'a>]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0.first() {
            Some(Step::Key(_)) => deserializer.deserialize_map(self),
            Some(Step::Number(_)) => deserializer.deserialize_seq(self),
            None => deserializer.deserialize_any(self),
        }
    }
}

/// Whatever it does not take is what was looked for.
impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the end of a path")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        if let Some((Step::Key(wanted), rest)) = self.0.split_first() {
            while let Some(key) = map.next_key::<String>()? {
                if key == *wanted {
                    return map.next_value_seed(Walk(rest));
                }
                map.next_value::<IgnoredAny>()?;
            }
        }
        Err(M::Error::custom("here"))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<(), S::Error> {
        if let Some((Step::Number(wanted), rest)) = self.0.split_first() {
            for _ in 0..*wanted {
                list.next_element::<IgnoredAny>()?;
            }
            list.next_element_seed(Walk(rest))?;
        }
        Err(S::Error::custom("here"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_in_yaml_and_json() {
        let yaml = "listeners:\n  - {address: x}\n  - address: y\n    kind: z\naccess: {}\n";
        let json = "{\"listeners\": [\n  {\"address\": \"x\"},\n  {\"address\": \"y\"}\n]}";
        let at = |path: &str, text, format| find(&steps(path).unwrap(), text, format);
        for (path, in_yaml, json_line) in [
            // In JSON, the place of a list is that of the first in it.
            ("listeners", (2, 3), 2),
            ("listeners[0].address", (2, 6), 2),
            ("listeners[1].address", (3, 5), 3),
            // It is not there: where it would have to be.
            ("listeners[1].key", (3, 5), 3),
        ] {
            assert_eq!(at(path, yaml, Format::Yaml), Some(in_yaml), "{path}");
            assert_eq!(at(path, json, Format::Json).unwrap().0, json_line, "{path}");
        }
    }

    #[test]
    fn what_does_not_begin_with_a_path_is_said_as_it_is() {
        for mistake in ["nothing", "it is: bad", "a[x]: bad", ": bad"] {
            assert_eq!(said(mistake, "a: 1", Format::Yaml), mistake);
        }
    }
}
