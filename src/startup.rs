//! Wires everything: the same for the program and for the tests.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::actions::{Context, Registry};
use crate::commands::Commands;
use crate::config::Settings;
use crate::console::Socket;
use crate::database::{self, Database};
use crate::device_interface::link::{InlineLink, Link, LinkEvent, PahoLink};
use crate::device_interface::topics::Topics;
use crate::device_interface::{Actor, Counts, LinkOutbox, Mistakes, Parts, Presence};
use crate::events::{Event, Events, Kind};
use crate::http::{self, BrokerAddress, Services};
use crate::identity::devices::DeviceCredentials;
use crate::identity::{Directory, Permissions};
use crate::open_files::OpenFiles;
use crate::pictures::{PictureLimits, Pictures};
use crate::plugin_host::{PluginHost, ServerServices};
use crate::sole_use::SoleUse;
use crate::state::{ConfigFile, State};

/// How many events of the link may wait for the device interface. A full
/// queue slows the embedded broker's publishers down.
const EVENTS: usize = 16 * 1024;

/// How often last known states are written, at the most.
const LAST_KNOWN_EVERY: Duration = Duration::from_secs(5);

/// The whole server, built and listening, not yet answering.
pub struct Application {
    http: std::net::TcpListener,
    http_address: SocketAddr,
    console: Socket,
    mqtt_address: Option<SocketAddr>,
    services: Services,
    actor: Actor,
    link: Arc<dyn Link>,
    state: State,
    database: Database,
    /// Let go of when everything has been saved.
    sole_use: [SoleUse; 2],
}

impl Application {
    /// Builds everything, binds the listeners and restores the roster. When
    /// many clients have left the embedded broker, each of its threads calls
    /// `give_back`, for what the program's allocator keeps.
    ///
    /// # Errors
    /// A listener, the database or config.json cannot be had, or another
    /// server has it; nothing was overwritten.
    pub async fn build(
        mut settings: Settings,
        file: ConfigFile,
        give_back: fn(),
    ) -> anyhow::Result<Self> {
        let beside = file.folder().to_owned();
        settings.mqtt.place_files(&beside);
        let files = OpenFiles::ask();
        let of_apps = &mut settings.http.max_connections;
        *of_apps = files.for_apps().clamp(1, *of_apps);
        let of_config = SoleUse::of(file.path())?;
        let data = data_folder(&settings.data, &beside)?;
        let of_data = SoleUse::of(&data.join(database::FILE))?;
        let state = State::open(file).context("restore the state")?;
        let database = Database::open(&settings.database, &data).await?;
        let directory = Directory::open(&database).await.context("read the accounts")?;
        let credentials =
            DeviceCredentials::open(&database).await.context("read the devices' credentials")?;
        let console = Socket::listen(&data)?;
        let http = http::listen(&settings.http)?;
        let http_address = http.local_addr().context("read the address of http.listen")?;
        let public_url = settings.http.public_url(http_address);

        let topics = Arc::new(Topics::new(&settings));
        adopt_base_topics(&state, &topics);
        let presence = Arc::new(Presence::default());
        let (events, incoming) = mpsc::channel(EVENTS);
        let (link, mqtt_address) =
            link(&settings, &data, files, give_back, &topics, events).await?;
        let outbox = LinkOutbox {
            topics: topics.clone(),
            link: link.clone(),
            state: state.clone(),
            presence: presence.clone(),
        };
        let launcher = Arc::new(outbox.clone());
        let commands =
            Commands::open(&database, launcher, state.clone(), settings.commands.clone())
                .await
                .context("open the record of commands")?;
        let events = Events::open(&database, &settings.events);
        let limits = PictureLimits::from(&settings.http);
        let pictures = Pictures::open(&database, &data.join("pictures"), limits).await?;

        let registry = Arc::new(Registry::built_in());
        let permissions = Permissions::new(directory, settings.devices.clone());
        let context = Context {
            state: state.clone(),
            commands: commands.clone(),
            events: events.clone(),
            pictures: pictures.clone(),
            credentials: credentials.clone(),
            permissions: permissions.clone(),
            public_url,
            outbox: Box::new(outbox.clone()),
        };
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
        let host = Arc::new(ServerServices { handle: handle.clone(), outbox });
        let plugins = PluginHost::start(&settings.plugins, &beside, host, &registry).await;
        state.set_actions(registry.files());
        let broker = BrokerAddress {
            embedded: settings.mqtt.is_embedded(),
            url: mqtt_address.map_or_else(
                || settings.mqtt.broker_without_credentials(),
                |address| format!("mqtt://{address}"),
            ),
            prefix: settings.mqtt.prefix.clone(),
        };
        let services = Services {
            handle,
            state: state.clone(),
            credentials,
            permissions,
            commands,
            events,
            registry,
            plugins,
            pictures,
            broker: Arc::new(broker),
            database: database.clone(),
            runtime: tokio::runtime::Handle::current(),
            settings: Arc::new(settings.http.clone()),
        };
        Ok(Self {
            http,
            http_address,
            console,
            mqtt_address,
            services,
            actor,
            link,
            state,
            database,
            sole_use: [of_config, of_data],
        })
    }

