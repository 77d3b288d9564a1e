//! The plugins: dynamic libraries that add actions.
//!
//! [`PluginHost::start`] reads what config.json allows (`library_file.rs`),
//! loads and starts it (`loader.rs`, the server's only unsafe code), adds the
//! actions to the registry, and says of each plugin how far it came
//! ([`PluginReport`]). A call runs on a thread of the plugin's own
//! (`plugin.rs`), and what it asks of the server is checked against what
//! config.json grants (`call_host.rs`).
//!
//! Absent by design: nothing is unloaded, nothing is loaded that config.json
//! does not name by its SHA-256, and no plugin's failure stops the server. A
//! plugin runs in the server's process and is trusted like the server itself.

mod allow_line;
mod call_host;
mod library_file;
mod list;
mod load_error;
mod loaded_action;
mod loader;
mod manager;
mod plugin;
mod report;
mod server_services;
mod services;

pub use allow_line::allow_line;
pub use list::list;
pub use loaded_action::LoadedAction;
pub use manager::PluginHost;
pub use report::{PluginReport, PluginState};
pub use server_services::ServerServices;
pub use services::HostServices;
