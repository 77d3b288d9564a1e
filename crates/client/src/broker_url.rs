//! Where a broker is, as people write it: `mqtt://user:password@host:1883`.
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use bytestring::ByteString;
use thiserror::Error;

/// The port that MQTT has when none is written.
const DEFAULT_PORT: u16 = 1883;

/// A broker's address and, if they are written, the credentials for it. `mqtt://` and `tcp://`
/// mean the same, and may be left out.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    /// `host:port`, an IPv6 address in brackets.
    pub address: String,
    /// The user name.
    pub username: Option<ByteString>,
    /// The password.
    pub password: Option<Bytes>,
}

/// Why a text is no [`BrokerUrl`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidBrokerUrl {
    /// Only plain MQTT over TCP is spoken.
    #[error("\"{0}://\" is not supported: write mqtt://HOST:PORT")]
    Scheme(String),
    /// There is no host.
    #[error("a host is missing: write mqtt://HOST:PORT")]
    Host,
    /// What stands after the last colon is no port.
    #[error("\"{0}\" is no port: write a number from 1 to 65535")]
    Port(String),
    /// A path or a query follows the address.
    #[error("\"{0}\" does not belong here: the address ends after the port")]
    Rest(String),
    /// A `%` is not followed by two hexadecimal digits, or what they stand for is not UTF-8.
    #[error("the user name or the password has a broken percent encoding")]
    Percent,
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A password stands in no log.
        let password = self.password.as_ref().map(|_| "…");
        formatter
            .debug_struct("BrokerUrl")
            .field("address", &self.address)
            .field("username", &self.username)
            .field("password", &password)
            .finish()
    }
}

impl FromStr for BrokerUrl {
    type Err = InvalidBrokerUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBrokerUrl> {
        let rest = match text.split_once("://") {
            None => text,
            Some(("mqtt" | "tcp", rest)) => rest,
            Some((scheme, _)) => return Err(InvalidBrokerUrl::Scheme(scheme.into())),
        };
        let (userinfo, location) = match rest.rsplit_once('@') {
            Some((userinfo, location)) => (Some(userinfo), location),
            None => (None, rest),
        };
        let location = location.strip_suffix('/').unwrap_or(location);
        if let Some(position) = location.find(['/', '?', '#']) {
            return Err(InvalidBrokerUrl::Rest(location[position..].into()));
        }
        let (username, password) = match userinfo.map(|both| both.split_once(':').ok_or(both)) {
            None => (None, None),
            Some(Err(user)) => (Some(decode_text(user)?), None),
            Some(Ok((user, password))) => {
                (Some(decode_text(user)?), Some(decode_percent(password)?.into()))
            }
        };
        Ok(Self { address: host_and_port(location)?, username, password })
    }
}

fn host_and_port(location: &str) -> Result<String, InvalidBrokerUrl> {
    let (host, port) = match location.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            let number = port.parse::<u16>().ok().filter(|number| *number > 0);
            (host, number.ok_or_else(|| InvalidBrokerUrl::Port(port.into()))?)
        }
        _ => (location, DEFAULT_PORT),
    };
    if host.is_empty() {
        return Err(InvalidBrokerUrl::Host);
    }
    Ok(format!("{host}:{port}"))
}

fn decode_text(text: &str) -> Result<ByteString, InvalidBrokerUrl> {
    let bytes = decode_percent(text)?;
    String::from_utf8(bytes).map(Into::into).map_err(|_| InvalidBrokerUrl::Percent)
}

fn decode_percent(text: &str) -> Result<Vec<u8>, InvalidBrokerUrl> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    let digit = |bytes: &mut std::str::Bytes<'_>| {
        let byte = bytes.next().ok_or(InvalidBrokerUrl::Percent)?;
        char::from(byte).to_digit(16).ok_or(InvalidBrokerUrl::Percent)
    };
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => (digit(&mut bytes)? * 16 + digit(&mut bytes)?) as u8,
            byte => byte,
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn address(text: &str) -> Result<String, InvalidBrokerUrl> {
        text.parse::<BrokerUrl>().map(|url| url.address)
    }

    #[test]
    fn scheme_and_port_may_be_left_out() {
        assert_eq!(address("mqtt://broker:1884").unwrap(), "broker:1884");
        assert_eq!(address("tcp://broker/").unwrap(), "broker:1883");
        assert_eq!(address("127.0.0.1:7").unwrap(), "127.0.0.1:7");
        assert_eq!(address("mqtt://[::1]").unwrap(), "[::1]:1883");
        assert_eq!(address("[::1]:1884").unwrap(), "[::1]:1884");
    }

    #[test]
    fn credentials_are_percent_decoded_and_never_in_the_address() {
        let url: BrokerUrl = "mqtt://key%40pad:p%3Ass@door:1883".parse().unwrap();
        assert_eq!(url.address, "door:1883");
        assert_eq!(url.username.as_deref(), Some("key@pad"));
        assert_eq!(url.password.as_deref(), Some(&b"p:ss"[..]));
        assert!(!format!("{url:?}").contains("p:ss"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(address("mqtts://a"), Err(InvalidBrokerUrl::Scheme("mqtts".into())));
        assert_eq!(address("mqtt://"), Err(InvalidBrokerUrl::Host));
        assert_eq!(address("mqtt://a:0"), Err(InvalidBrokerUrl::Port("0".into())));
        assert_eq!(address("mqtt://a:b"), Err(InvalidBrokerUrl::Port("b".into())));
        assert_eq!(address("mqtt://a:1/x"), Err(InvalidBrokerUrl::Rest("/x".into())));
        assert_eq!(address("mqtt://a%4@b"), Err(InvalidBrokerUrl::Percent));
    }
}
