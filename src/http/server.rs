//! Listening and answering until the server stops.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, map_config};
use actix_web::dev::{AppConfig, Server, fn_service};
use actix_web::middleware::{Condition, from_fn};
use actix_web::{App, web};
use anyhow::Context as _;
use socket2::SockRef;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::counts::{Counts, Entry};
use super::entrance::{Entrance, LetIn};
use super::stopping::Stopping;
use super::streams::Streams;
use super::{Origins, Services, cors, envelope, routes};
use crate::config::HttpSettings;
use crate::identity::Principal;
use crate::tls::Certificates;

/// How long a closed connection may take to be gone.
const DISCONNECT: Duration = Duration::from_secs(1);

/// A place where connections come in, bound.
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Certificates>,
}

/// Listens where the settings say; with TLS, which needs certificates, too.
///
/// # Errors
/// An address cannot be had.
pub fn listen(
    settings: &HttpSettings,
    certificates: Option<&Certificates>,
) -> anyhow::Result<Vec<Listening>> {
    let mut listening = Vec::new();
    if let Some(address) = settings.listen {
        listening.push(Listening::bind("http.listen", address, None, settings)?);
    }
    if let Some(address) = settings.tls_listen {
        let tls = certificates.context("there is no certificate (tls.certificate)")?.clone();
        listening.push(Listening::bind("http.tls_listen", address, Some(tls), settings)?);
    }
    Ok(listening)
}

impl Listening {
    fn bind(
        key: &str,
        address: SocketAddr,
        tls: Option<Certificates>,
        settings: &HttpSettings,
    ) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(address).with_context(|| format!("listen on {key} {address}"))?;
        // For all its connections: actix would wait for ever for a client that
        // takes nothing of its answer.
        SockRef::from(&listener)
            .set_tcp_user_timeout(Some(settings.keep_alive()))
            .context("limit how long a client may take nothing")?;
        let address =
            listener.local_addr().with_context(|| format!("read the address of {key}"))?;
        Ok(Self { listener, address, tls })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it speaks TLS, and nothing else.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }
}

/// Answers on these listeners, and on the server's own socket, until
/// `shutdown`; then takes no new connection, and lets the requests that are
/// being answered finish within their limit.
///
/// # Errors
/// A listener cannot be used.
pub async fn run(
    listeners: Vec<Listening>,
    console: UnixListener,
    services: Services,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    build(listeners, console, services, shutdown)?.await.context("serve")
}

fn build(
    listeners: Vec<Listening>,
    console: UnixListener,
    services: Services,
    shutdown: CancellationToken,
) -> anyhow::Result<Server> {
    let settings = services.settings.clone();
    let origins = web::Data::new(Origins::of(&settings, &listeners));
    let counts = Counts::default();
    let entrance = Arc::new(Entrance::new(&settings, &services.limits, counts.clone()));
    let services = web::Data::new(services);
    let counted = counts.clone();
    let counts = web::Data::new(counts);
    let uploads = web::Data::new(routes::Uploads::default());
    let streams = web::Data::new(Streams::new(&settings));
    let document = web::Data::new(routes::Document::of(&settings));
    let stopping = Stopping::new(shutdown.clone(), settings.shutdown_timeout());
    let stopping = web::Data::new(stopping);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    // Each worker has its share, and at least one connection.
    let workers = workers.min(settings.max_connections);
    let of_app = settings.clone();
    let app = move || {
        App::new()
            .app_data(origins.clone())
            .app_data(services.clone())
            .app_data(uploads.clone())
            .app_data(document.clone())
            .app_data(counts.clone())
            .app_data(streams.clone())
            .app_data(stopping.clone())
            .wrap(Condition::new(!of_app.cors_origins.is_empty(), cors::cors(&of_app)))
            .wrap(from_fn(envelope::envelope))
            .configure(super::configure)
    };
    let mut server = Server::build()
        .workers(workers)
        .max_concurrent_connections(settings.max_connections / workers)
        .shutdown_timeout(settings.shutdown_timeout_ms.div_ceil(1000))
        .shutdown_signal(shutdown.clone().cancelled_owned());
    // One that began its head at the end of a silence has its time for it.
    let limit = settings.keep_alive() + settings.request_timeout();
    let protocol = move || {
        let app = app().into_factory();
        let app = app.map_err(|error| error.error_response());
        HttpService::build()
            .client_request_timeout(settings.request_timeout())
            .client_disconnect_timeout(DISCONNECT)
            .keep_alive(settings.keep_alive())
            .on_connect_ext(|connection: &Connection, data| {
                data.insert(connection.usage());
                if let Some(principal) = connection.known() {
                    data.insert(principal);
                }
            })
            .h1(map_config(app, |()| AppConfig::default()))
    };
    for Listening { listener, tls, .. } in listeners {
        let (protocol, stop) = (protocol.clone(), shutdown.clone());
        let (entrance, counts) = (entrance.clone(), counted.clone());
        let serve = move || {
            let (stop, entrance, tls) = (stop.clone(), entrance.clone(), tls.clone());
            let counts = counts.clone();
            let connect = move |stream: TcpStream| {
                let (stop, entrance, tls) = (stop.clone(), entrance.clone(), tls.clone());
                let counts = counts.clone();
                async move {
                    let peer = stream.peer_addr().ok();
                    let let_in = entrance.let_in(stream, peer, tls.as_ref());
                    let let_in = stop.run_until_cancelled(let_in).await;
                    let gone = || Err(io::ErrorKind::ConnectionAborted.into());
                    let connection = match let_in.unwrap_or_else(gone)? {
                        LetIn::Plain(stream) => {
                            Connection::new(stream, counts.open(Entry::Http), limit, &stop)
                        }
                        LetIn::Tls(stream) => {
                            let open = counts.open(Entry::Https);
                            Connection::new(stream, open, limit, &stop).over_tls()
                        }
                    };
                    Ok::<_, DispatchError>((connection, peer))
                }
            };
            fn_service(connect).and_then(protocol())
        };
        server = server.listen("http", listener, serve).context("listen")?;
    }
    let serve = move || {
        let (stop, counts) = (shutdown.clone(), counted.clone());
        let connect = move |stream: UnixStream| {
            let open = counts.open(Entry::Console);
            let connection = Connection::new(Box::new(stream), open, limit, &stop);
            let connection = connection.of(Principal::operator());
            std::future::ready(Ok::<_, DispatchError>((connection, None::<SocketAddr>)))
        };
        fn_service(connect).and_then(protocol())
    };
    server = server.listen_uds("console", console, serve).context("listen on the socket")?;
    Ok(server.run())
}
