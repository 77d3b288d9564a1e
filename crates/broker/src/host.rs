//! What an HTTP request calls the server: a page from elsewhere can make a name
//! of its own lead here, and then read what it gets.

use std::net::{IpAddr, Ipv6Addr};

/// Whether a `Host` is an address or `localhost`: nobody can make those lead
/// here who does not own them.
pub(crate) fn is_own(host: &str) -> bool {
    let (name, _) = split(host);
    let is_v6 = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match is_v6 {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok(),
    }
}

/// Whether a `Host` is this name, at whatever port.
pub(crate) fn is_called(host: &str, name: &str) -> bool {
    split(host).0.eq_ignore_ascii_case(name)
}

/// A host, and its port if it names one.
pub(crate) fn split(authority: &str) -> (&str, Option<&str>) {
    // The colons within an IPv6 address stand in brackets.
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_the_servers_own() {
        for host in ["127.0.0.1", "192.0.2.1:1", "[::1]", "[2001:db8::1]:8083", "LocalHost:8083"] {
            assert!(is_own(host), "{host}");
        }
        for host in ["", "example.org", "127.0.0.1.example.org", "localhost.example", "::1", "[::1"]
        {
            assert!(!is_own(host), "{host}");
        }
    }
}
