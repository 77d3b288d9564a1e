//! A house for plugins: a folder with libraries, a roster, and a server that
//! records what it is asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use latchlight::actions::{Answer, Context, Outbox, Registry, Request};
use latchlight::commands::{CommandParts, Commands, Dispatch, Flight, FlightEnd, Launcher, Verb};
use latchlight::config::{Settings, Sha256Hex};
use latchlight::database::Database;
use latchlight::events::{Events, Filter, Recorded};
use latchlight::identity::devices::{DeviceCredentials, Pairing};
use latchlight::identity::pins::Pins;
use latchlight::identity::{
    Account, AccountId, AccountKind, Directory, Permissions, Principal, Proof, Role, Who,
};
use latchlight::key_folder::KeyFolder;
use latchlight::pictures::{PictureLinks, Pictures};
use latchlight::plugin_host::{HostParts, HostServices, PluginHost, PluginReport};
use latchlight::state::{ConfigFile, Device, DeviceId, DeviceKind, Features, Joining, State};
use latchlight_plugin_api::{self as api, ActionError, CommandOutcome};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What the server was asked for, as text.
pub(crate) type Asked = Arc<Mutex<Vec<String>>>;

/// A house that is being furnished.
pub(crate) struct Furnishing {
    folder: TempDir,
    plugins: Value,
    devices: Value,
}

/// A house with running plugins.
pub(crate) struct House {
    pub(crate) host: PluginHost,
    pub(crate) registry: Arc<Registry>,
    pub(crate) asked: Asked,
    pub(crate) directory: Directory,
    context: Context,
    _folder: TempDir,
}

impl Furnishing {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        let plugins = json!({ "allow": [], "time_limit_ms": 20_000 });
        Self { folder, plugins, devices: json!({}) }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join("plugins").join(file)
    }

    /// Installs a library and allows it, with more in its entry.
    pub(crate) fn allow(mut self, library: &Path, more: Value) -> Self {
        let file = library.file_name().unwrap().to_str().unwrap();
        std::fs::copy(library, self.path(file)).unwrap();
        let sha256 = Sha256Hex::of(&std::fs::read(library).unwrap());
        let mut entry = json!({ "file": file, "sha256": sha256.as_str() });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.plugins["allow"].as_array_mut().unwrap().push(entry);
        self
    }

    /// Adds an entry as it stands, whatever lies in the folder.
    pub(crate) fn entry(mut self, entry: Value) -> Self {
        self.plugins["allow"].as_array_mut().unwrap().push(entry);
        self
    }

    pub(crate) fn time_limit_ms(self, limit: u64) -> Self {
        self.set("time_limit_ms", limit.into())
    }

    /// Sets a key of `plugins`.
    pub(crate) fn set(mut self, key: &str, value: Value) -> Self {
        self.plugins[key] = value;
        self
    }

    /// What config.json grants the devices.
    pub(crate) fn devices(mut self, devices: Value) -> Self {
        self.devices = devices;
        self
    }

    /// A house with a lock, a light and a camera, and its plugins started.
    pub(crate) async fn move_in(self) -> House {
        let section = json!({ "plugins": self.plugins, "devices": self.devices }).to_string();
        let settings = Settings::load_with(&section, Default::default()).unwrap();
        let (context, directory) = context(&self.folder, &settings).await;
        let asked = Asked::default();
        let services =
            Arc::new(RecordingServices { state: context.state.clone(), asked: asked.clone() });
        let registry = Arc::new(Registry::built_in());
        let host = PluginHost::start(HostParts {
            settings: settings.plugins,
            beside: self.folder.path().to_owned(),
            services,
            registry: registry.clone(),
            state: context.state.clone(),
            permissions: context.permissions.clone(),
            events: context.events.clone(),
        })
        .await;
        House { host, registry, asked, directory, context, _folder: self.folder }
    }
}

impl House {
    /// Closes the record, and gives all that is in it, in its order.
    pub(crate) async fn events(&self) -> Vec<Recorded> {
        self.context.events.close().await;
        self.context.events.after(&Filter::default(), 0, i64::MAX, 100).await.unwrap()
    }

    /// The report of a file.
    pub(crate) fn report(&self, file: &str) -> PluginReport {
        let reports = self.host.reports();
        reports.into_iter().find(|report| report.file == file).expect(file)
    }

    /// An app says this.
    pub(crate) async fn say(&self, text: &str) -> Result<Answer, ActionError> {
        self.say_as(Who::Operator, text, false).await
    }

