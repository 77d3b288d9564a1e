//! Settings in the environment: which variable sets which key.

/// How the names of environment variables begin; two underscores stand
/// between the levels: `LATCHLIGHT_HTTP__LISTEN`.
pub(super) const ENVIRONMENT_PREFIX: &str = "LATCHLIGHT";

/// Where a setting stands that a variable sets, as it is told.
pub(super) fn place(variable: &str) -> String {
    format!("the environment's {variable}")
}

/// The key that a variable of the environment sets.
pub(super) fn key(variable: &str) -> Option<String> {
    name_in_settings(variable).map(|name| name.replace("__", "."))
}

/// A variable's name without the prefix, in small letters.
pub(super) fn name_in_settings(variable: &str) -> Option<String> {
    let name = variable.to_lowercase();
    let name = name.strip_prefix(&ENVIRONMENT_PREFIX.to_lowercase())?.strip_prefix('_')?;
    Some(name.to_owned())
}

/// Whether an error, which begins with a path, is about this key or what is
/// in it.
pub(super) fn is_at(key: &str, error: &str) -> bool {
    let rest = error.strip_prefix(key);
    rest.is_some_and(|rest| rest.starts_with([':', '.', '[', ' ']))
}

#[cfg(test)]
mod tests {
    use crate::config::load::tests::load;

    #[test]
    fn the_environment_wins_over_the_file() {
        let section = r#"{"http": {"listen": "127.0.0.1:1"}, "commands": {"expires_in": 20}}"#;
        let settings = load(
            section,
            &[("LATCHLIGHT_HTTP__LISTEN", "127.0.0.1:2"), ("LATCHLIGHT_COMMANDS__EXPIRES_IN", "7")],
        );
        let settings = settings.expect("both");
        assert_eq!(settings.http.listen, Some(([127, 0, 0, 1], 2).into()));
        assert_eq!(settings.commands.expires_in, 7);
    }

    #[test]
    fn a_list_in_the_environment_has_commas_or_is_json() {
        let settings = load(
            r#"{"mqtt": {"topics": ["old/#"]}}"#,
            &[
                ("LATCHLIGHT_MQTT__TOPICS", "weather/#, house/+/night"),
                ("LATCHLIGHT_HTTP__HOSTS", r#"["home.example", "[::1]"]"#),
                (
                    "LATCHLIGHT_DEVICES__KEYPAD__GRANTS",
                    r#"[{"actions": ["lock"], "devices": ["shed"]}]"#,
                ),
            ],
        );
        let settings = settings.expect("lists");
        assert_eq!(settings.mqtt.topics, ["weather/#", "house/+/night"]);
        assert_eq!(settings.http.hosts, ["home.example", "[::1]"]);
        let keypad = settings.devices.values().next().expect("keypad");
        assert!(keypad.grants(crate::commands::Verb::Lock, &"shed".parse().expect("id")));
        let error = load("{}", &[("LATCHLIGHT_PLUGINS__ALLOW", r#"[{"file": 1}]"#)]);
        let error = error.expect_err("no entry");
        assert!(error.contains("plugins.allow: as a JSON list: [0].file"), "{error}");
    }

    #[test]
    fn what_the_environment_set_wrongly_is_named_by_its_variable() {
        for (name, value, why) in [
            ("LATCHLIGHT_HTTP__LISEN", "x", "http.lisen: unknown field"),
            ("LATCHLIGHT_FOO", "1", "foo: unknown field"),
            ("LATCHLIGHT_HTTP__LISTEN", "8080", "`8080` is not an address"),
            ("LATCHLIGHT_MQTT__TOPICS", "a/b,$SYS/x", "mqtt.topics[1]"),
            ("LATCHLIGHT_LOG__LEVEL", "loud", "log.level: `loud`"),
        ] {
            let error = load(r#"{"mqtt": {"topics": []}}"#, &[(name, value)]).expect_err(name);
            assert!(error.starts_with(&format!("the environment's {name}: ")), "{error}");
            assert!(error.contains(why), "{error}");
        }
        for (name, meant) in [
            ("LATCHLIGHT_HTTP__LISEN", "did you mean `listen`?"),
            ("LATCHLIGHT_HTTP_LISTEN", "did you mean LATCHLIGHT_HTTP__LISTEN?"),
        ] {
            let error = load("{}", &[(name, "127.0.0.1:0")]).expect_err(name);
            assert!(error.ends_with(meant), "{error}");
        }
        // The file's fault stays the file's.
        let error = load(r#"{"http": {"x": 1}}"#, &[("LATCHLIGHT_HTTP__LISTEN", "127.0.0.1:0")]);
        assert!(error.as_ref().expect_err("x").starts_with("settings: http.x"), "{error:?}");
    }
}
