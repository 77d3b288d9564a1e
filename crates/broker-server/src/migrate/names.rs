//! Whom one of their rules means: client ids and user names by a text or its
//! beginning, addresses by the beginning of `address:port`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use latchlight_broker::ledger::{AnyOf, Network, Pattern};

/// Whom a rule means, by ours.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Meant {
    pub(super) client: AnyOf<Pattern>,
    pub(super) username: AnyOf<Pattern>,
    pub(super) remote: AnyOf<Network>,
}

/// Why ours cannot mean the same.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum NotMeant {
    /// Theirs has never meant anybody.
    Never(&'static str),
    /// Ours has no word for it.
    NoWord(&'static str),
}

impl Meant {
    /// Whom a rule with these means.
    pub(super) fn read(
        client: Option<&str>,
        username: Option<&str>,
        remote: Option<&str>,
    ) -> Result<Self, NotMeant> {
        Ok(Self {
            client: names(client.unwrap_or_default())?,
            username: names(username.unwrap_or_default())?,
            remote: networks(remote.unwrap_or_default())?,
        })
    }

    pub(super) fn is_everybody(&self) -> bool {
        self.client.is_anything() && self.username.is_anything() && self.remote.is_anything()
    }

    /// Whether somebody may be meant by both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let meet = |one: &AnyOf<Pattern>, other: &AnyOf<Pattern>| {
            let texts = |names: &AnyOf<Pattern>| {
                names.values().iter().map(ToString::to_string).collect::<Vec<_>>()
            };
            let (one, other) = (texts(one), texts(other));
            let is_exact = |names: &[String]| names.iter().all(|name| !name.ends_with('*'));
            one.is_empty()
                || other.is_empty()
                || !(is_exact(&one) && is_exact(&other))
                || one == other
        };
        meet(&self.client, &other.client) && meet(&self.username, &other.username)
    }
}

/// Which names one of their texts means: theirs looks at what stands before
/// the first `*` only.
fn names(text: &str) -> Result<AnyOf<Pattern>, NotMeant> {
    let text = match text.find('*') {
        _ if text.is_empty() || text == "*" => return Ok(AnyOf::default()),
        Some(0) => {
            return Err(NotMeant::Never("a name that begins with `*` was looked for as it is"));
        }
        Some(at) => &text[..=at],
        None => text,
    };
    if text.contains("%c") || text.contains("%u") {
        return Err(NotMeant::NoWord("`%c` and `%u` stand for the client's own names here"));
    }
    let pattern = Pattern::try_from(text.to_owned());
    pattern.map(|pattern| vec![pattern].into()).map_err(|_| NotMeant::Never("an empty name"))
}

/// Which addresses one of their texts means.
fn networks(text: &str) -> Result<AnyOf<Network>, NotMeant> {
    let beginning = match text.find('*') {
        _ if text.is_empty() || text == "*" => return Ok(AnyOf::default()),
        Some(at) => &text[..at],
        None if text.parse::<SocketAddr>().is_ok() => {
            return Err(NotMeant::NoWord("one port of an address cannot be named"));
        }
        None => return Err(NotMeant::Never("an address was looked for with its port: `…:*`")),
    };
    let address = beginning.strip_suffix(':').map(|address| address.trim_matches(['[', ']']));
    let network = match address {
        Some(address) => {
            address.parse::<IpAddr>().map(|address| address.to_string()).map_err(|_| {
                NotMeant::Never("host names were not looked up: an address is made of numbers")
            })?
        }
        None => ipv4_network(beginning)
            .ok_or(NotMeant::NoWord("the beginning of an address, but no network"))?,
    };
    let network = Network::try_from(network);
    network.map(|network| vec![network].into()).map_err(|_| NotMeant::NoWord("no network"))
}

/// The network of all addresses that begin with these whole numbers: `10.0.`.
fn ipv4_network(beginning: &str) -> Option<String> {
    let numbers: Option<Vec<u8>> =
        beginning.strip_suffix('.')?.split('.').map(|number| number.parse().ok()).collect();
    let numbers = numbers.filter(|numbers| numbers.len() < 4)?;
    let mut octets = [0; 4];
    octets[..numbers.len()].copy_from_slice(&numbers);
    Some(format!("{}/{}", Ipv4Addr::from(octets), numbers.len() * 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(text: &str) -> Result<String, NotMeant> {
        let networks = networks(text)?;
        Ok(networks.values().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_beginning_of_an_address_becomes_an_address_or_a_network() {
        for (theirs, ours) in [
            ("", ""),
            ("*", ""),
            ("127.0.0.1:*", "127.0.0.1"),
            ("[::1]:*", "::1"),
            ("10.*", "10.0.0.0/8"),
            ("10.1.*", "10.1.0.0/16"),
            ("10.1.2.*", "10.1.2.0/24"),
        ] {
            assert_eq!(remote(theirs).as_deref(), Ok(ours), "{theirs}");
        }
        for never in ["127.0.0.1", "localhost:*", "localhost"] {
            assert!(matches!(remote(never), Err(NotMeant::Never(_))), "{never}");
        }
        for no_word in ["10.1*", "10.0.0.1*", "10.0.0.1:99", "10.0.0.1:1*", "300.*", "fd00:*"] {
            assert!(remote(no_word).is_err(), "{no_word}");
        }
    }

    #[test]
    fn a_name_ends_at_its_first_asterisk() {
        let pattern =
            |text: &str| names(text).map(|names| names.values().first().map(ToString::to_string));
        assert_eq!(pattern("*"), Ok(None));
        assert_eq!(pattern("door"), Ok(Some("door".to_owned())));
        assert_eq!(pattern("door-*-x"), Ok(Some("door-*".to_owned())));
        assert!(pattern("*door").is_err() && pattern("%c").is_err());
    }
}
