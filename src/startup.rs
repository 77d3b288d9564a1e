//! Wires everything: the same for the program and for the tests.

mod broker;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::actions::{Context, Outbox as _, Registry};
use crate::commands::{CommandParts, Commands};
use crate::config::Settings;
use crate::console::Socket;
use crate::database::{self, Database};
use crate::device_interface::link::{Admission, Embedding, Link, MqttAddresses, MqttListeners};
use crate::device_interface::topics::Topics;
use crate::device_interface::{Actor, Counts, LinkOutbox, Mistakes, Parts, Presence};
use crate::events::{Event, Events, Kind};
use crate::http::{self, BrokerAddress, Listening, Origins, Services};
use crate::identity::devices::{DeviceCredentials, Pairing};
use crate::identity::failures::Failures;
use crate::identity::pins::Pins;
use crate::identity::{Directory, FirstOwner, Passwords, Permissions, SignIn, ensure_owner};
use crate::key_folder::KeyFolder;
use crate::keypads::{self, Keypads};
use crate::open_files::OpenFiles;
use crate::pictures::Pictures;
use crate::plugin_host::{HostParts, PluginHost, ServerServices};
use crate::sole_use::SoleUse;
use crate::state::{ConfigFile, State};
use crate::tls::{self, Certificates, Reload};

/// How many events of the link may wait for the device interface. A full
/// queue slows the embedded broker's publishers down.
const EVENTS: usize = 16 * 1024;

/// How often last known states are written, at the most.
const LAST_KNOWN_EVERY: Duration = Duration::from_secs(5);

/// The whole server, built and listening, not yet answering.
pub struct Application {
    http: Vec<Listening>,
    console: Socket,
    mqtt: MqttAddresses,
    reload: Reload,
    services: Services,
    first_owner: FirstOwner,
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
    /// `give_back`, for what the program's allocator keeps. `owner_password` is
    /// the first owner's, where there is no owner yet; without it, one is made
    /// up.
    ///
    /// # Errors
    /// A listener, the database or config.json cannot be had, or another
    /// server has it; nothing was overwritten.
    pub async fn build(
        mut settings: Settings,
        file: ConfigFile,
        give_back: fn(),
        owner_password: Option<String>,
    ) -> anyhow::Result<Self> {
        let beside = file.folder().to_owned();
        settings.mqtt.place_files(&beside);
        settings.tls.place_files(&beside);
        let files = OpenFiles::ask();
        let of_apps = &mut settings.http.max_connections;
        *of_apps = files.for_apps().clamp(1, *of_apps);
        let of_config = SoleUse::of(file.path())?;
        let data = data_folder(&settings.data, &beside)?;
        let of_data = SoleUse::of(&data.join(database::FILE))?;
        let state = State::open(file).context("restore the state")?;
        let database = Database::open(&settings.database, &data).await?;
        let record = Events::open(&database, &settings.events);
        let directory = Directory::open(&database).await.context("read the accounts")?;
        let keys = KeyFolder::open(&data).context("open the folder of keys")?;
        let credentials = DeviceCredentials::open(&database, &keys).await?;
        let console = Socket::listen(&data)?;
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

        let topics = Arc::new(Topics::new(&settings));
        adopt_base_topics(&state, &topics);
        let presence = Arc::new(Presence::default());
        let (events, incoming) = mpsc::channel(EVENTS);
        let permissions = Permissions::new(directory.clone(), settings.devices.clone());
        let passwords = Passwords::default();
        let pairing = Pairing::default();
        let admission = Admission {
            credentials: credentials.clone(),
            pairing: pairing.clone(),
            state: state.clone(),
            directory: directory.clone(),
            permissions: permissions.clone(),
            passwords: passwords.clone(),
            failures: Arc::new(Failures::default()),
            ledger: broker::ledger(&settings.mqtt)?,
            events: record.clone(),
        };
        let (link, mqtt) = if settings.mqtt.is_embedded() {
            let pages = broker::pages(&Origins::of(&settings.http, &http));
            let listeners = MqttListeners::bind(&settings.mqtt, certificates.as_ref(), &pages)?;
            let options = broker::options(&settings, files);
            let embedding = Embedding { listeners, options, give_back, admission };
            broker::inline_link(&settings, &data, embedding, &topics, events).await?
        } else {
            (broker::outside_link(&settings, &topics, events)?, MqttAddresses::default())
        };
        let outbox = LinkOutbox {
            topics: topics.clone(),
            link: link.clone(),
            state: state.clone(),
            presence: presence.clone(),
        };
        tokio::spawn(tell_of_wrong_codes(pairing.clone(), outbox.clone(), record.clone()));
        let parts = CommandParts {
            launcher: Arc::new(outbox.clone()),
            state: state.clone(),
            credentials: credentials.clone(),
            settings: settings.commands.clone(),
        };
        let commands = Commands::open(&database, parts);
        let commands = commands.await.context("open the record of commands")?;
        let folder = data.join("pictures");
        let pictures =
            Pictures::open(&database, &folder, &settings.pictures, record.clone()).await?;

        let registry = Arc::new(Registry::built_in());
        let pins = Pins::open(&database, &keys).await?;
        let sign_in = SignIn::open(
            &database,
            directory.clone(),
            passwords.clone(),
            keys,
            public_url.clone(),
            record.clone(),
        );
        let sign_in = sign_in.await.context("open what lets people in")?;
        let context = Context {
            state: state.clone(),
            commands: commands.clone(),
            events: record.clone(),
            pictures: pictures.clone(),
            credentials: credentials.clone(),
            pairing: pairing.clone(),
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
        let keypads = Keypads::new(keypads::Parts {
            pins,
            directory: directory.clone(),
            permissions: permissions.clone(),
            state: state.clone(),
            events: record.clone(),
            outbox: Box::new(outbox.clone()),
        });
        let host = Arc::new(ServerServices { handle: handle.clone(), outbox });
        let plugins = PluginHost::start(HostParts {
            settings: settings.plugins.clone(),
            beside,
            services: host,
            registry: registry.clone(),
            state: state.clone(),
            permissions: permissions.clone(),
            events: record.clone(),
        })
        .await;
        state.set_actions(registry.files());
        let broker = BrokerAddress {
            embedded: settings.mqtt.is_embedded(),
            url: mqtt.url().unwrap_or_else(|| settings.mqtt.broker_without_credentials()),
            prefix: settings.mqtt.prefix.clone(),
        };
        let services = Services {
            handle,
            state: state.clone(),
            directory: directory.clone(),
            passwords: passwords.clone(),
            credentials,
            keypads,
            pairing,
            sign_in,
            permissions,
            commands,
            events: record,
            registry,
            plugins,
            pictures,
            broker: Arc::new(broker),
            database: database.clone(),
            runtime: tokio::runtime::Handle::current(),
            settings: Arc::new(settings.http.clone()),
            limits: settings.limits.clone(),
            certificates,
        };
        // The last thing that can fail: a password that is made up must be told.
        let first_owner = ensure_owner(&directory, &passwords, owner_password).await?;
        Ok(Self {
            http,
            console,
            mqtt,
            reload: Reload::default(),
            services,
            first_owner,
            actor,
            link,
            state,
            database,
            sole_use: [of_config, of_data],
        })
    }

    /// Where the API and the board listen without TLS.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.iter().find(|at| !at.is_tls()).map(Listening::address)
    }

