//! Every handler that is in the document.

use utoipa::OpenApi;

use crate::events::Kind;
use crate::export_format::Format;
use crate::http::error::Problem;
use crate::http::operate;
use crate::http::query::{Cursor, Limit, Moment, TopicQuery, Wait};
use crate::http::routes::api::{
    actions, api_keys, broker, commands, credentials, devices, events, keypad, me, messages,
    pairing, pictures, pins, plugins, users,
};
use crate::http::routes::{
    api_docs, get_pic, healthz, hello, lock, messaging, metrics, oauth, picture, readyz, reporting,
    security_txt, test, unlock,
};
use crate::messages::{Direction, MessageState};
use crate::pictures::PictureSize;

/// The annotations of the handlers, and the schemas that they name.
#[derive(OpenApi)]
#[openapi(
    paths(
        api_docs::get,
        actions::list,
        actions::post,
        api_keys::list,
        api_keys::get,
        api_keys::post,
        api_keys::patch,
        api_keys::delete,
        broker::get,
        commands::get,
        credentials::list,
        devices::commands::list,
        devices::commands::post,
        devices::credentials::get,
        devices::credentials::post,
        devices::credentials::delete,
        devices::list,
        devices::get,
        devices::delete,
        events::export::get,
        events::stream::get,
        events::list,
        events::get,
        keypad::post,
        me::get,
        me::password::post,
        me::pins::list,
        me::pins::post,
        me::pins::delete,
        messages::list,
        messages::get,
        messages::export::get,
        pairing::get,
        pairing::post,
        pairing::delete,
        pictures::list,
        pictures::link::post,
        pictures::upload::post,
        pictures::get,
        pictures::delete,
        pins::list,
        pins::get,
        pins::patch,
        pins::delete,
        plugins::list,
        plugins::put,
        plugins::delete,
        users::list,
        users::get,
        users::post,
        users::patch,
        users::delete,
        users::password::post,
        users::pins::list,
        users::pins::post,
        get_pic::get,
        healthz::get,
        hello::get,
        lock::post,
        lock::get,
        messaging::send::batch::post,
        messaging::send::post,
        metrics::get,
        picture::get,
        oauth::oidc::get,
        oauth::oidc::callback::get,
        oauth::oidc::start::get,
        oauth::revoke::post,
        oauth::token::post,
        readyz::get,
        reporting::all::get,
        security_txt::get,
        test::post,
        unlock::post,
        unlock::get,
    ),
    components(schemas(
        Format, Kind, operate::Body<'_>, Cursor, Direction, Limit, MessageState, Moment, PictureSize, Problem<'_>, TopicQuery, Wait
    ))
)]
pub(super) struct Paths;
