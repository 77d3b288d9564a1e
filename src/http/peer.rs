//! Who sends a request: from which address, and whether by TLS. Behind a proxy
//! that the settings trust, that is what the proxy says (RFC 7239, or
//! `X-Forwarded-For` and `X-Forwarded-Proto`); what anybody else says there is
//! not looked at.

use std::net::IpAddr;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage as _, HttpRequest};
use latchlight_broker::Network;

use super::ApiError;
use super::connection::Usage;
use crate::config::TrustedProxies;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The client at the other end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Peer {
    /// Nothing: the server's own socket.
    pub(super) address: Option<IpAddr>,
    /// Whether it came by TLS.
    pub(super) is_tls: bool,
    /// A trusted proxy has said so: it came over a network, wherever from.
    is_behind_proxy: bool,
}

/// One step of a request's way, as the proxy after it tells.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    /// Nothing: the proxy does not know, or keeps it to itself.
    from: Option<IpAddr>,
    is_tls: bool,
}

impl Peer {
    /// Looks at a connection, and puts what it sees to the request.
    ///
    /// # Errors
    /// What a trusted proxy says contradicts itself.
    pub(super) fn see(
        request: &ServiceRequest,
        trusted: &TrustedProxies,
    ) -> Result<Self, ApiError> {
        let address = request.peer_addr().map(|peer| peer.ip().to_canonical());
        let is_tls = request.conn_data::<Usage>().is_some_and(Usage::is_tls);
        let peer = Self { address, is_tls, is_behind_proxy: false };
        let peer = peer.behind(trusted, request.headers())?;
        request.extensions_mut().insert(peer);
        Ok(peer)
    }

    /// What was seen.
    pub(super) fn of(request: &HttpRequest) -> Self {
        request.extensions().get::<Self>().copied().unwrap_or_default()
    }

    /// Whether nobody on the way can read it: over TLS, or on this machine.
    pub(super) fn is_private(self) -> bool {
        let is_here = |address| Network::from(address).is_loopback();
        self.is_tls || !self.is_behind_proxy && self.address.is_none_or(is_here)
    }

    fn behind(self, trusted: &TrustedProxies, headers: &HeaderMap) -> Result<Self, ApiError> {
        let is_trusted = |peer: Self| peer.address.is_some_and(|address| trusted.has(address));
        if !is_trusted(self) {
            return Ok(self);
        }
        let walk = |steps: Vec<Step>| {
            let mut peer = Self { is_behind_proxy: true, ..self };
            for step in steps.into_iter().rev() {
                if !is_trusted(peer) {
                    break;
                }
                peer.is_tls = step.is_tls;
                // Who is hidden counts as the proxy that hides them.
                let Some(from) = step.from else { break };
                peer.address = Some(from);
            }
            peer
        };
        let forwarded =
            headers.contains_key(FORWARDED).then(|| forwarded(headers)).transpose()?.map(walk);
        let x_forwarded =
            headers.contains_key(X_FORWARDED_FOR).then(|| walk(x_forwarded(headers, self.is_tls)));
        match (forwarded, x_forwarded) {
            // A proxy sets one of them; the other is the client's own word.
            (Some(one), Some(other)) if one.address != other.address => Err(ApiError::Malformed(
                "Forwarded and X-Forwarded-For differ: the proxy must take away what clients \
                     send of them"
                    .to_owned(),
            )),
            (Some(peer), _) | (None, Some(peer)) => Ok(peer),
            // A proxy that tells the scheme alone.
            (None, None) => {
                let Some(proto) = last(headers, &X_FORWARDED_PROTO) else { return Ok(self) };
                let is_tls = proto.eq_ignore_ascii_case("https");
                Ok(Self { is_tls, is_behind_proxy: true, ..self })
            }
        }
    }
}

/// The steps of `Forwarded`, the newest last (RFC 7239, 4).
///
/// # Errors
/// Something quoted has no end: what a client began would hide what the proxy
/// has put behind it.
fn forwarded(headers: &HeaderMap) -> Result<Vec<Step>, ApiError> {
    let values: Vec<String> = headers.get_all(FORWARDED).map(text).collect();
    if values.iter().any(|value| has_open_quote(value)) {
        let why = "Forwarded: a quoted string has no end";
        return Err(ApiError::Malformed(why.to_owned()));
    }
    let elements = values.iter().flat_map(|value| split(value, ','));
    let step = |element: &str| {
        let mut step = Step { from: None, is_tls: false };
        for pair in split(element, ';') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => step.from = node(value),
                "proto" => step.is_tls = value.eq_ignore_ascii_case("https"),
                _ => {}
            }
        }
        step
    };
    Ok(elements.map(step).collect())
}

