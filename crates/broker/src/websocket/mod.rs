//! MQTT over WebSocket (RFC 6455; MQTT 5, 6): who may, how it begins, and what
//! it is packed in.

mod frame;
mod origin;
mod upgrade;

use crate::host;

pub(crate) use frame::{CloseCode, Decoder, MOST_OF_HEADER, close_frame, header, pong_frame};
pub(crate) use upgrade::{HEAD_LIMIT, Refused, answer};

/// Who may speak MQTT over WebSocket, for
/// [`Listener::websocket`](crate::Listener::websocket). Unless told otherwise,
/// no web page from elsewhere may, and the server has to be called by an
/// address or as `localhost`: a page whose name was made to lead here
/// (DNS rebinding) calls it by that name.
///
/// Programs that are no browsers mostly send no `Origin`, and are not kept out
/// by any of this: that is the access hook's to do.
#[derive(Debug, Clone, Default)]
pub struct WebSocket {
    paths: Vec<String>,
    hosts: Vec<String>,
    any_host: bool,
    origins: Vec<String>,
    any_origin: bool,
}

impl WebSocket {
    /// At any path, under any address and as `localhost`, for pages of the
    /// very same host and port.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only at this path, as in `/mqtt`, or another that is given.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.paths.push(path.to_owned());
        self
    }

    /// Also under this host name, as in `broker.example`; the port is no
    /// matter, here and there.
    #[must_use]
    pub fn host(mut self, name: &str) -> Self {
        self.hosts.push(host::split(name).0.to_owned());
        self
    }

    /// Under whatever host name it is called.
    #[must_use]
    pub fn any_host(mut self) -> Self {
        self.any_host = true;
        self
    }

    /// Also for pages of this origin, as in `https://app.example` or
    /// `http://app.example:8080`.
    #[must_use]
    pub fn origin(mut self, origin: &str) -> Self {
        self.origins.push(origin.to_owned());
        self
    }

    /// For pages of all origins: any page that a user of this network looks
    /// at may connect.
    #[must_use]
    pub fn any_origin(mut self) -> Self {
        self.any_origin = true;
        self
    }

    fn allows_path(&self, target: &str) -> bool {
        let path = target.split('?').next().unwrap_or(target);
        self.paths.is_empty() || self.paths.iter().any(|known| known == path)
    }

    fn allows_host(&self, host: &str) -> bool {
        self.any_host
            || host::is_own(host)
            || self.hosts.iter().any(|name| host::is_called(host, name))
    }

    fn allows_origin(&self, origin: &str, host: &str) -> bool {
        self.any_origin
            || origin::is_same(origin, host)
            || self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin))
    }
}
