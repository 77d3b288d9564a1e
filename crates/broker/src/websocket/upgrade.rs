//! The HTTP request that a WebSocket begins with (RFC 6455, 4), and what it is
//! answered.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use httparse::{Header, Request, Status};
use sha1::{Digest as _, Sha1};

use super::WebSocket;

/// The largest head of a request, in bytes; a browser's is below 2 KiB, with
/// cookies below 9.
pub(crate) const HEAD_LIMIT: usize = 16 * 1024;

/// The most headers.
const MOST_HEADERS: usize = 64;

/// The only subprotocol that is spoken.
const SUBPROTOCOL: &str = "mqtt";

/// Why there is no WebSocket: the status, and a word about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    status: &'static str,
    pub(crate) why: &'static str,
}

impl Refused {
    pub(crate) const TOO_LARGE: Self =
        Self::new("431 Request Header Fields Too Large", "the request is too large");

    const fn new(status: &'static str, why: &'static str) -> Self {
        Self { status, why }
    }

    const fn bad(why: &'static str) -> Self {
        Self::new("400 Bad Request", why)
    }

    /// What the client is answered.
    pub(crate) fn response(self) -> String {
        let Self { status, why } = self;
        let length = why.len() + 1;
        // [RFC 6455, 4.2.2]: which version is spoken here.
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
             Sec-WebSocket-Version: 13\r\nConnection: close\r\n\r\n{why}\n"
        )
    }
}

/// Answers a request, if all of its head is there; gives the answer and how
/// long the head was.
///
/// # Errors
/// There is to be no WebSocket; the caller answers with the reason.
pub(crate) fn answer(
    settings: &WebSocket,
    bytes: &[u8],
) -> Result<Option<(String, usize)>, Refused> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Refused::TOO_LARGE),
        Err(_) => return Err(Refused::bad("this is no HTTP request")),
    };
    if request.method != Some("GET") || request.version != Some(1) {
        return Err(Refused::bad("a WebSocket begins with GET of HTTP/1.1"));
    }
    if !settings.allows_path(request.path.unwrap_or_default()) {
        return Err(Refused::new("404 Not Found", "there is nothing at this path"));
    }
    let headers = Headers(request.headers);
    headers.check_from(settings)?;
    let key = headers.check_websocket()?;
    let accept = BASE64_STANDARD.encode(
        Sha1::new()
            .chain_update(key)
            .chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
            .finalize(),
    );
    // [MQTT-6.0.0-4]
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
    );
    Ok(Some((answer, length)))
}