/// The steps of `X-Forwarded-For`; of the schemes there is one for all, or one
/// for each.
fn x_forwarded(headers: &HeaderMap, is_tls: bool) -> Vec<Step> {
    let items = |name: &HeaderName| -> Vec<String> {
        let values: Vec<String> = headers.get_all(name).map(text).collect();
        let items = values.iter().flat_map(|value| value.split(','));
        items.map(|item| item.trim().to_owned()).collect()
    };
    let (from, protos) = (items(&X_FORWARDED_FOR), items(&X_FORWARDED_PROTO));
    let each = protos.len() == from.len();
    let steps = from.iter().enumerate().map(|(index, from)| {
        let proto = if each { protos.get(index) } else { protos.last() };
        let is_tls = proto.map_or(is_tls, |proto| proto.eq_ignore_ascii_case("https"));
        Step { from: node(from), is_tls }
    });
    steps.collect()
}

fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let value = headers.get_all(name).last()?.to_str().ok()?;
    value.rsplit(',').next().map(str::trim)
}

/// An address, with a port or without, as both headers write it.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.split(']').next());
    let with_port = || text.rsplit_once(':').map(|(address, _)| address);
    let address = bare.unwrap_or(text).parse().ok();
    let address: Option<IpAddr> = address.or_else(|| with_port()?.parse().ok());
    address.map(|address| address.to_canonical())
}

/// A header's value; what is no text in it spoils no more than its own place.
fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// Whether each next character stands within quotes (RFC 9110, 5.6.4).
fn quoted() -> impl FnMut(char) -> bool {
    let (mut is_quoted, mut is_escaped) = (false, false);
    move |char| {
        if is_escaped {
            is_escaped = false;
        } else if is_quoted && char == '\\' {
            is_escaped = true;
        } else if char == '"' {
            is_quoted = !is_quoted;
        }
        is_quoted
    }
}

/// Whether something quoted has no end.
fn has_open_quote(text: &str) -> bool {
    text.chars().map(quoted()).fold(false, |_, is_quoted| is_quoted)
}

