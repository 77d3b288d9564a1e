//! What somebody may know of what became of a device: all of it, or what a
//! guest may. Every way to a device's past asks here, and nowhere else.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Account, Role, Through};
use crate::state::DeviceId;

/// What somebody may know of what became of a device that they see.
#[derive(Debug, Clone)]
pub struct View(Option<OfGuest>);

/// A guest sees what became of the device while it was granted to them, and
/// was theirs to see at that moment; and nobody's name but their own.
#[derive(Debug, Clone)]
struct OfGuest {
    account: Arc<Account>,
    device: DeviceId,
}

impl View {
    /// All that there is.
    pub const WHOLE: Self = Self(None);

    /// What an account may know of a device that it sees.
    pub(super) fn of(account: Arc<Account>, device: &DeviceId) -> Self {
        match account.role {
            Role::Owner | Role::Member => Self::WHOLE,
            Role::Guest => Self(Some(OfGuest { account, device: device.clone() })),
        }
    }

    /// Whether they may know what happened at that moment.
    pub fn shows(&self, at: Timestamp) -> bool {
        let Self(Some(guest)) = self else { return true };
        guest.account.was_shown(&guest.device, at)
    }

    /// The earliest that they may know of anything.
    pub fn begins(&self) -> Option<Timestamp> {
        let Self(Some(guest)) = self else { return None };
        let about = guest.account.grants.iter().filter(|grant| grant.is_about(&guest.device));
        about.map(|grant| guest.account.begin_of(grant)).min()
    }

    /// Whether they may know what is said of somebody: of themselves, or of
    /// everybody.
    pub fn names(&self, actor: &str) -> bool {
        let Self(Some(guest)) = self else { return true };
        let name = actor.strip_prefix("app:");
        name.is_some_and(|name| name == guest.account.name.as_str())
            || actor.strip_prefix("device:") == Some(guest.device.as_str())
    }

    /// Whether they may know why that came of it: why somebody else may not do
    /// a thing is between them and the owner.
    pub fn tells_why(&self, actor: &str, result: &str) -> bool {
        Self::tells_anybody_why(result) || self.names(actor)
    }

    /// The same, of somebody whose name they may not know.
    pub fn tells_anybody_why(result: &str) -> bool {
        result != "refused"
    }

    /// Who somebody is, as they may know it.
    pub fn actor<'a>(&self, actor: &'a str, through: Option<Through>) -> Cow<'a, str> {
        let through = through.map(Through::as_str);
        let shown = if self.names(actor) { actor } else { nameless(actor, through) };
        Cow::Borrowed(shown)
    }
}