    /// Somebody says this, perhaps not for the first time.
    pub(crate) async fn say_as(
        &self,
        who: Who,
        text: &str,
        duplicate: bool,
    ) -> Result<Answer, ActionError> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let registered = self.registry.get(word).expect(word);
        let (word, rest) = (word.to_owned(), rest.to_owned());
        let principal = Principal::over_mqtt(who);
        let request = Request { word, rest, principal, topic: None, duplicate };
        registered.action.perform(request, &self.context).await
    }

    /// A guest who may have this done to that device, and no more.
    pub(crate) async fn guest(&self, verb: Verb, device: &str) -> Who {
        let scopes = Role::Guest.scopes();
        let grant = json!({ "actions": [verb], "devices": [device] });
        let account = Account {
            id: AccountId::generate(),
            name: "guest".parse().unwrap(),
            kind: AccountKind::User,
            role: Role::Guest,
            scopes,
            grants: vec![serde_json::from_value(grant).unwrap()],
            proof: Proof::default(),
            subject: None,
            epoch: 0,
            disabled: false,
            created_at: jiff::Timestamp::now(),
            expires_at: None,
        };
        Who::account(&self.directory.add(account).await.unwrap(), scopes)
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

async fn context(folder: &TempDir, settings: &Settings) -> (Context, Directory) {
    let config = folder.path().join("config.json");
    std::fs::write(&config, "{}").unwrap();
    let state = State::open(ConfigFile::new(config)).unwrap();
    tokio::spawn(state.clone().run_writer(Duration::from_secs(1)));
    let kinds = [
        ("front-door", DeviceKind::Lock),
        ("hall", DeviceKind::Light),
        ("porch", DeviceKind::Camera),
    ];
    for (id, kind) in kinds {
        let joining = Joining {
            id: id.parse().unwrap(),
            kind,
            profile: "words".to_owned(),
            features: Features::default(),
            base_topic: None,
        };
        state.join(joining).await.unwrap();
    }
    let database = Database::open(&settings.database, folder.path()).await.unwrap();
    let directory = Directory::open(&database).await.unwrap();
    let keys = KeyFolder::open(folder.path()).unwrap();
    let credentials = DeviceCredentials::open(&database, &keys).await.unwrap();
    let permissions = Permissions::new(directory.clone(), settings.devices.clone());
    let commands = CommandParts {
        launcher: Arc::new(Nowhere),
        state: state.clone(),
        permissions: permissions.clone(),
        pins: Pins::open(&database, &keys).await.unwrap(),
        credentials: credentials.clone(),
        settings: settings.commands.clone(),
    };
    let events = Events::open(&database, &settings.events);
    let pictures = folder.path().join("pictures");
    let pictures = Pictures::open(&database, &pictures, &settings.pictures, events.clone()).await;
    let context = Context {
        events,
        state,
        commands: Commands::open(&database, commands).await.unwrap(),
        pictures: pictures.unwrap(),
        credentials,
        pairing: Pairing::default(),
        permissions,
        links: PictureLinks::open(&keys, String::new(), &settings.pictures).unwrap(),
        outbox: Box::new(Nowhere),
    };
    (context, directory)
}

/// A server that does all that it is asked for, but for `unlock`, which takes
/// it as long as anyone waits.
struct RecordingServices {
    state: State,
    asked: Asked,
}

#[async_trait]
impl HostServices for RecordingServices {
    fn devices(&self) -> Vec<Arc<Device>> {
        self.state.devices()
    }

    async fn command(
        &self,
        plugin: &str,
        verb: Verb,
        device: &DeviceId,
        wait: Duration,
    ) -> Result<CommandOutcome, ActionError> {
        self.asked.lock().push(format!("{plugin}: {verb} {device}"));
        let (verb, status) = match verb {
            Verb::Lock => (api::Verb::Lock, "confirmed"),
            Verb::Unlock => (api::Verb::Unlock, "sent"),
            Verb::On => (api::Verb::On, "confirmed"),
            Verb::Off => (api::Verb::Off, "confirmed"),
        };
        if status == "sent" {
            tokio::time::sleep(wait).await;
        }
        let (device, status) = (device.to_string(), status.to_owned());
        Ok(CommandOutcome { device, verb, command: Some("id".to_owned()), status, detail: None })
    }

    async fn alert(&self, what: &str, _: Value) -> Result<(), ActionError> {
        self.asked.lock().push(format!("alert {what}"));
        Ok(())
    }

    async fn publish(&self, topic: &str, payload: Vec<u8>) -> Result<(), ActionError> {
        let payload = String::from_utf8(payload).unwrap();
        self.asked.lock().push(format!("publish {topic} {payload}"));
        Ok(())
    }
}

/// The ways that no plugin's action takes.
struct Nowhere;

#[async_trait]
impl Launcher for Nowhere {
    async fn launch(&self, _: &Device, _: Dispatch) -> Flight {
        Flight::ended(FlightEnd::Away("nobody is here".to_owned()))
    }

    fn is_up(&self) -> bool {
        true
    }
}

#[async_trait]
impl Outbox for Nowhere {
    async fn alert(&self, _: &str, _: Value) -> Result<(), String> {
        Ok(())
    }

    async fn ask_to_report(&self, _: &Device) -> Result<(), String> {
        Ok(())
    }

    fn joining(&self, _: &DeviceId) -> Box<dyn Send> {
        Box::new(())
    }

    async fn adopt(&self, _: &DeviceId, _: Option<&str>) -> Result<(), String> {
        Ok(())
    }

    fn presence(&self, _: &DeviceId) -> Option<bool> {
        None
    }
}
