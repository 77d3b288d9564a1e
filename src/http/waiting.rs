//! What is answered before the server can let anybody in: that it is alive, and
//! what it waits for.

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Context as _;
use serde_json::{Map, Value};

use super::ApiError;
use super::request_id::RequestId;
use super::routes::healthz;
use crate::config::HttpSettings;

/// How many connections there may be; whoever looks after the server needs a
/// few.
const CONNECTIONS: usize = 64;

/// Answers on the plain listener until it is stopped.
pub struct Waiting(Option<ServerHandle>);

/// `GET /healthz` says that the server is alive; everything else is 503, as
/// `/readyz` is, with what is missing. Without a plain listener nothing is
/// answered yet.
///
/// # Errors
/// The address cannot be had.
pub fn answer_while_waiting(settings: &HttpSettings) -> anyhow::Result<Waiting> {
    let Some(address) = settings.listen else { return Ok(Waiting(None)) };
    let app = || {
        App::new()
            .route("/healthz", web::get().to(healthz::get))
            .default_service(web::to(not_ready))
    };
    let server = HttpServer::new(app).workers(1).max_connections(CONNECTIONS).disable_signals();
    let server =
        server.bind(address).with_context(|| format!("listen on http.listen {address}"))?;
    let server = server.shutdown_timeout(1).run();
    let handle = server.handle();
    tokio::spawn(server);
    Ok(Waiting(Some(handle)))
}

impl Waiting {
    /// Ends it; the address is free when this returns.
    pub async fn stop(self) {
        if let Some(handle) = self.0 {
            handle.stop(true).await;
        }
    }
}

async fn not_ready(request: HttpRequest) -> HttpResponse {
    let why = "it is away, and the server waits for it";
    let missing = Map::from_iter([("database".to_owned(), Value::from(why))]);
    let id = RequestId::of(request.headers());
    ApiError::NotReady(missing).response_to(request.path(), id.as_str())
}
