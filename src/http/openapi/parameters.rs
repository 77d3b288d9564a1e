//! Headers that several routes take.

use utoipa::IntoParams;

/// For routes whose answer a client may keep.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code)] // Reason: `etag.rs` reads the header; this describes it.
pub(in crate::http) struct IfNoneMatch {
    /// The `ETag` of the answer that the client has: 304 where it is the same.
    #[param(required = false, rename = "If-None-Match", example = json!("\"8f1c2ab34d5e6f70-1d2\""))]
    if_none_match: String,
}

/// For routes of whose answer a client may have a part.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code)] // Reason: `range.rs` reads the header; this describes it.
pub(in crate::http) struct Range {
    /// Which bytes are wanted: 206 has them. Several ranges are the whole.
    #[param(required = false, rename = "Range", example = "bytes=0-1023")]
    range: String,
}

/// For routes that tell devices to do something.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code)] // Reason: `operate.rs` reads the header; this describes it.
pub(in crate::http) struct IdempotencyKey {
    /// A word of the client's choice, 1 to 255 visible ASCII characters, for
    /// this very request: whoever asks again with it within 24 hours gets the
    /// answer from before, with `Idempotency-Replayed: true`, and nothing is
    /// done a second time. With another request it is 422, and while the first
    /// is being worked on 409.
    #[param(
        required = false,
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]+$",
        example = "7b0c4a52-unlock-front-door"
    )]
    idempotency_key: String,
}
