//! The brokers under comparison.
mod aedes;
mod latchlight;
mod mosquitto;
mod other;
mod rumqttd;

use std::fmt::Debug;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use latchlight_contest::{Processes, free_port};
use latchlight_mqtt::ProtocolVersion;

pub use aedes::Aedes;
pub use latchlight::Latchlight;
pub use mosquitto::Mosquitto;
pub use other::Other;
pub use rumqttd::Rumqttd;

use crate::setup::{Listener, Setup};
use crate::target::Target;

/// A broker that takes part.
pub trait Contestant: Debug {
    /// What it is called in the table.
    fn name(&self) -> &str;

    /// What it says of itself.
    fn version(&self) -> Option<String>;

    /// Why it cannot be set up so, if it cannot.
    fn lacks(&self, listener: Listener, durable: bool) -> Option<&'static str>;

    /// The port that it has to listen on; none: any.
    fn port(&self) -> Option<u16> {
        None
    }

    /// The command that starts it, once its files are written.
    ///
    /// # Errors
    /// The files cannot be written.
    fn command(&self, setup: &Setup) -> anyhow::Result<Command>;
}

/// A broker that was started for one work; it ends with this value.
#[derive(Debug)]
pub struct Running {
    /// Where it is.
    pub target: Target,
    // Before the folder, which has their files.
    _processes: Processes,
    _setup: Setup,
}

impl Running {
    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(
        contestant: &dyn Contestant,
        listener: Listener,
        durable: bool,
        within: &Path,
        version: ProtocolVersion,
    ) -> anyhow::Result<Self> {
        let port = match contestant.port() {
            Some(port) => port,
            None => free_port()?,
        };
        let setup = Setup::new(listener, durable, port, within)?;
        let mut processes = Processes::new(setup.folder.path());
        processes.spawn("broker", contestant.command(&setup)?)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        processes.wait_for_port(&address.to_string())?;
        let pid = processes.ids().next().map(|(_, pid)| pid);
        let transport = setup.transport.clone();
        let target = Target { address, transport, version, pid };
        Ok(Self { target, _processes: processes, _setup: setup })
    }
}
