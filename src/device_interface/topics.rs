//! Every topic name of the server; where it may publish, the gate in `gate.rs`
//! decides.

mod gate;

use std::collections::HashMap;

use parking_lot::RwLock;
use serde::Serialize;
use utoipa::ToSchema;

use super::joins::Joins;
use super::topic_rules::{below, check_base, matches, shown};
use crate::config::{DeviceTopics, Settings};
use crate::identity::Identity;
use crate::state::{Device, DeviceId};

pub use gate::{AnswerWord, CommandMessage, Destination, Refused};

/// The topics of this server: its prefix, its more topics, and the topics
/// that devices brought along.
pub struct Topics {
    prefix: String,
    extra: Vec<String>,
    /// The filters whose messages are put on record; no device speaks there.
    recorded: Vec<String>,
    /// Topics of another shape, from config.json; they win over base topics.
    settled: HashMap<DeviceId, DeviceTopics>,
    /// Who speaks on which topic outside the prefix.
    speakers: RwLock<HashMap<String, DeviceId>>,
    /// The topics outside the prefix on which devices listen.
    listeners: RwLock<HashMap<String, DeviceId>>,
    /// Where devices listened before, and may still be subscribed: nothing comes
    /// there.
    left: RwLock<HashMap<DeviceId, String>>,
    pub(super) joins: Joins,
}

/// Whose a topic is, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A device speaks.
    Device(DeviceId),
    /// A device's presence, retained.
    Online(DeviceId),
    /// A camera's picture.
    Picture(DeviceId),
    /// An app speaks.
    App(Identity),
    /// Somebody speaks who has shown a join code.
    Join(DeviceId),
    /// One of the more topics that config.json names.
    Extra,
}

/// The topics of a device that brought a base topic along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// Where it speaks: the filter to subscribe to.
    pub up: String,
    /// Where it listens.
    pub down: String,
    /// Where it spoke before: the filter to listen on no more.
    pub left: Option<String>,
}

/// Where a device speaks and listens, for whoever sets it up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeviceTopicNames {
    /// Where it says its words.
    #[schema(example = "latchlight/devices/front-door/up")]
    pub up: String,
    /// Where it listens.
    #[schema(example = "latchlight/devices/front-door/down")]
    pub down: String,
    /// Where it says whether it is there.
    #[schema(example = "latchlight/devices/front-door/online")]
    pub online: String,
    /// Where it sends pictures.
    #[schema(example = "latchlight/devices/front-door/picture")]
    pub picture: String,
}

impl Topics {
    /// The topics as the settings have them.
    pub fn new(settings: &Settings) -> Self {
        let topics = Self {
            prefix: settings.mqtt.prefix.clone(),
            extra: settings.mqtt.topics.clone(),
            recorded: settings.messages.record.clone(),
            settled: (settings.devices.iter())
                .filter_map(|(id, device)| Some((id.clone(), device.topics.clone()?)))
                .collect(),
            speakers: RwLock::default(),
            listeners: RwLock::default(),
            left: RwLock::default(),
            joins: Joins::default(),
        };
        for (id, pair) in &topics.settled {
            topics.speakers.write().insert(pair.up.clone(), id.clone());
            topics.listeners.write().insert(pair.down.clone(), id.clone());
        }
        topics
    }

    /// The prefix of all topics of this server.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The filters to subscribe to at start.
    pub fn filters(&self) -> Vec<String> {
        let prefix = &self.prefix;
        let mut filters = vec![
            format!("{prefix}/devices/+/up"),
            format!("{prefix}/devices/+/online"),
            format!("{prefix}/devices/+/picture"),
            format!("{prefix}/apps/+/up"),
        ];
        filters.extend(self.extra.iter().cloned());
        filters.extend(self.speakers.read().keys().cloned());
        filters
    }

    /// Where those speak who have shown a join code: in the server's own broker.
    pub fn join_filter(&self) -> String {
        format!("{}/join/+/up", self.prefix)
    }

