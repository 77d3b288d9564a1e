//! HTTP: the API for apps, and the board. Every route stands on this page.
//!
//! A request passes through `envelope.rs` (its id, its span, where it comes
//! from; errors become problem details, see `error.rs`) and through `auth.rs`
//! (who asks, and whether that is enough for the route) to its route file,
//! which is found from its URL below `routes/`.
//!
//! Absent by design: nothing here names a topic; devices are operated through
//! the device interface's handle only. Other origins' pages are
//! let in where the settings list them (`cors.rs`), and refused else (`origin.rs`).

mod accept;
mod account_change;
mod account_list;
mod account_view;
mod auth;
mod authorization;
mod body;
mod command_page;
mod command_view;
mod connection;
mod cors;
mod counts;
mod entrance;
mod envelope;
mod error;
mod etag;
mod event_stream;
mod export_answer;
mod message_answer;
mod message_body;
mod message_columns;
mod message_view;
mod needs;
mod once;
pub mod openapi;
mod operate;
mod origin;
mod password_change;
mod peer;
mod picture_answer;
mod pin_view;
mod query;
mod range;
mod request_id;
mod resource;
mod routes;
mod server;
mod services;
mod stopping;
mod streams;
mod waiting;

use actix_web::web::{self, ServiceConfig};

pub use error::ApiError;
pub use needs::Needs;
pub use origin::Origins;
pub use resource::RouteInfo;
pub use server::{Listening, listen, run};
pub use services::{BrokerAddress, Services};
pub use waiting::{Waiting, answer_while_waiting};

use crate::identity::Scope::{
    self, Admin, DevicesRead, EventsRead, LightsOperate, LocksOperate, MessagesRead, MessagesSend,
    MetricsRead, PicturesRead, PicturesWrite,
};
use Needs::Nothing;
use resource::{Resource, resource};
use routes::api::{
    actions, api_keys, broker, commands, credentials, devices, events, keypad, me, messages,
    pairing, pictures, pins, plugins, users,
};
use routes::{
    api_docs, board, docs, get_pic, healthz, hello, lock, messaging, metrics, oauth, picture,
    readyz, reporting, security_txt, test, unlock,
};

/// To have devices operated: which of them, is decided device by device.
const OPERATE: [Scope; 2] = [LocksOperate, LightsOperate];

/// To see what became of a command: also who may do no more than give it.
const COMMANDS: [Scope; 3] = [DevicesRead, LocksOperate, LightsOperate];

/// To follow what happens: everything, or what becomes of the devices that one
/// may see.
const FOLLOW: [Scope; 2] = [EventsRead, DevicesRead];

/// To see what the server counts: a key for Prometheus needs no more than the
/// first, and whoever manages the server need not ask for it.
const METRICS: [Scope; 2] = [MetricsRead, Admin];

/// To see messages: one's own, or with the second all of them.
const MESSAGES: [Scope; 2] = [MessagesSend, MessagesRead];

