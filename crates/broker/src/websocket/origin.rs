//! Where the page is from that makes a request.

use crate::host::split;

/// Whether an `Origin` is what the request calls the server.
pub(super) fn is_same(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let usual = match scheme.to_ascii_lowercase().as_str() {
        "http" => "80",
        "https" => "443",
        _ => return false,
    };
    let ((from, from_port), (to, to_port)) = (split(authority), split(host));
    from.eq_ignore_ascii_case(to) && from_port.unwrap_or(usual) == to_port.unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_the_same_only_with_its_port() {
        for (origin, host) in [
            ("http://127.0.0.1:8083", "127.0.0.1:8083"),
            ("https://app.example", "APP.example"),
            ("https://app.example", "app.example:443"),
            ("http://app.example:80", "app.example"),
            ("http://[::1]:1", "[::1]:1"),
        ] {
            assert!(is_same(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8083"),
            ("https://app.example", "app.example:80"),
            ("http://app.example", "app.example.evil.example"),
            ("null", "null"),
            ("", ""),
            ("file://localhost", "localhost"),
        ] {
            assert!(!is_same(origin, host), "{origin} {host}");
        }
    }
}
