//! Listening and answering until the server stops.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::stopping::Stopping;
use super::{Origins, Services, envelope, query, routes};

/// How long a closed connection may take to be gone.
const DISCONNECT: Duration = Duration::from_secs(1);

/// Answers on these listeners until `shutdown`; then takes no new connection,
/// and lets the requests that are being answered finish within their limit.
///
/// # Errors
/// A listener cannot be used.
pub async fn run(
    listeners: Vec<TcpListener>,
    services: Services,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    build(listeners, services, shutdown)?.await.context("serve")
}

fn build(
    listeners: Vec<TcpListener>,
    services: Services,
    shutdown: CancellationToken,
) -> anyhow::Result<Server> {
    let settings = services.settings.clone();
    let addresses: Vec<SocketAddr> = listeners
        .iter()
        .map(TcpListener::local_addr)
        .collect::<Result<_, _>>()
        .context("read the address of a listener")?;
    let origins = web::Data::new(Origins::new(&settings, &addresses));
    let services = web::Data::new(services);
    let uploads = web::Data::new(routes::Uploads::default());
    let stop_patience = Duration::from_millis(settings.shutdown_timeout_ms);
    let stopping = web::Data::new(Stopping::new(shutdown.clone(), stop_patience));
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let mut server = HttpServer::new(move || {
        App::new()
            .app_data(origins.clone())
            .app_data(services.clone())
            .app_data(uploads.clone())
            .app_data(stopping.clone())
            .app_data(query::config())
            .wrap(from_fn(envelope::envelope))
            .configure(super::routes)
    })
    .workers(workers)
    .max_connections(settings.max_connections.div_ceil(workers))
    .client_request_timeout(settings.request_timeout())
    .client_disconnect_timeout(DISCONNECT)
    .keep_alive(Duration::from_millis(settings.keep_alive_ms))
    .shutdown_timeout(settings.shutdown_timeout_ms.div_ceil(1000))
    .shutdown_signal(shutdown.cancelled_owned());
    for listener in listeners {
        listener.set_nonblocking(true).context("use a listener")?;
        server = server.listen(listener).context("listen")?;
    }
    Ok(server.run())
}