    /// Where the API and the board listen.
    pub fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// Where the embedded broker listens, if there is one.
    pub fn mqtt_address(&self) -> Option<SocketAddr> {
        self.mqtt_address
    }

    /// Answers until it is told to stop; then finishes what is in hand and
    /// saves.
    ///
    /// # Errors
    /// The HTTP server failed, or the state could not be saved.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> anyhow::Result<()> {
        let Self { http, console, services, actor, link, state, database, sole_use, .. } = self;
        let commanded = console.listener().context("share the server's own socket")?;
        let writer = tokio::spawn(state.clone().run_writer(LAST_KNOWN_EVERY));
        let stop_actor = CancellationToken::new();
        let actor: JoinHandle<()> = tokio::spawn(actor.run(stop_actor.clone()));
        tracing::info!(
            board = %format!("http://{}/", self.http_address),
            mqtt = self.mqtt_address.map(tracing::field::display),
            version = env!("CARGO_PKG_VERSION"),
            "latchlight is ready"
        );
        let (commands, events) = (services.commands.clone(), services.events.clone());
        let version = concat!("version ", env!("CARGO_PKG_VERSION"));
        events.record(Event::of_server(Kind::Server, "start").detail(version));
        let housekeeping = tokio::spawn({
            let (commands, events) = (commands.clone(), events.clone());
            async move { tokio::join!(commands.keep_house(), events.keep_house()) }
        });
        let patience = services.settings.shutdown_timeout();
        let mut serving = std::pin::pin!(http::run(vec![http], commanded, services, stop.clone()));
        let served = tokio::select! {
            biased;
            () = stop.cancelled() => {
                tracing::info!("stopping: finish what is in hand");
                // Both at once: who waits for a command is answered when it ends.
                tokio::join!(serving, commands.close(patience)).0
            }
            served = &mut serving => {
                commands.close(patience).await;
                served
            }
        };
        drop(console);
        housekeeping.abort();
        stop_actor.cancel();
        if actor.await.is_err() {
            tracing::error!("the device interface failed");
        }
        link.close().await;
        writer.abort();
        let saved = state.flush().await.context("save the state");
        events.record(Event::of_server(Kind::Server, "stop"));
        events.close().await;
        database.close().await;
        drop(sole_use);
        served.context("serve HTTP")?;
        saved?;
        tracing::info!("stopped; the state is saved");
        Ok(())
    }
}

/// The data folder, made where there is none.
fn data_folder(data: &Path, beside: &Path) -> anyhow::Result<PathBuf> {
    let folder = beside.join(data);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("make the data folder {}", folder.display()))?;
    Ok(folder)
}

async fn link(
    settings: &Settings,
    data: &Path,
    files: OpenFiles,
    give_back: fn(),
    topics: &Arc<Topics>,
    events: mpsc::Sender<LinkEvent>,
) -> anyhow::Result<(Arc<dyn Link>, Option<SocketAddr>)> {
    if settings.mqtt.is_embedded() {
        let topics = topics.clone();
        let link =
            InlineLink::start(&settings.mqtt, data, files, give_back, topics, events).await?;
        let address = link.address();
        return Ok((Arc::new(link), Some(address)));
    }
    let broker = settings.mqtt.broker_without_credentials();
    tracing::warn!(
        %broker,
        "an outside broker is used: who may say and hear what, sessions and limits are its \
         operator's, see docs/outside-brokers.md"
    );
    let link = PahoLink::start(&settings.mqtt, topics.filters(), topics.server_online(), events)?;
    Ok((Arc::new(link), None))
}

/// Restored devices have their base topics back before anybody can connect.
fn adopt_base_topics(state: &State, topics: &Topics) {
    for device in state.devices() {
        let Some(base) = &device.base_topic else { continue };
        if let Err(error) = topics.adopt_base(&device.id, base) {
            tracing::error!(device = %device.id, %error, "its base topic is not listened on");
        }
    }
}
