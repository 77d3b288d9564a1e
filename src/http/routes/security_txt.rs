//! `/.well-known/security.txt`: whom to tell of a hole (RFC 9116).

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::http::query::{NoQuery, Query};
use crate::http::{ApiError, Services, etag};

/// It is made anew each day, and good for half a year.
const GOOD_FOR: SignedDuration = SignedDuration::from_hours(24 * 182);

/// Whom to tell of a hole.
#[utoipa::path(
    get,
    path = "/.well-known/security.txt",
    tag = "server",
    operation_id = "securityContact",
    responses(
        (status = 200, description = "The contact (RFC 9116).", body = String, content_type = "text/plain", example = "Contact: mailto:me@home.example"),
        (status = 404, description = "There is none (`http.security_contact`)."),
    ),
)]
pub(in crate::http) async fn get(
    request: HttpRequest,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let Some(contact) = &services.settings.security_contact else {
        return Err(ApiError::NotFound("there is none (http.security_contact)".to_owned()));
    };
    let public_url = services.settings.public_url.as_deref();
    let text = text(contact, public_url, Timestamp::now());
    Ok(etag::answer(&request, "text/plain; charset=utf-8", text))
}

fn text(contact: &str, public_url: Option<&str>, now: Timestamp) -> String {
    let today = now.to_zoned(TimeZone::UTC).start_of_day().map_or(now, |day| day.timestamp());
    let expires = today + GOOD_FOR;
    let mut text = format!("Contact: {contact}\nExpires: {expires}\nPreferred-Languages: en\n");
    // The standard has it by TLS alone.
    if let Some(url) = public_url.filter(|url| url.starts_with("https://")) {
        let url = url.trim_end_matches('/');
        text.push_str(&format!("Canonical: {url}/.well-known/security.txt\n"));
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_all_day_and_ends_within_a_year() {
        let at = |time: &str| {
            text("mailto:me@home.example", Some("https://home.example/"), time.parse().unwrap())
        };
        let expected = "Contact: mailto:me@home.example\nExpires: 2026-07-02T00:00:00Z\n\
            Preferred-Languages: en\n\
            Canonical: https://home.example/.well-known/security.txt\n";
        assert_eq!(at("2026-01-01T00:00:00Z"), expected);
        assert_eq!(at("2026-01-01T23:59:59.9Z"), expected);
    }
}
