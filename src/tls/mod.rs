//! TLS of the server's own listeners: one certificate for HTTP and MQTT, read
//! again when its files change, without dropping anybody; and a small
//! authority for a house's own network.
//!
//! Not here: the handshakes, which are `http/`'s and the embedded broker's;
//! and TLS to an outside broker, which is the link's.

mod authority;
mod certificates;
mod host;
mod leaf;
mod revocation;
mod watch;

pub use authority::{Authority, Signed, check_names};
pub use certificates::{Certificates, Status};
pub use host::host_names;
pub use leaf::LeafCertificate;
pub use watch::{Reload, watch};
