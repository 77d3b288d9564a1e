//! Asking the server that runs.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::UnixStream;

use super::{ConsoleError, FILE, socket};
use crate::config::Settings;
use crate::state::ConfigFile;

/// How long an answer may take: longer than the server waits for any device.
const PATIENCE: Duration = Duration::from_secs(330);

/// The server that runs on a configuration, as the command line reaches it.
/// Each request has a connection of its own: who types a password takes longer
/// than an idle one is kept.
#[derive(Debug, Clone)]
pub struct Console {
    config: PathBuf,
    data: PathBuf,
    settings: Settings,
}

/// The body of a request.
struct Sent {
    media_type: &'static str,
    header: Option<(&'static str, String)>,
    bytes: Bytes,
}

/// A problem's members that are shown (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
}

impl Console {
    /// Finds the server that runs on this config.json, and that it answers.
    ///
    /// # Errors
    /// The file or its settings cannot be read, or no server runs.
    pub async fn connect(config: &Path) -> Result<Self, ConsoleError> {
        let file = ConfigFile::new(config);
        let settings = Settings::load(&file.read()?.settings)?;
        let data = file.folder().join(&settings.data);
        // As it is named to whoever looks for the server.
        let data = std::path::absolute(&data).unwrap_or(data);
        let console = Self { config: config.to_owned(), data, settings };
        console.open().await?;
        Ok(console)
    }

    /// The settings that stand in the configuration.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Asks for what stands at a path, which may have a query.
    ///
    /// # Errors
    /// The server refuses, or does not answer.
    pub async fn get(&self, path: &str) -> Result<Value, ConsoleError> {
        self.ask(Method::GET, path, None).await
    }

    /// Sends JSON to a path; gives what the server answers, `null` for nothing.
    ///
    /// # Errors
    /// The server refuses, or does not answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ConsoleError> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// Changes what stands at a path.
    ///
    /// # Errors
    /// The server refuses, or does not answer.
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value, ConsoleError> {
        self.ask(Method::PATCH, path, Some(body)).await
    }

    /// Replaces what stands at a path.
    ///
    /// # Errors
    /// The server refuses, or does not answer.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, ConsoleError> {
        self.ask(Method::PUT, path, Some(body)).await
    }

    /// Sends bytes to a path, with a header of their own.
    ///
    /// # Errors
    /// The server refuses, or does not answer.
    pub async fn upload(
        &self,
        path: &str,
        header: (&'static str, String),
        bytes: Bytes,
    ) -> Result<Value, ConsoleError> {
        let sent = Sent { media_type: "application/octet-stream", header: Some(header), bytes };
        self.send(Method::PUT, path, Some(sent)).await
    }

    /// Removes what stands at a path.
    ///
    /// # Errors
    /// The server refuses, or does not answer.
    pub async fn delete(&self, path: &str) -> Result<Value, ConsoleError> {
        self.ask(Method::DELETE, path, None).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ConsoleError> {
        let sent = body.map(|body| Sent {
            media_type: "application/json",
            header: None,
            bytes: body.to_string().into(),
        });
        self.send(method, path, sent).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Sent>,
    ) -> Result<Value, ConsoleError> {
        let answer = tokio::time::timeout(PATIENCE, self.exchange(method, path, body)).await;
        let (status, body) = answer.unwrap_or(Err(ConsoleError::TooSlow(PATIENCE.as_secs())))?;
        if !status.is_success() {
            return Err(problem(status, &body));
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| ConsoleError::Unreadable(error.to_string()))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Sent>,
    ) -> Result<(StatusCode, Bytes), ConsoleError> {
        let response = self.request(method, path, body).await?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(lost)?.to_bytes();
        Ok((status, body))
    }

    /// Writes what stands at a path to a file, as it comes.
    ///
    /// # Errors
    /// The server refuses, or does not send all of it; or the file cannot take
    /// it.
    pub async fn download(
        &self,
        path: &str,
        to: &mut (impl Write + Send),
    ) -> Result<(), ConsoleError> {
        let late = |_| ConsoleError::TooSlow(PATIENCE.as_secs());
        let request = self.request(Method::GET, path, None);
        let response = tokio::time::timeout(PATIENCE, request).await.map_err(late)??;
        let status = response.status();
        let mut body = response.into_body();
        if !status.is_success() {
            let body = tokio::time::timeout(PATIENCE, body.collect()).await.map_err(late)?;
            return Err(problem(status, &body.map_err(lost)?.to_bytes()));
        }
        while let Some(frame) = tokio::time::timeout(PATIENCE, body.frame()).await.map_err(late)? {
            if let Ok(bytes) = frame.map_err(lost)?.into_data() {
                to.write_all(&bytes).map_err(ConsoleError::Write)?;
            }
        }
        to.flush().map_err(ConsoleError::Write)
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Sent>,
    ) -> Result<Response<Incoming>, ConsoleError> {
        let stream = self.open().await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        // It ends with the answer, for nothing more is asked.
        tokio::spawn(connection);
        let request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        let (request, body) = match body {
            Some(Sent { media_type, header, bytes }) => {
                let request = request.header(CONTENT_TYPE, media_type);
                let request = header
                    .into_iter()
                    .fold(request, |request, (name, value)| request.header(name, value));
                (request, bytes)
            }
            None => (request, Bytes::new()),
        };
        let request = request
            .body(Full::new(body))
            .map_err(|error| ConsoleError::Unreadable(error.to_string()))?;
        sender.send_request(request).await.map_err(lost)
    }

    async fn open(&self) -> Result<UnixStream, ConsoleError> {
        socket::connect(&self.data).await.map_err(|source| {
            let socket = self.data.join(FILE);
            match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    ConsoleError::NoServer { socket, config: self.config.clone() }
                }
                io::ErrorKind::PermissionDenied => ConsoleError::NotYours { socket },
                _ => ConsoleError::Open { socket, source },
            }
        })
    }
}

/// A server that stops in the middle is one that does not answer.
fn lost(error: hyper::Error) -> ConsoleError {
    ConsoleError::Unreadable(error.to_string())
}

fn problem(status: StatusCode, body: &[u8]) -> ConsoleError {
    let Ok(Problem { kind, title, detail }) = serde_json::from_slice(body) else {
        return ConsoleError::Unreadable(format!("{status}, without a reason"));
    };
    ConsoleError::Problem {
        status: status.as_u16(),
        kind: kind.rsplit(':').next().unwrap_or_default().to_owned(),
        detail: match (title.as_str(), detail.as_str()) {
            ("", "") => status.to_string(),
            (_, "") => title,
            _ => detail,
        },
    }
}
