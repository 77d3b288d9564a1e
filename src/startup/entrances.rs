//! Where apps and the command line come in, bound and not yet answered.

use crate::config::Settings;
use crate::console::Socket;
use crate::http::{self, Listening};
use crate::tls::Certificates;

use super::ground::Ground;

pub(super) struct Entrances {
    pub(super) http: Vec<Listening>,
    pub(super) console: Socket,
    pub(super) certificates: Option<Certificates>,
    /// What links to the server start with.
    pub(super) public_url: String,
}

impl Entrances {
    pub(super) fn bind(settings: &Settings, ground: &Ground) -> anyhow::Result<Self> {
        let console = Socket::listen(&ground.data)?;
        for (key, address) in settings.plain_off_loopback() {
            tracing::warn!(
                %address,
                "{key} speaks without TLS off loopback: what goes there, passwords too, can be \
                 read and changed on its way (allow_plain)"
            );
        }
        let certificates =
            settings.has_tls().then(|| Certificates::load(&settings.tls)).transpose()?;
        let http = http::listen(&settings.http, certificates.as_ref())?;
        let address_of = |tls| http.iter().find(|at| at.is_tls() == tls).map(Listening::address);
        let public_url = settings.http.public_url(address_of(false), address_of(true));
        Ok(Self { http, console, certificates, public_url })
    }
}
