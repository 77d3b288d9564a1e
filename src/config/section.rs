//! The shape of the settings section: each key once, and objects where the
//! settings have keys of their own. serde would take a list for an object,
//! its fields in their order, and the `config` crate the last of two keys.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Where an object stands; `[]` is an item of a list, `<id>` a device's or a
/// plugin's name.
pub(super) const OBJECTS: [&str; 24] = [
    "",
    "commands",
    "database",
    "devices",
    "devices.<id>",
    "devices.<id>.grants[]",
    "devices.<id>.topics",
    "events",
    "http",
    "limits",
    "log",
    "messages",
    "mqtt",
    "oidc",
    "pictures",
    "plugins",
    "plugins.allow[]",
    "plugins.allow[].grants",
    "plugins.allow[].grants.commands[]",
    "plugins.installed",
    "plugins.installed.<id>",
    "plugins.installed.<id>.grants",
    "plugins.installed.<id>.grants.commands[]",
    "tls",
];

/// Checks the text of a section.
///
/// # Errors
/// Its shape is another one; the error begins with the path of the key.
pub(super) fn check(section: &str) -> Result<(), String> {
    let mut json = serde_json::Deserializer::from_str(section);
    Place::default().deserialize(&mut json).map_err(|error| {
        let why = error.to_string();
        // It counts the lines of the section, not those of the file.
        why.rfind(" at line ").map_or(why.clone(), |cut| why[..cut].to_owned())
    })
}

/// A value within the section.
#[derive(Default)]
struct Place {
    /// As it is told.
    path: String,
    /// As in [`OBJECTS`].
    pattern: String,
}

impl Place {
    fn of_key(&self, key: &str) -> Self {
        let named = ["devices", "plugins.installed"].contains(&self.pattern.as_str());
        let name = if named { "<id>" } else { key };
        let join = |place: &str, key: &str| {
            if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
        };
        Self { path: join(&self.path, key), pattern: join(&self.pattern, name) }
    }

    fn of_item(&self, number: usize) -> Self {
        Self { path: format!("{}[{number}]", self.path), pattern: format!("{}[]", self.pattern) }
    }
}

impl<'de> DeserializeSeed<'de> for Place {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let place = self.of_key(&key);
            if keys.contains(&key) {
                return Err(A::Error::custom(format!("{}: it stands there twice", place.path)));
            }
            keys.insert(key);
            map.next_value_seed(place)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if OBJECTS.contains(&self.pattern.as_str()) {
            let place = if self.path.is_empty() { "settings" } else { &self.path };
            return Err(A::Error::custom(format!("{place}: a list, not an object")));
        }
        let mut number = 0;
        while list.next_element_seed(self.of_item(number))?.is_some() {
            number += 1;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_list_is_no_object() {
        for (section, place) in [
            (r#"[]"#, "settings"),
            (r#"{"http": ["127.0.0.1:1"]}"#, "http"),
            (r#"{"commands": [5]}"#, "commands"),
            (r#"{"devices": {"a": [[]]}}"#, "devices.a"),
            (r#"{"devices": {"a": {"topics": ["up", "down"]}}}"#, "devices.a.topics"),
            (r#"{"plugins": {"allow": [["a.so", "00"]]}}"#, "plugins.allow[0]"),
        ] {
            assert_eq!(check(section), Err(format!("{place}: a list, not an object")));
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_named() {
        let section = r#"{"devices": {"a": {"grants": []}, "b": {}, "a": {}}}"#;
        assert_eq!(check(section), Err("devices.a: it stands there twice".to_owned()));
    }

    #[test]
    fn what_is_as_it_should_be_is_taken() {
        let section = r#"{
            "http": {"hosts": ["a", "b"], "get_commands": true, "public_url": null},
            "plugins": {"allow": [{"settings": [[1.5, -1], {"a": [2]}]}]}
        }"#;
        assert_eq!(check(section), Ok(()));
    }
}
