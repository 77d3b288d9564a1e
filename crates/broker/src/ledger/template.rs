//! A text with `%c` and `%u` in it, which stand for the client id and the
//! user name of whoever is asked about.

use std::borrow::Cow;

use super::Who;

/// Such a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Text(String),
    ClientId,
    Username,
}

impl Template {
    pub(super) fn parse(mut text: &str) -> Self {
        let mut parts = Vec::new();
        while !text.is_empty() {
            let next = text.find("%c").into_iter().chain(text.find("%u")).min();
            let (before, placeholder) = text.split_at(next.unwrap_or(text.len()));
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            if placeholder.is_empty() {
                break;
            }
            let is_client_id = placeholder.starts_with("%c");
            parts.push(if is_client_id { Part::ClientId } else { Part::Username });
            text = &placeholder[2..];
        }
        Self(parts)
    }

    /// The text for this client; nothing where it has no such name.
    pub(super) fn resolve(&self, who: &Who<'_>) -> Option<Cow<'_, str>> {
        if self.0.is_empty() {
            return Some(Cow::Borrowed(""));
        }
        if let [Part::Text(text)] = self.0.as_slice() {
            return Some(Cow::Borrowed(text));
        }
        let mut resolved = String::new();
        for part in &self.0 {
            resolved.push_str(match part {
                Part::Text(text) => text,
                Part::ClientId => Some(who.client_id).filter(|id| !id.is_empty())?,
                Part::Username => who.username.filter(|name| !name.is_empty())?,
            });
        }
        Some(Cow::Owned(resolved))
    }

    /// Whether this text is meant for somebody: a name may be any.
    pub(super) fn may_be(&self, text: &str) -> bool {
        match self.0.as_slice() {
            [] => text.is_empty(),
            [Part::Text(own)] => own == text,
            _ => true,
        }
    }

    /// Whether this very text is meant.
    pub(super) fn is(&self, text: &str, who: &Who<'_>) -> bool {
        self.resolve(who).is_some_and(|resolved| resolved == text)
    }
}
