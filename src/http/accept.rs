//! What a client wants to have, where a route has it in two forms.

use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT;

/// Whether the client asks for this media type by its name; `*/*` asks for
/// what a route gives by itself.
pub(super) fn names(request: &HttpRequest, media_type: &str) -> bool {
    request.headers().get_all(ACCEPT).any(|accept| {
        let accepted = accept.to_str().unwrap_or_default().split(',');
        accepted
            .filter_map(|range| range.split(';').next())
            .any(|range| range.trim().eq_ignore_ascii_case(media_type))
    })
}