struct Headers<'a>(&'a [Header<'a>]);

impl<'a> Headers<'a> {
    /// C23a: a page from elsewhere does not come in through a browser.
    fn check_from(&self, settings: &WebSocket) -> Result<(), Refused> {
        let forbidden = |why| Err(Refused::new("403 Forbidden", why));
        let Some(host) = self.one("host")? else { return Err(Refused::bad("there is no Host")) };
        if !settings.allows_host(host) {
            return forbidden("this server is not called so: the Host is foreign");
        }
        match self.one("origin")? {
            Some(origin) if !settings.allows_origin(origin, host) => {
                forbidden("pages of this Origin are not let in")
            }
            _ => Ok(()),
        }
    }

    /// Whether it is what RFC 6455, 4.2.1 asks for; gives the key.
    fn check_websocket(&self) -> Result<&'a str, Refused> {
        if !self.has("upgrade", "websocket") || !self.has("connection", "upgrade") {
            return Err(Refused::new("426 Upgrade Required", "only WebSocket is spoken here"));
        }
        if self.one("sec-websocket-version")? != Some("13") {
            return Err(Refused::new("426 Upgrade Required", "version 13 is spoken here"));
        }
        let key = self.one("sec-websocket-key")?.unwrap_or_default();
        if BASE64_STANDARD.decode(key).map(|key| key.len()) != Ok(16) {
            return Err(Refused::bad("there is no good Sec-WebSocket-Key"));
        }
        // [MQTT-6.0.0-3]
        let offered = self.all("sec-websocket-protocol");
        if !offered.flat_map(|list| list.split(',')).any(|one| one.trim() == SUBPROTOCOL) {
            return Err(Refused::bad("the subprotocol mqtt is not offered"));
        }
        Ok(key)
    }

    /// The values under a name that are text.
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| std::str::from_utf8(header.value).unwrap_or_default().trim())
    }

    /// The only value under a name.
    fn one(&self, name: &'static str) -> Result<Option<&'a str>, Refused> {
        let mut values = self.all(name);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Refused::bad("a header is there twice that may be there once")),
        }
    }

    /// Whether a list under a name has this word in it.
    fn has(&self, name: &'static str, word: &str) -> bool {
        self.all(name)
            .flat_map(|list| list.split(','))
            .any(|one| one.trim().eq_ignore_ascii_case(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "GET /mqtt HTTP/1.1\r\nHost: localhost:8083\r\nUpgrade: websocket\r\n\
        Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: other, mqtt\r\n\r\n";

    fn refused(request: &str) -> &'static str {
        let refused = answer(&WebSocket::new(), request.as_bytes()).expect_err(request);
        refused.status
    }

    /// The example of RFC 6455, 1.3.
    #[test]
    fn the_key_is_answered_as_the_standard_says() {
        let (answer, length) =
            answer(&WebSocket::new(), GOOD.as_bytes()).expect("good").expect("whole");
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(answer.contains("Sec-WebSocket-Protocol: mqtt\r\n"));
        assert_eq!(length, GOOD.len());
    }

    #[test]
    fn a_request_in_pieces_is_waited_for() {
        for end in 0..GOOD.len() {
            assert_eq!(answer(&WebSocket::new(), &GOOD.as_bytes()[..end]), Ok(None));
        }
    }

    #[test]
    fn what_is_no_request_for_mqtt_is_refused() {
        for (from, to, status) in [
            ("GET", "POST", "400"),
            ("HTTP/1.1", "HTTP/1.0", "400"),
            ("Upgrade: websocket\r\n", "", "426"),
            ("keep-alive, Upgrade", "close", "426"),
            ("Version: 13", "Version: 8", "426"),
            ("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", "400"),
            ("Sec-WebSocket-Key", "X", "400"),
            ("other, mqtt", "other, mqttv5", "400"),
            ("Sec-WebSocket-Protocol: other, mqtt\r\n", "", "400"),
            ("Host: localhost:8083\r\n", "", "400"),
            ("Host: localhost:8083\r\n", "Host: localhost\r\nHost: localhost\r\n", "400"),
            ("localhost:8083", "rebound.example:8083", "403"),
            ("\r\n\r\n", "\r\nOrigin: http://evil.example\r\n\r\n", "403"),
            ("\r\n\r\n", "\r\nOrigin: null\r\n\r\n", "403"),
            ("\r\n\r\n", "\r\nOrigin: http://localhost:8080\r\n\r\n", "403"),
            ("GET", "\u{10}\u{12}", "400"),
        ] {
            assert!(refused(&GOOD.replace(from, to)).starts_with(status), "{from} {to}");
        }
        let many = format!("{}\r\n\r\n", "\r\nA: b".repeat(MOST_HEADERS));
        assert!(refused(&GOOD.replace("\r\n\r\n", &many)).starts_with("431"));
    }

    #[test]
    fn what_is_allowed_is_let_in() {
        let allows = |settings: WebSocket, host: &str, origin: &str| {
            let request = GOOD
                .replace("localhost:8083", host)
                .replace("\r\n\r\n", &format!("\r\nOrigin: {origin}\r\n\r\n"));
            answer(&settings, request.as_bytes()).is_ok()
        };
        let (evil, app) = ("http://evil.example", "https://app.example");
        assert!(allows(WebSocket::new(), "localhost:8083", "http://localhost:8083"));
        assert!(!allows(WebSocket::new(), "app.example", app));
        assert!(allows(WebSocket::new().host("app.example"), "app.example", app));
        assert!(!allows(WebSocket::new().host("app.example"), "other.example", app));
        assert!(allows(WebSocket::new().origin(app), "127.0.0.1", app));
        assert!(!allows(WebSocket::new().origin(app), "127.0.0.1", evil));
        assert!(!allows(WebSocket::new().any_origin(), "other.example", evil));
        assert!(allows(WebSocket::new().any_origin().any_host(), "other.example", evil));
        assert!(!allows(WebSocket::new().any_host(), "other.example", evil));
        assert!(!allows(
            WebSocket::new().path("/other"),
            "localhost:8083",
            "http://localhost:8083"
        ));
        assert!(allows(WebSocket::new().path("/mqtt"), "localhost:8083", "http://localhost:8083"));
    }
}