    /// Whose topic this is; nothing where the server does not listen.
    pub fn source(&self, topic: &str) -> Option<Source> {
        if let Some(rest) = below(topic, &self.prefix) {
            let (kind, rest) = rest.split_once('/')?;
            let (name, leaf) = rest.split_once('/')?;
            return match (kind, leaf) {
                ("devices", "up") => name.parse().ok().map(Source::Device),
                ("devices", "online") => name.parse().ok().map(Source::Online),
                ("devices", "picture") => name.parse().ok().map(Source::Picture),
                ("apps", "up") => name.parse().ok().map(Source::App),
                ("join", "up") => name.parse().ok().map(Source::Join),
                _ => None,
            };
        }
        if let Some(id) = self.speakers.read().get(topic) {
            return Some(Source::Device(id.clone()));
        }
        self.extra.iter().any(|filter| matches(filter, topic)).then_some(Source::Extra)
    }

    /// Why nobody speaks on this topic, though the server may hear it.
    pub fn why_nobody(&self, topic: &str) -> String {
        let rest = below(topic, &self.prefix).and_then(|rest| rest.split_once('/'));
        let (kind, name) = match rest {
            Some((kind, rest)) => (kind, rest.split_once('/').map_or(rest, |(name, _)| name)),
            None => ("", ""),
        };
        let why = match kind {
            "devices" => name.parse::<DeviceId>().err().map(|error| error.to_string()),
            "apps" => name.parse::<Identity>().err().map(|error| error.to_string()),
            _ => None,
        };
        why.unwrap_or_else(|| "it is nobody's topic".to_owned())
    }

    /// Where a device listens. A base topic that could not be adopted, as
    /// after a change of the settings, may be another device's, and does not
    /// count.
    pub fn down(&self, device: &Device) -> String {
        if let Some(pair) = self.settled.get(device.id.as_str()) {
            return pair.down.clone();
        }
        let own = device.base_topic.as_ref().map(|base| format!("{base}/down"));
        own.filter(|down| self.listeners.read().get(down) == Some(&device.id))
            .unwrap_or_else(|| format!("{}/devices/{}/down", self.prefix, device.id))
    }

    /// Where a device speaks and listens that has no base topic of its own.
    pub fn of(&self, id: &DeviceId) -> DeviceTopicNames {
        let own = |leaf| format!("{}/devices/{id}/{leaf}", self.prefix);
        let settled = self.settled.get(id.as_str());
        DeviceTopicNames {
            up: settled.map_or_else(|| own("up"), |pair| pair.up.clone()),
            down: settled.map_or_else(|| own("down"), |pair| pair.down.clone()),
            online: own("online"),
            picture: own("picture"),
        }
    }

    /// Notes a base topic, in the place of the device's one before. Nothing
    /// comes of it where config.json settles the device's topics.
    ///
    /// # Errors
    /// The topic has wildcards or a `$`, stands below the prefix, or is heard
    /// or spoken on by someone else.
    pub fn adopt_base(&self, id: &DeviceId, base: &str) -> Result<Option<Adopted>, String> {
        check_base(&self.prefix, base)?;
        if self.settled.contains_key(id.as_str()) {
            return Ok(None);
        }
        let (up, down) = (format!("{base}/up"), format!("{base}/down"));
        let mut heard = self.extra.iter().chain(&self.recorded);
        if heard.any(|filter| matches(filter, &up) || matches(filter, &down)) {
            return Err(format!("the base topic `{base}` is one that the server listens on"));
        }
        let (mut speakers, mut listeners) = (self.speakers.write(), self.listeners.write());
        for topic in [&up, &down] {
            let owner = speakers.get(topic).or_else(|| listeners.get(topic));
            if let Some(owner) = owner.filter(|owner| *owner != id) {
                return Err(format!("the base topic `{base}` belongs to {owner}"));
            }
        }
        let left = self.forget(&mut speakers, &mut listeners, id).filter(|left| *left != up);
        speakers.insert(up.clone(), id.clone());
        listeners.insert(down.clone(), id.clone());
        Ok(Some(Adopted { up, down, left }))
    }

    /// Forgets the base topic of a device that left, or has none any more;
    /// gives the filter to listen on no more.
    pub fn drop_base(&self, id: &DeviceId) -> Option<String> {
        if self.settled.contains_key(id.as_str()) {
            return None;
        }
        self.forget(&mut self.speakers.write(), &mut self.listeners.write(), id)
    }

