//! What acts on what is said: the actions, the commands and pictures that they
//! work with, and the actor that hears of it all.

use std::sync::Arc;

use anyhow::Context as _;
use tokio_util::task::TaskTracker;

use super::broker::Meeting;
use super::ground::Ground;
use super::known::Known;
use crate::actions::{Context, Registry};
use crate::commands::{CommandParts, Commands};
use crate::config::Settings;
use crate::device_interface::link::Link;
use crate::device_interface::{Actor, Counts, Handle, LinkOutbox, Mistakes, Parts, Presence};
use crate::messages::{MessageParts, Messages};
use crate::pictures::{PictureLinks, Pictures};
use crate::plugin_host::{HostParts, PluginHost, ServerServices};

pub(super) struct Acting {
    pub(super) registry: Arc<Registry>,
    pub(super) commands: Commands,
    pub(super) pictures: Pictures,
    pub(super) links: PictureLinks,
    pub(super) messages: Messages,
    pub(super) outbox: LinkOutbox,
    pub(super) link: Arc<dyn Link>,
    pub(super) actor: Actor,
    pub(super) handle: Handle,
}

impl Acting {
    pub(super) async fn open(
        settings: &Settings,
        ground: &Ground,
        known: &Known,
        meeting: Meeting,
        public_url: &str,
    ) -> anyhow::Result<Self> {
        let Meeting { topics, link, incoming, recording, heard, mqtt: _ } = meeting;
        let Ground { state, database, .. } = ground;
        let presence = Arc::new(Presence::default());
        let outbox = LinkOutbox {
            topics: topics.clone(),
            link: link.clone(),
            state: state.clone(),
            permissions: known.permissions.clone(),
            presence: presence.clone(),
            events: known.events.clone(),
        };
        let parts = CommandParts {
            launcher: Arc::new(outbox.clone()),
            state: state.clone(),
            permissions: known.permissions.clone(),
            pins: known.pins.clone(),
            credentials: known.credentials.clone(),
            settings: settings.commands.clone(),
        };
        let commands = Commands::open(database, parts);
        let commands = commands.await.context("open the record of commands")?;
        let (folder, record) = (ground.data.join("pictures"), known.events.clone());
        let pictures = Pictures::open(database, &folder, &settings.pictures, record).await?;
        let links = PictureLinks::open(&ground.keys, public_url.to_owned(), &settings.pictures)
            .context("open the key of links to pictures")?;
        let registry = Arc::new(Registry::built_in());
        let context = Context {
            state: state.clone(),
            commands: commands.clone(),
            events: known.events.clone(),
            pictures: pictures.clone(),
            credentials: known.credentials.clone(),
            pairing: known.pairing.clone(),
            permissions: known.permissions.clone(),
            links: links.clone(),
            outbox: Box::new(outbox.clone()),
        };
        let parts = MessageParts {
            link: link.clone(),
            topics: topics.clone(),
            permissions: known.permissions.clone(),
            events: known.events.clone(),
            recording,
            heard,
        };
        let messages = Messages::open(database, &settings.messages, parts);
        let messages = messages.await.context("open the record of messages")?;
        let parts = Parts {
            registry: registry.clone(),
            context,
            topics,
            link: link.clone(),
            presence,
            state: state.clone(),
            mistakes: Mistakes::default(),
            counts: Counts::default(),
            tellers: TaskTracker::new(),
        };
        let (actor, handle) = Actor::new(parts, incoming);
        Ok(Self { registry, commands, pictures, links, messages, outbox, link, actor, handle })
    }

    /// Loads the plugins, whose actions join the registry.
    pub(super) async fn start_plugins(
        &self,
        settings: &Settings,
        ground: &Ground,
        known: &Known,
    ) -> PluginHost {
        let services = ServerServices { handle: self.handle.clone(), outbox: self.outbox.clone() };
        let plugins = PluginHost::start(HostParts {
            settings: settings.plugins.clone(),
            beside: ground.beside.clone(),
            services: Arc::new(services),
            registry: self.registry.clone(),
            state: ground.state.clone(),
            permissions: known.permissions.clone(),
            events: known.events.clone(),
        });
        let plugins = plugins.await;
        ground.state.set_actions(self.registry.files());
        plugins
    }
}