/// Every route, with what each of its methods needs.
#[rustfmt::skip]
fn resources() -> Vec<Resource> {
    vec![
        resource("/hello").read(Nothing, hello::get),
        resource("/lock").post(OPERATE, lock::post).oldest_get(OPERATE, lock::get),
        resource("/unlock").post(OPERATE, unlock::post).oldest_get(OPERATE, unlock::get),
        resource("/test").post(OPERATE, test::post),
        resource("/get_pic").read(PicturesRead, get_pic::get),
        resource("/picture/{id}").read(Nothing, picture::get),
        resource("/messaging/send").post(MessagesSend, messaging::send::post),
        resource("/messaging/send/batch").post(MessagesSend, messaging::send::batch::post),
        resource("/reporting/all").read(MESSAGES, reporting::all::get),
        resource("/healthz").read(Nothing, healthz::get),
        resource("/readyz").read(Nothing, readyz::get),
        resource("/metrics").read(METRICS, metrics::get),
        resource("/oauth/token").post(Nothing, oauth::token::post),
        resource("/oauth/revoke").post(Nothing, oauth::revoke::post),
        resource("/oauth/oidc").read(Nothing, oauth::oidc::get),
        resource("/oauth/oidc/start").read(Nothing, oauth::oidc::start::get),
        resource("/oauth/oidc/callback").read(Nothing, oauth::oidc::callback::get),
        resource("/.well-known/security.txt").read(Nothing, security_txt::get),
        resource("/api/v1/actions").read(DevicesRead, actions::list),
        resource("/api/v1/actions/{name}").post(OPERATE, actions::post),
        resource("/api/v1/api-keys").read(Admin, api_keys::list).post(Admin, api_keys::post),
        resource("/api/v1/api-keys/{name}").read(Admin, api_keys::get).patch(Admin, api_keys::patch).delete(Admin, api_keys::delete),
        resource("/api/v1/broker").read(DevicesRead, broker::get),
        resource("/api/v1/commands/{id}").read(COMMANDS, commands::get),
        resource("/api/v1/credentials").read(Admin, credentials::list),
        resource("/api/v1/devices").read(DevicesRead, devices::list),
        resource("/api/v1/devices/{id}").read(DevicesRead, devices::get).delete(Admin, devices::delete),
        resource("/api/v1/devices/{id}/commands").read(DevicesRead, devices::commands::list).post(OPERATE, devices::commands::post),
        resource("/api/v1/devices/{id}/credentials").read(Admin, devices::credentials::get).post(Admin, devices::credentials::post).delete(Admin, devices::credentials::delete),
        resource("/api/v1/events").read(EventsRead, events::list),
        resource("/api/v1/events/export").read(EventsRead, events::export::get),
        resource("/api/v1/events/stream").read(FOLLOW, events::stream::get),
        resource("/api/v1/events/{seq}").read(EventsRead, events::get),
        resource("/api/v1/keypad").post(Needs::Device, keypad::post),
        resource("/api/v1/me").read(Scope::ALL, me::get),
        resource("/api/v1/me/password").post(Scope::ALL, me::password::post),
        resource("/api/v1/me/pins").read(LocksOperate, me::pins::list).post(LocksOperate, me::pins::post),
        resource("/api/v1/me/pins/{id}").delete(LocksOperate, me::pins::delete),
        resource("/api/v1/messages").read(MESSAGES, messages::list),
        resource("/api/v1/messages/export").read(MESSAGES, messages::export::get),
        resource("/api/v1/messages/{id}").read(MESSAGES, messages::get),
        resource("/api/v1/pairing").read(Admin, pairing::get).post(Admin, pairing::post).delete(Admin, pairing::delete),
        resource("/api/v1/pictures").read(PicturesRead, pictures::list).post(Needs::device_or(PicturesWrite), pictures::upload::post),
        resource("/api/v1/pictures/{id}").read(PicturesRead, pictures::get).delete(Admin, pictures::delete),
        resource("/api/v1/pictures/{id}/link").post(PicturesRead, pictures::link::post),
        resource("/api/v1/pins").read(Admin, pins::list),
        resource("/api/v1/pins/{id}").read(Admin, pins::get).patch(Admin, pins::patch).delete(Admin, pins::delete),
        resource("/api/v1/plugins").read(Admin, plugins::list),
        resource("/api/v1/plugins/{name}").put(Admin, plugins::put).delete(Admin, plugins::delete),
        resource("/api/v1/users").read(Admin, users::list).post(Admin, users::post),
        resource("/api/v1/users/{name}").read(Admin, users::get).patch(Admin, users::patch).delete(Admin, users::delete),
        resource("/api/v1/users/{name}/password").post(Admin, users::password::post),
        resource("/api/v1/users/{name}/pins").read(Admin, users::pins::list).post(Admin, users::pins::post),
        resource("/api-docs/openapi.json").read(Nothing, api_docs::get),
        resource("/docs").read(Nothing, docs::index),
        resource("/docs/start.js").read(Nothing, docs::start),
        resource("/docs/swagger-ui.js").read(Nothing, docs::script),
        resource("/docs/swagger-ui.css").read(Nothing, docs::style),
        resource("/").read(Nothing, board::index),
        resource("/board.css").read(Nothing, board::style),
        resource("/board.js").read(Nothing, board::script),
        resource("/live.js").read(Nothing, board::live),
        resource("/session.js").read(Nothing, board::session),
        resource("/words.js").read(Nothing, board::words),
        resource("/favicon.svg").read(Nothing, board::icon),
    ]
}

fn configure(config: &mut ServiceConfig) {
    for resource in resources() {
        config.service(resource);
    }
    config.default_service(web::to(no_route));
}

/// Every route that there is.
pub fn routes() -> Vec<RouteInfo> {
    resources().iter().flat_map(Resource::infos).collect()
}

async fn no_route() -> Result<&'static str, ApiError> {
    Err(ApiError::NoRoute("the README lists the routes".to_owned()))
}
