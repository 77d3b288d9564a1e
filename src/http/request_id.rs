//! The id of a request: the client's where it is sane, else a new one.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries it, both ways.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest that is taken from a client.
const LONGEST: usize = 128;

/// The id of one request.
#[derive(Debug, Clone)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    /// Takes the client's id, if it is one of 1 to 128 letters, digits, `-`,
    /// `_`, `.`, `:` and `/`; anything else could play games with the log.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let sane = |value: &&HeaderValue| {
            let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(byte);
            (1..=LONGEST).contains(&value.len()) && value.as_bytes().iter().all(fits)
        };
        match headers.get(X_REQUEST_ID).filter(sane) {
            Some(value) => Self(value.clone()),
            None => Self::generate(),
        }
    }

    fn generate() -> Self {
        let mut text = uuid::Uuid::encode_buffer();
        let id = uuid::Uuid::now_v7().hyphenated().encode_lower(&mut text);
        Self(HeaderValue::from_str(id).expect("a UUID is a header value"))
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(super) fn to_header(&self) -> HeaderValue {
        self.0.clone()
    }
}