/// Somebody without a name: `app` (a person or a program), `device`, `plugin`,
/// …, and `keypad` for whoever showed a code there.
pub fn nameless<'a>(actor: &'a str, through: Option<&str>) -> &'a str {
    if through == Some(Through::Keypad.as_str()) {
        return Through::Keypad.as_str();
    }
    actor.split_once(':').map_or(actor, |(what, _)| what)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::identity::{AccountGrant, AccountId, AccountKind, Proof, Scopes};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn guest(grants: &str) -> Account {
        Account {
            id: AccountId::generate(),
            name: "gus".parse().unwrap(),
            kind: AccountKind::User,
            role: Role::Guest,
            scopes: Scopes::all(),
            grants: serde_json::from_str(grants).unwrap(),
            proof: Proof::default(),
            subject: None,
            epoch: 0,
            disabled: false,
            created_at: at("2026-11-02T00:00:00Z"),
            expires_at: None,
        }
    }

    fn view(account: &Account, device: &str) -> View {
        View::of(Arc::new(account.clone()), &device.parse().unwrap())
    }

    #[test]
    fn c23_a_guest_knows_of_the_time_in_which_a_grant_was_there_and_its_window_open() {
        let mut gus = guest(
            r#"[{"actions": [], "devices": ["front"], "window":
                 {"days": ["mon"], "hours": ["08:00", "10:00"], "time_zone": "UTC"}},
                {"actions": ["lock"], "devices": ["back"]}]"#,
        );
        gus.grants[1].since = Some(at("2026-11-10T12:00:00Z"));
        let (front, back) = (view(&gus, "front"), view(&gus, "back"));
        // The 2nd, the 9th and the 16th are Mondays.
        assert!(!front.shows(at("2026-10-26T09:00:00Z")), "before there was a guest");
        assert!(front.shows(at("2026-11-09T09:00:00Z")));
        assert!(!front.shows(at("2026-11-09T10:00:00Z")), "the window was closed");
        assert!(front.shows(at("2026-11-16T09:59:59Z")));
        assert_eq!(front.begins(), Some(gus.created_at));
        assert!(!back.shows(at("2026-11-10T11:59:59Z")), "before it was granted");
        assert!(back.shows(at("2026-11-10T12:00:00Z")));
        assert!(!view(&gus, "shed").shows(at("2026-11-16T09:00:00Z")), "nothing grants it");
        gus.role = Role::Member;
        assert!(view(&gus, "back").shows(at("2020-01-01T00:00:00Z")));
        assert!(view(&gus, "back").names("app:ann"));
    }

    #[test]
    fn a_guest_knows_their_own_name_and_of_others_what_they_are() {
        let view = view(&guest(r#"[{"actions": [], "devices": ["front"]}]"#), "front");
        for (actor, through, shown) in [
            ("app:gus", Through::Http, "app:gus"),
            ("app:gus", Through::Keypad, "app:gus"),
            ("app:gustav", Through::Http, "app"),
            ("app:ann", Through::Mqtt, "app"),
            ("app:ann", Through::Keypad, "keypad"),
            ("device:front", Through::Mqtt, "device:front"),
            ("device:remote", Through::Mqtt, "device"),
            ("plugin:night", Through::Plugin, "plugin"),
            ("operator", Through::Console, "operator"),
            ("server", Through::Server, "server"),
        ] {
            assert_eq!(view.actor(actor, Some(through)), shown);
            assert_eq!(View::WHOLE.actor(actor, Some(through)), actor);
        }
        assert!(view.tells_why("app:gus", "refused") && view.tells_why("app:ann", "failed"));
        assert!(!view.tells_why("app:ann", "refused"), "what ann may not is not for gus");
    }

    #[test]
    fn a_grant_begins_anew_where_it_shows_more_than_before() {
        let (first, later) = (at("2026-11-05T00:00:00Z"), at("2026-11-20T00:00:00Z"));
        let mut gus = guest(r#"[{"actions": ["lock"], "devices": ["front", "back"]}]"#);
        gus.date_grants(None, first);
        let dated = |before: &Account, grants: &str| {
            let mut after =
                Account { grants: serde_json::from_str(grants).unwrap(), ..guest("[]") };
            after.date_grants(Some(before), later);
            after.grants.iter().map(|grant| grant.since.unwrap()).collect::<Vec<_>>()
        };
        let more_verbs = r#"[{"actions": ["lock", "unlock"], "devices": ["front"]}]"#;
        assert_eq!(dated(&gus, more_verbs), [first]);
        let more_devices = r#"[{"actions": [], "devices": ["front", "shed"]},
                               {"actions": [], "devices": ["back"]}]"#;
        assert_eq!(dated(&gus, more_devices), [later, first]);
        let other_hours = r#"[{"actions": [], "devices": ["back"], "window": {"days": ["mon"]}}]"#;
        assert_eq!(dated(&gus, other_hours), [later]);
        gus.disabled = true;
        assert_eq!(dated(&gus, more_verbs), [later], "who was not let in begins anew");
        let everything = Account { grants: vec![AccountGrant::everything()], ..guest("[]") };
        assert_eq!(dated(&everything, more_verbs), [everything.created_at]);
    }
}
