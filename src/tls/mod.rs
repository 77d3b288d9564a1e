//! TLS of the server's own listeners: one certificate for HTTP and MQTT, read
//! again when its files change, without dropping anybody; and a small
//! authority for a house's own network.
//!
//! Not here: the handshakes, which are `http/`'s, the embedded broker's, or those
//! of whoever dials others.

mod authority;
mod certificates;
pub mod client;
mod host;
mod leaf;
mod revocation;
mod watch;

pub use authority::{Authority, Signed, check_names};
pub use certificates::{Certificates, Status};
pub use host::host_names;
pub use leaf::LeafCertificate;
pub use watch::{Reload, watch};
