//! Wires everything: the same for the program and for the tests.

mod acting;
mod broker;
mod entrances;
mod ground;
mod known;
mod waiting;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::acting::Acting;
use self::broker::Meeting;
use self::entrances::Entrances;
use self::ground::Ground;
use self::known::Known;
use crate::actions::Outbox as _;
use crate::config::Settings;
use crate::console::Socket;
use crate::database::Database;
use crate::device_interface::link::{Link, MqttAddresses};
use crate::device_interface::{Actor, LinkOutbox};
use crate::events::{Event, Events, Kind};
use crate::http::{self, BrokerAddress, Listening, Services};
use crate::identity::devices::Pairing;
use crate::identity::oidc::Provider;
use crate::identity::{FirstOwner, SignIn, ensure_owner};
use crate::keypads::{self, Keypads};
use crate::sole_use::SoleUse;
use crate::state::{ConfigFile, State};
use crate::tls::{self, Reload};

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
        let ground = Ground::open(&mut settings, file).await?;
        let known = Known::open(&ground, &settings).await?;
        let entrances = Entrances::bind(&settings, &ground)?;
        let meeting = Meeting::open(&settings, &ground, &known, &entrances, give_back).await?;
        let mqtt = meeting.mqtt;
        let public_url = &entrances.public_url;
        let acting = Acting::open(&settings, &ground, &known, meeting, public_url).await?;
        let (outbox, events) = (acting.outbox.clone(), known.events.clone());
        tokio::spawn(tell_of_wrong_codes(known.pairing.clone(), outbox, events));
        let services = services(&settings, &ground, &known, &entrances, &acting, mqtt).await?;
        // The last thing that can fail: a password that is made up must be told.
        let Known { directory, passwords, .. } = &known;
        let first_owner = ensure_owner(directory, passwords, owner_password).await?;
        Ok(Self {
            http: entrances.http,
            console: entrances.console,
            mqtt,
            reload: Reload::default(),
            services,
            first_owner,
            actor: acting.actor,
            link: acting.link,
            state: ground.state,
            database: ground.database,
            sole_use: ground.sole_use,
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
        let pictures = services.pictures.clone();
        let messages = services.messages.clone();
        messages.resume();
        let version = concat!("version ", env!("CARGO_PKG_VERSION"));
        events.record(Event::of_server(Kind::Server, "start").detail(version));
        let housekeeping = tokio::spawn({
            let (commands, events) = (commands.clone(), events.clone());
            let (pictures, messages) = (pictures.clone(), messages.clone());
            let sign_in = services.sign_in.clone();
            async move {
                let (records, kept) = (commands.keep_house(), pictures.keep_house());
                let (events, messages) = (events.keep_house(), messages.keep_house());
                tokio::join!(records, kept, events, messages, sign_in.keep_house())
            }
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
        messages.close().await;
        link.close().await;
        writer.abort();
        let saved = state.flush().await;
        pictures.close().await;
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

/// What the routes work with.
async fn services(
    settings: &Settings,
    ground: &Ground,
    known: &Known,
    entrances: &Entrances,
    acting: &Acting,
    mqtt: MqttAddresses,
) -> anyhow::Result<Services> {
    let Known { events, directory, credentials, permissions, pins, passwords, pairing } = known;
    let Ground { state, database, keys, .. } = ground;
    let keypads = Keypads::new(keypads::Parts {
        pins: pins.clone(),
        directory: directory.clone(),
        permissions: permissions.clone(),
        state: state.clone(),
        events: events.clone(),
        outbox: Box::new(acting.outbox.clone()),
    });
    let (directory, passwords) = (directory.clone(), passwords.clone());
    let public_url = entrances.public_url.clone();
    let sign_in =
        SignIn::open(database, directory, passwords, keys.clone(), public_url, events.clone())
            .await;
    let outside = || settings.mqtt.broker_without_credentials();
    let for_devices = mqtt.url_for_devices(settings.http.name_for_others());
    let broker = BrokerAddress {
        embedded: settings.mqtt.is_embedded(),
        url: mqtt.url().unwrap_or_else(outside),
        for_devices: for_devices.unwrap_or_else(outside),
        prefix: settings.mqtt.prefix.clone(),
    };
    Ok(Services {
        handle: acting.handle.clone(),
        state: state.clone(),
        directory: known.directory.clone(),
        passwords: known.passwords.clone(),
        credentials: credentials.clone(),
        keypads,
        pairing: pairing.clone(),
        sign_in: sign_in.context("open what lets people in")?,
        provider: Provider::open(&settings.oidc)?,
        permissions: permissions.clone(),
        commands: acting.commands.clone(),
        events: events.clone(),
        messages: acting.messages.clone(),
        message_settings: settings.messages.clone(),
        registry: acting.registry.clone(),
        plugins: acting.start_plugins(settings, ground, known).await,
        pictures: acting.pictures.clone(),
        links: acting.links.clone(),
        broker: Arc::new(broker),
        database: database.clone(),
        runtime: tokio::runtime::Handle::current(),
        started: SystemTime::now(),
        settings: Arc::new(settings.http.clone()),
        limits: settings.limits.clone(),
        certificates: entrances.certificates.clone(),
    })
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
