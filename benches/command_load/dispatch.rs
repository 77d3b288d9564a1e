//! The device interface alone: the actor with its topics, registry, permissions, actions and roster
//! as the server has them, on one thread, between a link that hands it words as fast as it takes
//! them and one that takes what it publishes and does nothing with it.
use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use clap::Args;
use latchlight::actions::{Context, Registry};
use latchlight::commands::{CommandId, CommandParts, Commands, Dispatch, Flight, FlightEnd};
use latchlight::config::Settings;
use latchlight::database::Database;
use latchlight::device_interface::link::{Incoming, Link, LinkEvent, NotTaken, Outgoing};
use latchlight::device_interface::topics::{Adopted, CommandMessage, Destination, Topics};
use latchlight::device_interface::{Actor, Counts, LinkOutbox, Mistakes, Parts, Presence};
use latchlight::events::Events;
use latchlight::identity::devices::{DeviceCredentials, Pairing};
use latchlight::identity::pins::Pins;
use latchlight::identity::{Directory, Permissions};
use latchlight::key_folder::KeyFolder;
use latchlight::pictures::{PictureLinks, Pictures};
use latchlight::state::{ConfigFile, Device, DeviceId, State};
use latchlight_contest::accounting;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::roster;

/// As many as the server lets wait.
const WAITING: usize = 16 * 1024;

#[derive(Args)]
pub struct DispatchArgs {
    /// How many words
    #[arg(long, default_value_t = 1_000_000)]
    words: usize,
    /// How many devices say them, in turn
    #[arg(long, default_value_t = 1_000)]
    devices: usize,
}

/// Prints, as JSON, how many words of each kind the device interface takes in a second of processor
/// time.
pub async fn run(args: DispatchArgs) -> anyhow::Result<()> {
    let rates = measure(&args).await?;
    println!("{}", serde_json::to_string(&rates)?);
    Ok(())
}

async fn measure(args: &DispatchArgs) -> anyhow::Result<BTreeMap<&'static str, f64>> {
    let folder = tempfile::tempdir().context("make a folder")?;
    let file = folder.path().join("config.json");
    let config = serde_json::json!({ "settings": {}, "state": roster::state(args.devices) });
    std::fs::write(&file, config.to_string()).context("write config.json")?;
    let settings = Settings::default();
    let state = State::open(ConfigFile::new(file))?;
    let devices = state.devices();
    let database = Database::open(&settings.database, folder.path()).await?;
    let parts = parts(&settings, &state, &database, &folder.path().join("pictures")).await?;
    let (events, incoming) = mpsc::channel(WAITING);
    let (actor, _handle) = Actor::new(parts, incoming);
    let stop = CancellationToken::new();
    let actor = tokio::spawn(actor.run(stop.clone()));
    let mut rates = BTreeMap::new();
    for (name, words) in words() {
        let said: Vec<LinkEvent> =
            words.iter().flat_map(|word| devices.iter().map(|device| say(device, word))).collect();
        // Once beforehand: they are online then, and what is made once is made.
        feed(&events, &said, said.len()).await?;
        let before = accounting::own_cpu_seconds()?;
        feed(&events, &said, args.words).await?;
        let seconds = accounting::own_cpu_seconds()? - before;
        rates.insert(name, args.words as f64 / seconds);
    }
    stop.cancel();
    actor.await.context("run the actor")?;
    ensure!(state.devices().iter().all(|device| device.online), "not every word was taken");
    Ok(rates)
}

/// What the devices say in turn, by kind.
fn words() -> [(&'static str, Vec<String>); 3] {
    let id = CommandId::generate();
    [
        ("state, another one each time", vec!["state locked".into(), "state unlocked".into()]),
        ("state, with its battery", vec![r#"state locked {"battery": 77}"#.into()]),
        ("ack", vec![format!("ack {id} ok")]),
    ]
}

fn say(device: &Device, word: &str) -> LinkEvent {
    LinkEvent::Message(Incoming {
        topic: format!("latchlight/devices/{}/up", device.id).into(),
        payload: Bytes::copy_from_slice(word.as_bytes()),
        retained: false,
        duplicate: false,
    })
}

/// Hands the device interface so many words, and returns when it has done with the last one.
async fn feed(
    events: &mpsc::Sender<LinkEvent>,
    said: &[LinkEvent],
    count: usize,
) -> anyhow::Result<()> {
    for event in said.iter().cycle().take(count) {
        events.send(event.clone()).await.context("the actor is gone")?;
    }
    // One thread: who took the last one has done with it when it comes to others again.
    while events.capacity() < WAITING {
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn parts(
    settings: &Settings,
    state: &State,
    database: &Database,
    pictures: &std::path::Path,
) -> anyhow::Result<Parts> {
    let (topics, presence) = (Arc::new(Topics::new(settings)), Arc::new(Presence::default()));
    let link: Arc<dyn Link> = Arc::new(Nowhere);
    let events = Events::open(database, &settings.events);
    let permissions = Permissions::new(Directory::open(database).await?, settings.devices.clone());
    let outbox = LinkOutbox {
        topics: topics.clone(),
        link: link.clone(),
        state: state.clone(),
        permissions: permissions.clone(),
        presence: presence.clone(),
        events: events.clone(),
    };
    let keys = KeyFolder::open(pictures)?;
    let credentials = DeviceCredentials::open(database, &keys).await?;
    let commands = CommandParts {
        launcher: Arc::new(outbox.clone()),
        state: state.clone(),
        permissions: permissions.clone(),
        pins: Pins::open(database, &keys).await?,
        credentials: credentials.clone(),
        settings: settings.commands.clone(),
    };
    let commands = Commands::open(database, commands).await?;
    let pictures = Pictures::open(database, pictures, &settings.pictures, events.clone()).await?;
    let context = Context {
        state: state.clone(),
        commands,
        events,
        pictures,
        credentials,
        pairing: Pairing::default(),
        permissions,
        links: PictureLinks::open(&keys, String::new(), &settings.pictures)?,
        outbox: Box::new(outbox),
    };
    Ok(Parts {
        registry: Arc::new(Registry::built_in()),
        context,
        topics,
        link,
        presence,
        state: state.clone(),
        mistakes: Mistakes::default(),
        counts: Counts::default(),
        tellers: TaskTracker::new(),
    })
}

/// A link whose devices are all there, and to which nothing is carried.
struct Nowhere;

#[async_trait]
impl Link for Nowhere {
    async fn subscribe(&self, _: &str) -> anyhow::Result<()> {
        Ok(())
    }

    async fn unsubscribe(&self, _: &str) -> anyhow::Result<()> {
        Ok(())
    }

    async fn publish(&self, _: &Destination, _: Bytes, _: bool) -> anyhow::Result<()> {
        Ok(())
    }

    async fn deliver(&self, _: &Destination, _: Outgoing) -> Result<(), NotTaken> {
        Ok(())
    }

    async fn launch(&self, _: &Device, _: CommandMessage, _: Dispatch) -> Flight {
        Flight::ended(FlightEnd::Refused("nothing is carried here".to_owned()))
    }

    fn adopted(&self, _: &DeviceId, _: &Adopted) {}

    fn presence(&self, _: &DeviceId) -> Option<bool> {
        Some(true)
    }

    fn is_up(&self) -> bool {
        true
    }

    async fn close(&self) {}
}
