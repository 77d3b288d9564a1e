//! HTTP: the API for apps, and the board. Every route stands on this page.
//!
//! A request passes through `envelope.rs` (its id, its span, where it comes
//! from; errors become problem details, see `error.rs`) to its route file,
//! which is found from its URL below `routes/`.
//!
//! Absent by design: nothing here names a topic; devices are operated through
//! the device interface's handle only. No CORS headers. No authentication
//! until there are accounts, which is why the server binds loopback only and
//! refuses what comes through foreign pages (`origin.rs`).

mod accept;
mod body;
mod command_view;
mod connection;
mod counts;
mod envelope;
mod error;
mod etag;
mod operate;
mod origin;
mod picture_answer;
mod query;
mod request_id;
mod routes;
mod server;
mod services;
mod stopping;

use actix_web::web::{self, ServiceConfig};
use actix_web::{Resource, Route, guard};

pub use error::ApiError;
pub use origin::Origins;
pub use server::{listen, run};
pub use services::{BrokerAddress, Services};

use routes::api::{actions, broker, commands, devices, pictures, plugins};
use routes::{board, get_pic, healthz, hello, lock, metrics, readyz, test, unlock};

/// What a resource allows that can only be read.
const READ: &str = "GET, HEAD";

/// Every route, with the methods that its resource allows.
#[rustfmt::skip]
fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/hello", READ).route(read().to(hello::get)))
        .service(resource("/lock", "POST").route(web::post().to(lock::post)).route(web::get().to(lock::get)))
        .service(resource("/unlock", "POST").route(web::post().to(unlock::post)).route(web::get().to(unlock::get)))
        .service(resource("/test", "POST").route(web::post().to(test::post)))
        .service(resource("/get_pic", READ).route(read().to(get_pic::get)))
        .service(resource("/healthz", READ).route(read().to(healthz::get)))
        .service(resource("/readyz", READ).route(read().to(readyz::get)))
        .service(resource("/metrics", READ).route(read().to(metrics::get)))
        .service(resource("/api/v1/actions", READ).route(read().to(actions::list)))
        .service(resource("/api/v1/actions/{name}", "POST").route(web::post().to(actions::post)))
        .service(resource("/api/v1/broker", READ).route(read().to(broker::get)))
        .service(resource("/api/v1/commands/{id}", READ).route(read().to(commands::get)))
        .service(resource("/api/v1/devices", READ).route(read().to(devices::list)))
        .service(resource("/api/v1/devices/{id}", "GET, HEAD, DELETE").route(read().to(devices::get)).route(web::delete().to(devices::delete)))
        .service(resource("/api/v1/devices/{id}/commands", "GET, HEAD, POST").route(read().to(devices::commands::list)).route(web::post().to(devices::commands::post)))
        .service(resource("/api/v1/pictures", "GET, HEAD, POST").route(read().to(pictures::list)).route(web::post().to(pictures::post)))
        .service(resource("/api/v1/pictures/{id}", "GET, HEAD, DELETE").route(read().to(pictures::get)).route(web::delete().to(pictures::delete)))
        .service(resource("/", READ).route(read().to(board::index)))
        .service(resource("/board.css", READ).route(read().to(board::style)))
        .service(resource("/board.js", READ).route(read().to(board::script)))
        .service(resource("/words.js", READ).route(read().to(board::words)))
        .service(resource("/favicon.svg", READ).route(read().to(board::icon)))
        .service(resource("/api/v1/plugins", READ).route(read().to(plugins::list)))
        .default_service(web::to(no_route));
}

/// A resource that answers 405 to the methods that it does not allow.
fn resource(path: &'static str, allow: &'static str) -> Resource {
    let wrong_method = move || async move { Err::<&str, _>(ApiError::WrongMethod(allow)) };
    web::resource(path).app_data(counts::Pattern(path)).default_service(web::to(wrong_method))
}

/// GET, and HEAD with it.
fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

async fn no_route() -> Result<&'static str, ApiError> {
    Err(ApiError::NoRoute("the README lists the routes".to_owned()))
}
