//! The plugins: dynamic libraries that add actions.
//!
//! [`PluginHost::start`] reads what config.json allows (`library_file.rs`),
//! loads and starts it (`loader.rs`, the server's only unsafe code), adds the
//! actions to the registry, and says of each plugin how far it came
//! ([`PluginReport`]). A call runs on a thread of the plugin's own
//! (`plugin.rs`), and what it asks of the server is checked against what
//! config.json grants (`call_host.rs`).
//!
//! Where config.json lets an owner (`plugins.remote_install`), a plugin comes
//! from afar (`remote.rs`): whole over HTTP, or in pieces by the actions
//! `install_plugin` and `load_plugin` (`pieces.rs`), signed by a key that
//! config.json names, as a plugin, a version and a target (`claim.rs`).
//!
//! Absent by design: nothing is unloaded, nothing is loaded that config.json
//! does not name by its SHA-256 or by who signed it, and no plugin's failure
//! stops the server. A plugin runs in the server's process and is trusted like
//! the server itself. Which words it takes for its actions is part of what was
//! allowed or signed, and no grant of its own.

mod allow_line;
mod call_host;
mod claim;
mod counts;
mod install_error;
mod install_plugin;
mod library_file;
mod list;
mod load_error;
mod load_plugin;
mod loaded_action;
mod loader;
mod manager;
mod pieces;
mod plugin;
mod remote;
mod report;
mod restored;
mod saved_file;
mod server_services;
mod services;
mod signed;
mod signing;
mod target;
mod transfers;
mod version;

pub use allow_line::allow_line;
pub use install_error::InstallError;
pub use list::list;
pub use loaded_action::LoadedAction;
pub use manager::{HostParts, PluginHost};
pub use remote::{Installed, Upload};
pub use report::{PluginReport, PluginState};
pub use server_services::ServerServices;
pub use services::HostServices;
pub use signing::{SignAs, keygen, sign, verify};
