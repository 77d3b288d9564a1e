//! The routes, a file each, found from their URLs.

pub(super) mod api;
pub(super) mod api_docs;
pub(super) mod board;
pub(super) mod docs;
pub(super) mod get_pic;
pub(super) mod healthz;
pub(super) mod hello;
pub(super) mod lock;
pub(super) mod messaging;
pub(super) mod metrics;
pub(super) mod oauth;
pub(super) mod picture;
pub(super) mod readyz;
pub(super) mod reporting;
pub(super) mod security_txt;
pub(super) mod test;
pub(super) mod unlock;

pub(super) use api::pictures::upload::Uploads;
pub(super) use api_docs::Document;
