//! The requests to a provider: over TLS whose certificate and name are
//! verified, each on a connection of its own, within a time and a size. What
//! sends elsewhere is not followed.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use openssl::ssl::SslConnector;
use openssl::x509::X509VerifyResult;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::config::OidcSettings;
use crate::telemetry::one_line;
use crate::tls::client::{self, plainly};

/// How long one request may take, from the name to the answer's last byte.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes of an answer's body.
const MOST: usize = 256 * 1024;

/// What sends requests.
pub(super) struct Https {
    tls: SslConnector,
    /// Whether one may go without TLS: the provider is on this machine.
    plain: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoAnswer(String);

impl Https {
    pub(super) fn new(settings: &OidcSettings) -> anyhow::Result<Self> {
        let issuer = settings.issuer.as_deref().unwrap_or_default();
        let tls = client::connector("oidc.ca_file", settings.ca_file.as_deref())?.build();
        Ok(Self { tls, plain: issuer.starts_with("http://") })
    }

    /// Sends one, and gives the whole answer.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let late = |_| NoAnswer(format!("{host}: silence for {PATIENCE:?}"));
        let answer = tokio::time::timeout(PATIENCE, self.exchange(request)).await.map_err(late)?;
        answer.map_err(|error| NoAnswer(format!("{host}: {}", one_line(&error))))
    }

    async fn exchange(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let uri = request.uri().clone();
        let host = uri.host().ok_or_else(|| anyhow::anyhow!("the URL has no host"))?;
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        if !secure && !self.plain {
            anyhow::bail!("the URL is not https");
        }
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = TcpStream::connect(format!("{host}:{port}")).await?;
        stream.set_nodelay(true)?;
        if secure {
            answer(self.shake_hands(host, stream).await?, request, &uri).await
        } else {
            answer(stream, request, &uri).await
        }
    }

    async fn shake_hands(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> anyhow::Result<SslStream<TcpStream>> {
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let tls = self.tls.configure().and_then(|tls| tls.into_ssl(name)).map_err(plainly)?;
        let mut stream = SslStream::new(tls, stream).map_err(plainly)?;
        if let Err(error) = Pin::new(&mut stream).connect().await {
            let verified = stream.ssl().verify_result();
            if verified != X509VerifyResult::OK {
                anyhow::bail!("its certificate is refused: {}", verified.error_string());
            }
            let why = error.ssl_error().map_or_else(|| error.to_string(), client::reasons);
            anyhow::bail!("no TLS: {why}");
        }
        Ok(stream)
    }
}

impl<'a> AsyncHttpClient<'a> for Https {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NoAnswer>> + Send + 'a>>;

    fn call(&'a self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: HttpRequest,
    uri: &Uri,
) -> anyhow::Result<HttpResponse> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async move {
        let response = sender.send_request(as_sent(request, uri)?).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MOST).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(HttpResponse::from_parts(head, body.to_bytes().to_vec()))
    };
    // It moves the bytes as long as the answer is waited for, and no longer.
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(io::Error::other(error).into()),
        },
    }
}

/// As it goes over a connection to its host.
fn as_sent(request: HttpRequest, uri: &Uri) -> anyhow::Result<Request<Full<Bytes>>> {
    let (mut head, body) = request.into_parts();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    head.headers.insert(HOST, HeaderValue::from_str(authority)?);
    head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let path = uri.path_and_query().cloned();
    head.uri = path.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
    Ok(Request::from_parts(head, Full::new(body.into())))
}