/// Parts of a text, where what is quoted has none.
fn split(text: &str, by: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = quoted();
    text.split(move |char| !is_quoted(char) && char == by)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse().unwrap(), HeaderValue::from_static(value));
        }
        headers
    }

    fn seen(trusted: &str, from: &str, pairs: &[(&str, &'static str)]) -> (String, bool) {
        let trusted: TrustedProxies = serde_json::from_str(trusted).unwrap();
        let address = Some(from.parse().unwrap());
        let peer = Peer { address, ..Peer::default() };
        let peer = peer.behind(&trusted, &headers(pairs)).unwrap();
        (peer.address.unwrap().to_string(), peer.is_tls)
    }

    #[test]
    fn what_a_stranger_says_is_not_looked_at() {
        let says = [
            ("forwarded", "for=127.0.0.1;proto=https"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-proto", "https"),
        ];
        let itself = ("192.0.2.1".to_owned(), false);
        assert_eq!(seen("[]", "192.0.2.1", &says), itself);
        assert_eq!(seen(r#"["192.0.2.2","10.0.0.0/8"]"#, "192.0.2.1", &says), itself);
    }

    #[test]
    fn the_last_step_that_no_trusted_proxy_made_is_the_client() {
        let trusted = r#"["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"]"#;
        let client = |address: &str, is_tls: bool| (address.to_owned(), is_tls);
        for (header, value, expected) in [
            ("x-forwarded-for", "192.0.2.7", client("192.0.2.7", false)),
            ("x-forwarded-for", "1.1.1.1, 192.0.2.7", client("192.0.2.7", false)),
            ("x-forwarded-for", "1.1.1.1, 192.0.2.7, 10.1.2.3", client("192.0.2.7", false)),
            ("x-forwarded-for", "192.0.2.7:4711", client("192.0.2.7", false)),
            ("x-forwarded-for", "::ffff:192.0.2.7", client("192.0.2.7", false)),
            ("x-forwarded-for", "10.0.0.9", client("10.0.0.9", false)),
            ("x-forwarded-for", "192.0.2.7, unknown", client("127.0.0.1", false)),
            ("x-forwarded-for", "", client("127.0.0.1", false)),
            ("forwarded", "for=192.0.2.7;proto=https;by=10.0.0.1", client("192.0.2.7", true)),
            (
                "forwarded",
                "For=1.1.1.1;proto=http, for=192.0.2.7;Proto=HTTPS",
                client("192.0.2.7", true),
            ),
            ("forwarded", "for=1.1.1.1;proto=https, for=192.0.2.7", client("192.0.2.7", false)),
            ("forwarded", r#"for="[2001:4860::1]:80";proto=https"#, client("2001:4860::1", true)),
            (
                "forwarded",
                r#"for=1.1.1.1, for="[2001:db8::1]", for=192.0.2.7"#,
                client("192.0.2.7", false),
            ),
            ("forwarded", r#"for=192.0.2.7;host="a,for=1.1.1.1""#, client("192.0.2.7", false)),
            ("forwarded", "for=_hidden;proto=https", client("127.0.0.1", true)),
            ("forwarded", "nonsense", client("127.0.0.1", false)),
        ] {
            assert_eq!(
                seen(trusted, "127.0.0.1", &[(header, value)]),
                expected,
                "{header}: {value}"
            );
        }
        let lines = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "192.0.2.7")];
        assert_eq!(seen(trusted, "127.0.0.1", &lines).0, "192.0.2.7");
    }

    #[test]
    fn the_scheme_is_the_proxys() {
        let trusted = r#"["127.0.0.1"]"#;
        let is_tls = |pairs: &[_]| seen(trusted, "127.0.0.1", pairs).1;
        let client = ("x-forwarded-for", "192.0.2.7");
        assert!(is_tls(&[client, ("x-forwarded-proto", "https")]));
        assert!(!is_tls(&[client, ("x-forwarded-proto", "http")]));
        assert!(!is_tls(&[client, ("x-forwarded-proto", "https, http, http")]));
        assert!(is_tls(&[("x-forwarded-proto", "https")]));
        let both = ("x-forwarded-for", "1.1.1.1, 192.0.2.7");
        assert!(is_tls(&[both, ("x-forwarded-proto", "http, https")]));
    }

    #[test]
    fn a_proxy_that_lets_a_clients_own_word_through_is_told_so() {
        let trusted: TrustedProxies = serde_json::from_str(r#"["127.0.0.1"]"#).unwrap();
        let peer = Peer { address: Some("127.0.0.1".parse().unwrap()), ..Peer::default() };
        let two = [("forwarded", "for=10.0.0.1"), ("x-forwarded-for", "192.0.2.7")];
        assert!(peer.behind(&trusted, &headers(&two)).is_err());
        let same = [("forwarded", "for=192.0.2.7"), ("x-forwarded-for", "192.0.2.7")];
        assert!(peer.behind(&trusted, &headers(&same)).is_ok());
    }

    #[test]
    fn what_a_client_quotes_hides_nothing_that_the_proxy_adds() {
        let trusted = r#"["127.0.0.1"]"#;
        let added = r#"for=10.0.0.5;proto=https;x="\"", for=192.0.2.7"#;
        let seen_as = seen(trusted, "127.0.0.1", &[("forwarded", added)]);
        assert_eq!(seen_as, ("192.0.2.7".to_owned(), false));
        let trusted: TrustedProxies = serde_json::from_str(trusted).unwrap();
        let peer = Peer { address: Some("127.0.0.1".parse().unwrap()), ..Peer::default() };
        for open in [r#"for=10.0.0.5;x=", for=192.0.2.7"#, r#"for=10.0.0.5;x="\", for=192.0.2.7"#] {
            assert!(peer.behind(&trusted, &headers(&[("forwarded", open)])).is_err(), "{open}");
        }
        for name in ["forwarded", "x-forwarded-for"] {
            let own = if name == "forwarded" { "for=" } else { "" };
            let value = [b"\xff, ", own.as_bytes(), b"192.0.2.7"].concat();
            let mut headers = HeaderMap::new();
            headers.append(name.parse().unwrap(), HeaderValue::from_bytes(&value).unwrap());
            let address = peer.behind(&trusted, &headers).unwrap().address.unwrap();
            assert_eq!(address.to_string(), "192.0.2.7", "{name}");
        }
    }

    #[test]
    fn c22_what_came_over_a_network_is_private_by_tls_alone() {
        let trusted: TrustedProxies = serde_json::from_str(r#"["127.0.0.1"]"#).unwrap();
        let peer = Peer { address: Some("127.0.0.1".parse().unwrap()), ..Peer::default() };
        let is_private =
            |name, value| peer.behind(&trusted, &headers(&[(name, value)])).unwrap().is_private();
        assert!(peer.behind(&trusted, &HeaderMap::new()).unwrap().is_private());
        for (name, value) in [
            ("forwarded", "for=_hidden;proto=http"),
            ("forwarded", "for=127.0.0.1"),
            ("x-forwarded-for", "unknown"),
            ("x-forwarded-proto", "http"),
        ] {
            assert!(!is_private(name, value), "{name}: {value}");
        }
        assert!(is_private("forwarded", "for=_hidden;proto=https"));
        assert!(is_private("x-forwarded-proto", "https"));
    }
}
