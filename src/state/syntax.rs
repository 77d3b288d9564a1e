//! What is wrong with the JSON of config.json, for who edited it by hand.

use serde_json::error::Category;

/// What the parser found, in words that say what to do. The place stands
/// beside it.
pub(super) fn explain(text: &str, error: &serde_json::Error) -> String {
    let said = error.to_string();
    let said = said.rfind(" at line ").map_or(said.as_str(), |cut| &said[..cut]);
    let advice = match error.classify() {
        Category::Eof => {
            Some("the file ends too early: what is opened by `{`, `[` or `\"` has to be closed")
        }
        Category::Syntax => of_syntax(said, at(text, error)),
        Category::Io | Category::Data => None,
    };
    advice.map_or_else(|| said.to_owned(), |advice| format!("{said}: {advice}"))
}

fn of_syntax(said: &str, found: &str) -> Option<&'static str> {
    let is_close = found.starts_with(['}', ']']);
    match said {
        _ if found.starts_with("//") || found.starts_with("/*") || found.starts_with('#') => {
            Some("JSON has no comments")
        }
        "trailing comma" => Some("take away the comma before this"),
        "key must be a string" | "expected value" if is_close => {
            Some("take away the comma before this")
        }
        "key must be a string" => Some("a key stands in double quotes"),
        _ if said.starts_with("expected `,`") => Some("is a comma missing before this?"),
        _ => None,
    }
}

/// The text from where the parser stopped.
fn at<'a>(text: &'a str, error: &serde_json::Error) -> &'a str {
    let line = text.split_inclusive('\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    line.get(error.column().saturating_sub(1)..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::explain;

    #[test]
    fn what_people_mistype_is_told_with_what_to_do() {
        for (text, said) in [
            ("{\"settings\": {},\n}", "take away the comma before this"),
            ("{\"settings\": {\"a\": 1,\n  }}", "take away the comma before this"),
            ("{\"settings\": {\"a\": [1, ]}}", "take away the comma before this"),
            ("{\n  // mine\n  \"settings\": {}}", "JSON has no comments"),
            ("{\"settings\": {\n  # mine\n  \"a\": 1}}", "JSON has no comments"),
            ("{settings: {}}", "a key stands in double quotes"),
            ("{\"settings\": {}\n  \"state\": {}}", "is a comma missing before this?"),
            ("{\"settings\": {\"a\": 1", "the file ends too early"),
            ("", "the file ends too early"),
        ] {
            type Sections<'a> = std::collections::BTreeMap<String, &'a RawValue>;
            let error = serde_json::from_str::<Sections<'_>>(text).expect_err(text);
            let explained = explain(text, &error);
            assert!(explained.contains(said), "{text}: {explained}");
            assert!(!explained.contains(" at line "), "{explained}");
        }
    }
}
