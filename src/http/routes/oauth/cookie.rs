//! The cookies of the board's sign-in, which no script of a page can read.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::Data;

use super::error::OauthError;
use crate::http::Origins;
use crate::http::peer::Peer;

/// A cookie, and where it goes.
pub(super) struct Cookie {
    name: &'static str,
    path: &'static str,
    seconds: u32,
    same_site: &'static str,
}

/// The refresh token: it goes to `/oauth` alone, and with no request that
/// another site makes. It is kept as long as a sign-in that is not used.
pub(super) const REFRESH: Cookie = Cookie {
    name: "latchlight_refresh",
    path: "/oauth",
    seconds: 30 * 24 * 60 * 60,
    same_site: "Strict",
};

/// Which browser has set out to the provider: it comes back from another site.
pub(super) const PROVIDER: Cookie =
    Cookie { name: "latchlight_oidc", path: "/oauth/oidc", seconds: 600, same_site: "Lax" };

type Header = (header::HeaderName, String);

impl Cookie {
    /// What sets it.
    pub(super) fn set(&self, value: &str, request: &HttpRequest) -> Header {
        self.header(value, self.seconds, is_secure(request))
    }

    /// What removes it.
    pub(super) fn clear(&self, request: &HttpRequest) -> Header {
        self.header("", 0, is_secure(request))
    }

    /// Its value in a request.
    pub(super) fn read<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let cookies = headers.get_all(header::COOKIE).filter_map(|cookies| cookies.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).map(str::trim);
        pairs.find_map(|pair| pair.strip_prefix(self.name)?.strip_prefix('='))
    }

    fn header(&self, value: &str, seconds: u32, secure: bool) -> Header {
        let Self { name, path, same_site, .. } = self;
        let secure = if secure { "; Secure" } else { "" };
        let kept =
            format!("Path={path}; Max-Age={seconds}; HttpOnly; SameSite={same_site}{secure}");
        (header::SET_COOKIE, format!("{name}={value}; {kept}"))
    }
}

/// Refuses a page of another origin that may ask the server: apps keep their
/// tokens by themselves, and the board's sign-in is the board's.
pub(super) fn check_page(request: &HttpRequest) -> Result<(), OauthError> {
    let origins = request.app_data::<Data<Origins>>();
    if origins.is_none_or(|origins| origins.is_listed(request.headers())) {
        return Err(OauthError::request("the cookie is for the server's own pages"));
    }
    Ok(())
}

/// Whether the page came by TLS.
fn is_secure(request: &HttpRequest) -> bool {
    // A browser says where its page is from, and the envelope has checked it.
    let origin = request.headers().get(header::ORIGIN).map(HeaderValue::as_bytes);
    Peer::of(request).is_tls || origin.is_some_and(|origin| origin.starts_with(b"https://"))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn it_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("latchlight_refreshed=no; a=b"));
        assert_eq!(REFRESH.read(&headers), None);
        headers.append(header::COOKIE, HeaderValue::from_static("c=d; latchlight_refresh=llr_x"));
        assert_eq!(REFRESH.read(&headers), Some("llr_x"));
    }

    #[test]
    fn over_tls_it_goes_over_tls_alone() {
        let plain = TestRequest::default().to_http_request();
        assert!(!REFRESH.set("x", &plain).1.contains("Secure"));
        let origin = (header::ORIGIN, "https://home.example");
        let page = TestRequest::default().insert_header(origin).to_http_request();
        assert!(REFRESH.set("x", &page).1.ends_with("; HttpOnly; SameSite=Strict; Secure"));
        let kept = "latchlight_oidc=; Path=/oauth/oidc; Max-Age=0; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(PROVIDER.clear(&page).1, kept);
    }
}
