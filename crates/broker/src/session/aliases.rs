//! Topic aliases towards a client that allows them.

use bytestring::ByteString;
use rustc_hash::FxHashMap;

use crate::seldom::Seldom;

/// Which topics an alias stands for, on one connection. The first topics get
/// one and keep it: a client has few topics that come often.
#[derive(Debug, Default)]
pub(crate) struct OutboundAliases {
    known: Seldom<FxHashMap<ByteString, u16>>,
}

/// How a topic is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopicAs {
    /// By its name.
    Name,
    /// By its name, and from now on by this alias.
    NameAnd(u16),
    /// By this alias alone.
    Alias(u16),
}

impl OutboundAliases {
    /// How a topic is to be said now, with at most so many aliases
    /// [MQTT-3.1.2-26].
    pub(crate) fn look_up(&self, topic: &str, most: u16) -> TopicAs {
        if most == 0 {
            return TopicAs::Name;
        }
        match self.known.get(topic) {
            Some(alias) => TopicAs::Alias(*alias),
            None => match u16::try_from(self.known.len() + 1) {
                Ok(next) if next <= most => TopicAs::NameAnd(next),
                _ => TopicAs::Name,
            },
        }
    }

    /// The client was told of an alias.
    pub(crate) fn told(&mut self, topic: &ByteString, alias: u16) {
        self.known.insert(topic.clone(), alias);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_topics_get_an_alias_and_keep_it() {
        let mut aliases = OutboundAliases::default();
        assert_eq!(aliases.look_up("a", 1), TopicAs::NameAnd(1));
        // It was not sent after all.
        assert_eq!(aliases.look_up("b", 1), TopicAs::NameAnd(1));
        aliases.told(&"b".into(), 1);
        assert_eq!(aliases.look_up("b", 1), TopicAs::Alias(1));
        assert_eq!(aliases.look_up("a", 1), TopicAs::Name);
    }

    #[test]
    fn a_client_that_allows_none_gets_none() {
        assert_eq!(OutboundAliases::default().look_up("a", 0), TopicAs::Name);
    }
}