    /// Where they listen with TLS.
    pub fn https_address(&self) -> Option<SocketAddr> {
        self.http.iter().find(|at| at.is_tls()).map(Listening::address)
    }

    /// What became of the first owner.
    pub fn first_owner(&self) -> &FirstOwner {
        &self.first_owner
    }

    /// Where the embedded broker listens, if there is one.
    pub fn mqtt_addresses(&self) -> MqttAddresses {
        self.mqtt
    }

    /// Has the certificate read again.
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    fn say_that_it_is_ready(&self) {
        let MqttAddresses { mqtt, mqtts, ws, wss } = self.mqtt;
        let (http, https) = (self.http_address(), self.https_address());
        let board = match (http, https) {
            (Some(http), _) => format!("http://{http}/"),
            (None, https) => https.map_or_else(String::new, |https| format!("https://{https}/")),
        };
        tracing::info!(
            %board,
            https = https.map(tracing::field::display),
            mqtt = mqtt.map(tracing::field::display),
            mqtts = mqtts.map(tracing::field::display),
            ws = ws.map(tracing::field::display),
            wss = wss.map(tracing::field::display),
            version = env!("CARGO_PKG_VERSION"),
            "latchlight is ready"
        );
    }

    /// Answers until it is told to stop; then finishes what is in hand and
    /// saves.
    ///
    /// # Errors
    /// The HTTP server failed, or the state could not be saved.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> anyhow::Result<()> {
        self.say_that_it_is_ready();
        let Self { http, console, services, actor, link, state, .. } = self;
        let Self { database, sole_use, reload, .. } = self;
        let commanded = console.listener().context("share the server's own socket")?;
        let writer = tokio::spawn(state.clone().run_writer(LAST_KNOWN_EVERY));
        let stop_actor = CancellationToken::new();
        let actor: JoinHandle<()> = tokio::spawn(actor.run(stop_actor.clone()));
        let (commands, events) = (services.commands.clone(), services.events.clone());
        let version = concat!("version ", env!("CARGO_PKG_VERSION"));
        events.record(Event::of_server(Kind::Server, "start").detail(version));
        let housekeeping = tokio::spawn({
            let (commands, events) = (commands.clone(), events.clone());
            let sign_in = services.sign_in.clone();
            async move { tokio::join!(commands.keep_house(), events.keep_house(), sign_in.keep_house()) }
        });
        let watching = (services.certificates.clone(), events.clone());
        let watching = tokio::spawn(async move {
            let (certificates, events) = watching;
            match certificates {
                Some(certificates) => tls::watch(certificates, reload, events).await,
                None => loop {
                    reload.wished().await;
                    tracing::info!("nothing to read again: there is no certificate");
                },
            }
        });
        let patience = services.settings.shutdown_timeout();
        let mut serving = std::pin::pin!(http::run(http, commanded, services, stop.clone()));
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
        watching.abort();
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

/// Raises an alert each time that wrong codes have closed pairing; for ever.
async fn tell_of_wrong_codes(pairing: Pairing, outbox: LinkOutbox, events: Events) {
    loop {
        pairing.closed_by_failures().await;
        let why = "too many wrong join codes: pairing is closed";
        tracing::warn!("{why}");
        events.record(Event::of_server(Kind::Pairing, "close").detail(why));
        let at = crate::timestamp::now();
        if let Err(error) =
            outbox.alert("pairing", serde_json::json!({ "why": why, "at": at })).await
        {
            tracing::warn!(%error, "tell of wrong join codes");
        }
    }
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
