//! What the routes work with; startup builds it.

use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use tracing::Instrument as _;
use utoipa::ToSchema;

use super::ApiError;
use crate::actions::Registry;
use crate::commands::Commands;
use crate::config::{HttpSettings, LimitSettings, MessageSettings};
use crate::database::Database;
use crate::device_interface::Handle;
use crate::events::Events;
use crate::identity::devices::{DeviceCredentials, Pairing};
use crate::identity::oidc::Provider;
use crate::identity::{Directory, Passwords, Permissions, SignIn};
use crate::keypads::Keypads;
use crate::messages::Messages;
use crate::pictures::{PictureLinks, Pictures};
use crate::plugin_host::PluginHost;
use crate::state::State;
use crate::tls::Certificates;

/// What the routes work with; cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// The device interface, through which everything is operated.
    pub handle: Handle,
    /// The roster.
    pub state: State,
    /// The accounts.
    pub directory: Directory,
    /// Checks passwords.
    pub passwords: Passwords,
    /// Lets people and programs in.
    pub sign_in: SignIn,
    /// The OpenID Connect provider, if there is one.
    pub provider: Option<Provider>,
    /// Who may do and see what.
    pub permissions: Permissions,
    /// What devices show to be let in.
    pub credentials: DeviceCredentials,
    /// Whether a code opens a door.
    pub keypads: Keypads,
    /// Whether a new one may join.
    pub pairing: Pairing,
    /// The record of commands, and the idempotency keys.
    pub commands: Commands,
    /// The record of what happened.
    pub events: Events,
    /// The message gateway.
    pub messages: Messages,
    /// The section `messages`.
    pub message_settings: MessageSettings,
    /// The actions.
    pub registry: Arc<Registry>,
    /// The plugins, and what became of them.
    pub plugins: PluginHost,
    /// What cameras saw.
    pub pictures: Pictures,
    /// Links to it, for whoever has them.
    pub links: PictureLinks,
    /// Where devices and the server meet.
    pub broker: Arc<BrokerAddress>,
    /// Asked by `/readyz` whether it answers.
    pub database: Database,
    /// Where work goes on, also without the app that asked for it.
    pub runtime: tokio::runtime::Handle,
    /// When the server was built, by the wall clock.
    pub started: SystemTime,
    /// The section `http` of the settings.
    pub settings: Arc<HttpSettings>,
    /// The section `limits`.
    pub limits: LimitSettings,
    /// What the listeners with TLS go by, if there are any.
    pub certificates: Option<Certificates>,
}

impl Services {
    /// Does something to its end, also when the client that asked for it goes
    /// away meanwhile: a change that is half made would be on disk and not in
    /// force, or in force and not on record.
    pub(super) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.whole(work).await?
    }

    /// The same for what fails in its own words.
    pub(super) async fn whole<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ApiError> {
        let done = self.runtime.spawn(work.in_current_span()).await;
        done.map_err(|error| ApiError::Internal(anyhow::Error::new(error)))
    }
}

/// Where devices and the server meet.
#[derive(Debug, Serialize, ToSchema)]
pub struct BrokerAddress {
    /// Whether the broker is the server's own.
    #[schema(example = true)]
    pub embedded: bool,
    /// Without credentials; of the server's own, the listener for programs on
    /// its machine.
    #[schema(example = "mqtt://127.0.0.1:1883")]
    pub url: String,
    /// The same for devices, which are elsewhere.
    #[serde(skip)]
    pub for_devices: String,
    /// The first level, or levels, of every topic.
    #[schema(example = "latchlight")]
    pub prefix: String,
}
