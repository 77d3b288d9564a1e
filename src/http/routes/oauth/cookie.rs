//! The refresh token of a page, where no script of the page can read it.

use actix_web::http::header::{self, HeaderMap, HeaderValue};

const NAME: &str = "latchlight_refresh";

/// What sets the cookie. It goes to `/oauth` alone, and with no request that
/// another site makes.
pub(super) fn set(token: &str, headers: &HeaderMap) -> (header::HeaderName, String) {
    // As long as a sign-in that is not used.
    let kept = "Max-Age=2592000";
    (header::SET_COOKIE, format!("{NAME}={token}; Path=/oauth; {kept}{}", attributes(headers)))
}

/// What removes it.
pub(super) fn clear(headers: &HeaderMap) -> (header::HeaderName, String) {
    (header::SET_COOKIE, format!("{NAME}=; Path=/oauth; Max-Age=0{}", attributes(headers)))
}

/// The token in a request's cookie.
pub(super) fn read(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).filter_map(|cookies| cookies.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).map(str::trim);
    pairs.find_map(|pair| pair.strip_prefix(NAME)?.strip_prefix('='))
}

fn attributes(headers: &HeaderMap) -> &'static str {
    // A browser says where its page is from, and the envelope has checked it.
    let origin = headers.get(header::ORIGIN).map(HeaderValue::as_bytes).unwrap_or_default();
    if origin.starts_with(b"https://") {
        "; HttpOnly; SameSite=Strict; Secure"
    } else {
        "; HttpOnly; SameSite=Strict"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("latchlight_refreshed=no; a=b"));
        assert_eq!(read(&headers), None);
        headers.append(header::COOKIE, HeaderValue::from_static("c=d; latchlight_refresh=llr_x"));
        assert_eq!(read(&headers), Some("llr_x"));
    }

    #[test]
    fn over_tls_it_goes_over_tls_alone() {
        let mut headers = HeaderMap::new();
        assert!(!set("x", &headers).1.contains("Secure"));
        headers.insert(header::ORIGIN, HeaderValue::from_static("https://home.example"));
        assert!(set("x", &headers).1.ends_with("; HttpOnly; SameSite=Strict; Secure"));
    }
}
