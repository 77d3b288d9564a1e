//! What a request shows in its header `Authorization`.

use actix_web::http::header::{self, HeaderMap};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What is shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Shown<'a> {
    /// Nothing.
    Nothing,
    /// A token or a key (RFC 6750).
    Bearer(&'a str),
    /// A name and a secret (RFC 7617).
    Basic { name: String, secret: String },
    /// Something that is none of these, or more than one.
    Odd,
}

impl<'a> Shown<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut all = headers.get_all(header::AUTHORIZATION);
        let Some(value) = all.next() else { return Self::Nothing };
        let shown = value.to_str().ok().and_then(|value| value.split_once(' '));
        match shown {
            _ if all.next().is_some() => Self::Odd,
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                Self::Bearer(token.trim())
            }
            Some((scheme, pair)) if scheme.eq_ignore_ascii_case("basic") => {
                Self::basic(pair.trim()).unwrap_or(Self::Odd)
            }
            _ => Self::Odd,
        }
    }

    fn basic(pair: &str) -> Option<Self> {
        let pair = String::from_utf8(STANDARD.decode(pair).ok()?).ok()?;
        let (name, secret) = pair.split_once(':')?;
        Some(Self::Basic { name: name.to_owned(), secret: secret.to_owned() })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use actix_web::http::header::{AUTHORIZATION, HeaderValue};

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn what_is_shown_is_one_of_few_things() {
        assert!(Shown::of(&headers(&[])) == Shown::Nothing);
        assert!(Shown::of(&headers(&["bearer abc"])) == Shown::Bearer("abc"));
        let basic = Shown::Basic { name: "door".to_owned(), secret: "a:b".to_owned() };
        assert!(Shown::of(&headers(&["Basic ZG9vcjphOmI="])) == basic);
        for odd in [&["Bearer"][..], &["Basic ZG9vcg=="], &["Basic %"], &["Digest x"]] {
            assert!(Shown::of(&headers(odd)) == Shown::Odd, "{odd:?}");
        }
        let both = headers(&["Bearer abc", "Bearer abc"]);
        assert!(Shown::of(&both) == Shown::Odd, "two are none");
    }
}
