//! `/`: the board in the browser, which is part of the program.

use actix_web::{HttpRequest, HttpResponse};

use crate::http::etag;

/// The page.
pub(in crate::http) async fn index(request: HttpRequest) -> HttpResponse {
    let page = include_str!("../../../static/index.html");
    etag::answer(&request, "text/html; charset=utf-8", page)
}

/// How it looks.
pub(in crate::http) async fn style(request: HttpRequest) -> HttpResponse {
    let style = include_str!("../../../static/board.css");
    etag::answer(&request, "text/css; charset=utf-8", style)
}

/// What it does.
pub(in crate::http) async fn script(request: HttpRequest) -> HttpResponse {
    let script = include_str!("../../../static/board.js");
    etag::answer(&request, "text/javascript; charset=utf-8", script)
}

/// What it says.
pub(in crate::http) async fn words(request: HttpRequest) -> HttpResponse {
    let words = include_str!("../../../static/words.js");
    etag::answer(&request, "text/javascript; charset=utf-8", words)
}

/// Who is signed in.
pub(in crate::http) async fn session(request: HttpRequest) -> HttpResponse {
    let session = include_str!("../../../static/session.js");
    etag::answer(&request, "text/javascript; charset=utf-8", session)
}

/// How it follows what happens.
pub(in crate::http) async fn live(request: HttpRequest) -> HttpResponse {
    let live = include_str!("../../../static/live.js");
    etag::answer(&request, "text/javascript; charset=utf-8", live)
}

/// Its icon.
pub(in crate::http) async fn icon(request: HttpRequest) -> HttpResponse {
    let icon = include_str!("../../../static/favicon.svg");
    etag::answer(&request, "image/svg+xml", icon)
}
