//! The API as a document (OpenAPI 3.1), which `/api-docs/openapi.json` answers
//! and `/docs` shows.
//!
//! What a route takes and gives stands above its handler, as
//! `#[utoipa::path(…)]`; the views have their schemas by `ToSchema`. What the
//! page of routes knows (who may ask) and what is the same everywhere (the
//! errors, `ETag`) is added here, so that nobody writes it a second time. To
//! add a route: its line on the page, its annotation, its name in `paths.rs`;
//! the tests below `tests/api/openapi/` say which of them is missing.

mod answers;
mod command_answers;
mod document;
mod examples;
mod parameters;
mod paths;
mod security;

pub(super) use command_answers::CommandAnswers;
pub use document::document;
pub(super) use parameters::{IdempotencyKey, IfNoneMatch, Range};
