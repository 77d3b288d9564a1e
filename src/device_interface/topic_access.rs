//! Who may say and hear what on which topic: the rules of the embedded broker
//! (SAFETY C9), by names alone. What an account may see is another question.

use super::topic_rules::below;
use super::topics::Topics;

/// What a topic, or a filter, is about, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// Below a device; in a filter, the id may be a wildcard.
    Device {
        /// Whose.
        id: &'a str,
        /// What follows.
        leaf: &'a str,
    },
    /// Below an app.
    App {
        /// Whose.
        name: &'a str,
        /// What follows.
        leaf: &'a str,
    },
    /// Below somebody who wants to join.
    Join {
        /// Whose.
        id: &'a str,
        /// What follows.
        leaf: &'a str,
    },
    /// An alert.
    Alert,
    /// The server's own presence.
    Server,
    /// Below the prefix, and nothing that there is.
    Nothing,
    /// Outside the prefix.
    Outside,
}

/// Where a device speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Its words, which are acted on.
    Words,
    /// Whether it is there.
    Online,
    /// A picture's bytes.
    Picture,
}

impl Topics {
    /// What a topic or a filter is about.
    pub fn place<'a>(&self, topic: &'a str) -> Place<'a> {
        let Some(rest) = below(topic, self.prefix()) else {
            let is_parent = topic == self.prefix();
            return if is_parent { Place::Nothing } else { Place::Outside };
        };
        let (kind, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let (name, leaf) = rest.split_once('/').unwrap_or((rest, ""));
        match kind {
            "devices" => Place::Device { id: name, leaf },
            "apps" => Place::App { name, leaf },
            "join" => Place::Join { id: name, leaf },
            "alerts" => Place::Alert,
            "server" => Place::Server,
            _ => Place::Nothing,
        }
    }

    /// Whether this is where somebody joins.
    pub fn is_join_topic(&self, topic: &str) -> bool {
        matches!(self.place(topic), Place::Join { .. })
    }

    /// As what a device speaks on this topic; nothing: it may not.
    pub fn channel(&self, device: &str, topic: &str) -> Option<Channel> {
        match self.place(topic) {
            Place::Device { id, leaf } if id == device => match leaf {
                // One with topics of another shape has those alone.
                "up" => Some(Channel::Words),
                "online" => Some(Channel::Online),
                "picture" => Some(Channel::Picture),
                _ => None,
            },
            Place::Outside => self.is_speaker(device, topic).then_some(Channel::Words),
            _ => None,
        }
    }

    /// Whether a device may subscribe to this: what is below its own branch,
    /// its own topics of another shape, and the whole of its own base topic.
    pub fn may_listen(&self, device: &str, filter: &str) -> bool {
        match self.place(filter) {
            Place::Device { id, leaf } => id == device && !leaf.is_empty(),
            Place::Outside => {
                let base = filter.strip_suffix("/#").or_else(|| filter.strip_suffix("/+"));
                let down = base.map(|base| format!("{base}/down"));
                let down = down.as_deref().unwrap_or(filter);
                // Who has left a base topic keeps the rest of its session.
                self.is_listener(device, down) || self.has_left(device, down)
            }
            _ => false,
        }
    }

    /// Whether a device may hear what is said on this topic.
    pub fn hears(&self, device: &str, topic: &str) -> bool {
        match self.place(topic) {
            Place::Device { id, .. } => id == device,
            Place::Outside => self.is_listener(device, topic) || self.is_speaker(device, topic),
            _ => false,
        }
    }

    /// Whether this is nobody's here: outside the prefix, and no topic that a
    /// device brought along.
    pub fn is_elsewhere(&self, topic: &str) -> bool {
        self.place(topic) == Place::Outside && !self.is_of_a_device(topic)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::{DeviceTopics, Settings};

    fn topics() -> Topics {
        let mut settings = Settings::default();
        let topics = DeviceTopics { up: "old/gate/says".to_owned(), down: "old/gate".to_owned() };
        let device = crate::config::DeviceSettings { topics: Some(topics), ..Default::default() };
        settings.devices.insert("gate".parse().unwrap(), device);
        let topics = Topics::new(&settings);
        topics.adopt_base(&"front".parse().unwrap(), "yard/front").unwrap();
        topics.adopt_base(&"back".parse().unwrap(), "yard/front/back").unwrap();
        topics
    }

    #[test]
    fn c9_a_device_speaks_on_its_own_topics_only() {
        let topics = topics();
        let channel = |topic| topics.channel("front", topic);
        assert_eq!(channel("latchlight/devices/front/up"), Some(Channel::Words));
        assert_eq!(channel("latchlight/devices/front/online"), Some(Channel::Online));
        assert_eq!(channel("latchlight/devices/front/picture"), Some(Channel::Picture));
        assert_eq!(channel("yard/front/up"), Some(Channel::Words));
        assert_eq!(topics.channel("gate", "old/gate/says"), Some(Channel::Words));
        for other in [
            "latchlight/devices/front/down",
            "latchlight/devices/front/state",
            "latchlight/devices/front/up/x",
            "latchlight/devices/front",
            "latchlight/devices/front-2/up",
            "latchlight/devices/back/up",
            "latchlight/devices//up",
            "latchlight/apps/front/up",
            "latchlight/join/front/up",
            "latchlight/alerts/stranger",
            "latchlight/server/online",
            "latchlight",
            "yard/front/down",
            "yard/front",
            "yard/front/back/up",
            "old/gate/says",
            "weather",
            "$SYS/broker/uptime",
        ] {
            assert_eq!(channel(other), None, "{other}");
        }
    }

    #[test]
    fn c9_a_device_listens_below_its_own_topics_only() {
        let topics = topics();
        for own in [
            "latchlight/devices/front/down",
            "latchlight/devices/front/+",
            "latchlight/devices/front/#",
            "yard/front/down",
            "yard/front/#",
            "yard/front/+",
        ] {
            assert!(topics.may_listen("front", own), "{own}");
        }
        assert!(topics.may_listen("gate", "old/gate"));
        for other in [
            "#",
            "+",
            "+/#",
            "+/devices/front/down",
            "latchlight/#",
            "latchlight/+/front/down",
            "latchlight/devices/#",
            "latchlight/devices/+/down",
            "latchlight/devices/front",
            "latchlight/devices/back/down",
            "latchlight/apps/front/down",
            "latchlight/join/front/down",
            "latchlight/alerts/#",
            "latchlight/server/online",
            "yard/#",
            "yard/+/down",
            "yard/front/back/down",
            "old/gate",
            "weather",
            "$SYS/#",
        ] {
            assert!(!topics.may_listen("front", other), "{other}");
        }
        topics.adopt_base(&"front".parse().unwrap(), "yard/new").unwrap();
        assert!(topics.may_listen("front", "yard/front/down"));
        assert!(!topics.hears("front", "yard/front/down"));
        topics.adopt_base(&"shed".parse().unwrap(), "yard/front").unwrap();
        assert!(!topics.may_listen("front", "yard/front/down"));
        topics.adopt_base(&"shed".parse().unwrap(), "shed").unwrap();
        topics.adopt_base(&"front".parse().unwrap(), "yard/front").unwrap();
        // What the wildcard of its base topic takes in of another's.
        assert!(topics.hears("front", "yard/front/down"));
        assert!(!topics.hears("front", "yard/front/back/down"));
        assert!(!topics.hears("front", "yard/front/weather"));
        assert!(!topics.hears("front", "latchlight/devices/back/down"));
    }

    #[test]
    fn elsewhere_is_outside_the_prefix_and_no_devices_topic() {
        let topics = topics();
        for elsewhere in ["weather", "latchlights/devices", "yard/front/weather"] {
            assert!(topics.is_elsewhere(elsewhere), "{elsewhere}");
        }
        for ours in ["latchlight", "latchlight/x", "yard/front/down", "yard/front/up", "old/gate"] {
            assert!(!topics.is_elsewhere(ours), "{ours}");
        }
    }
}
