//! Which events somebody follows, and those among them that are of devices.

use super::Kind;
use crate::state::DeviceId;

/// What somebody follows: of these kinds, and about these devices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Which {
    /// Of these; none named: of all.
    pub kinds: Vec<Kind>,
    /// About these; none named: about all, and about none.
    pub devices: Vec<DeviceId>,
}

impl Which {
    /// Whether an event is among them; its words are as they stand on record.
    pub fn has(&self, kind: &str, device: Option<&str>) -> bool {
        let is_kind = self.kinds.is_empty() || self.kinds.iter().any(|it| it.as_str() == kind);
        let is_device = self.devices.is_empty()
            || device.is_some_and(|device| self.devices.iter().any(|it| it.as_str() == device));
        is_kind && is_device
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_is_meant_and_what_is_named_alone() {
        let hall = || "hall".parse::<DeviceId>().expect("an id");
        let all = Which::default();
        assert!(all.has("server", None) && all.has("a later kind", Some("hall")));
        let commands = Which { kinds: vec![Kind::Command, Kind::Server], ..Which::default() };
        assert!(commands.has("server", None) && commands.has("command", Some("hall")));
        assert!(!commands.has("account", None));
        let of_hall = Which { devices: vec![hall()], ..Which::default() };
        assert!(of_hall.has("command", Some("hall")));
        assert!(!of_hall.has("command", Some("hall-2")) && !of_hall.has("command", None));
        let both = Which { kinds: vec![Kind::Command], devices: vec![hall()] };
        assert!(!both.has("server", Some("hall")));
    }
}