    /// Takes a device's topics out; gives the one on which it spoke.
    fn forget(
        &self,
        speakers: &mut HashMap<String, DeviceId>,
        listeners: &mut HashMap<String, DeviceId>,
        id: &DeviceId,
    ) -> Option<String> {
        if let Some((down, _)) = listeners.extract_if(|_, owner| owner == id).last() {
            self.left.write().insert(id.clone(), down);
        }
        speakers.extract_if(|_, owner| owner == id).map(|(topic, _)| topic).last()
    }

    /// Refuses what a client of the embedded broker may not publish to: a
    /// device's `down`, what the server alone says, and below a device all
    /// that is not the device's to say, for it may listen to the whole branch.
    ///
    /// # Errors
    /// It is such a topic.
    pub fn refuse_reserved(&self, topic: &str) -> Result<(), Refused> {
        if self.is_command_topic(topic) {
            return Err(Refused::CommandTopic(shown(topic)));
        }
        match below(topic, &self.prefix).map(|rest| rest.split('/').collect::<Vec<_>>()).as_deref()
        {
            Some(["devices", _, "up" | "online" | "picture"]) => Ok(()),
            Some(["devices" | "alerts" | "server" | "join", ..] | ["apps", _, "down"]) => {
                Err(Refused::Reserved(shown(topic)))
            }
            _ => Ok(()),
        }
    }

    /// Whether a device takes commands from this topic.
    pub fn is_command_topic(&self, topic: &str) -> bool {
        let below = below(topic, &self.prefix).and_then(|rest| rest.strip_prefix("devices/"));
        below.is_some_and(|rest| rest.ends_with("/down"))
            || self.listeners.read().contains_key(topic)
    }

    /// Whether the server tells on this topic how things are, and does so anew
    /// at every start.
    pub fn is_state_topic(&self, topic: &str) -> bool {
        let levels = below(topic, &self.prefix).map(|rest| rest.split('/').collect::<Vec<_>>());
        matches!(levels.as_deref(), Some(["devices", _, "state"] | ["server", "online"]))
    }

    /// Whether what is said on this topic is acted on: nothing retained, and
    /// no last will, may stand there.
    pub fn is_spoken_topic(&self, topic: &str) -> bool {
        matches!(
            self.source(topic),
            Some(Source::Device(_) | Source::App(_) | Source::Join(_) | Source::Extra)
        )
    }

    /// Whether this device speaks on this topic outside the prefix.
    pub(super) fn is_speaker(&self, device: &str, topic: &str) -> bool {
        self.speakers.read().get(topic).is_some_and(|id| id.as_str() == device)
    }

    /// Whether this device listens on this topic outside the prefix.
    pub(super) fn is_listener(&self, device: &str, topic: &str) -> bool {
        self.listeners.read().get(topic).is_some_and(|id| id.as_str() == device)
    }

    /// Whether this device listened on this topic before, and nobody does now.
    pub(super) fn has_left(&self, device: &str, topic: &str) -> bool {
        !self.is_of_a_device(topic)
            && self.left.read().get(device).is_some_and(|left| left == topic)
    }

    /// Whether a device speaks or listens on this topic outside the prefix.
    pub(super) fn is_of_a_device(&self, topic: &str) -> bool {
        self.speakers.read().contains_key(topic) || self.listeners.read().contains_key(topic)
    }

    /// The device that this subscription is meant for: its filter names the
    /// one device, by its `down` or by the branch above it.
    pub fn listener(&self, filter: &str) -> Option<DeviceId> {
        if let Some(rest) = below(filter, &self.prefix) {
            let (id, leaf) = rest.strip_prefix("devices/")?.split_once('/')?;
            return matches!(leaf, "down" | "+" | "#").then(|| id.parse().ok()).flatten();
        }
        let listeners = self.listeners.read();
        let branch = filter.strip_suffix("/#").or_else(|| filter.strip_suffix("/+"));
        match branch {
            None => listeners.get(filter).cloned(),
            Some(branch) => listeners.get(&format!("{branch}/down")).cloned(),
        }
    }
}
