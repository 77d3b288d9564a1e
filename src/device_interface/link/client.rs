//! Who a client of the embedded broker is, as its identity there says it.

use std::sync::Arc;

use latchlight_broker::ConnectRequest;

use crate::identity::Identity;
use crate::state::DeviceId;

/// Who a client is. As text a word stands before the name, so that nobody can
/// be taken for somebody of another sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client<'a> {
    /// A device, by its id.
    Device(&'a str),
    /// An account, by its name.
    App(&'a str),
    /// Whoever wants to be the device of this id.
    Joining(&'a str),
    /// A user of the ledger, by name; nothing where it said none.
    Ledger(&'a str),
}

impl<'a> Client<'a> {
    /// Nothing: it was let in by an earlier version.
    pub(super) fn of(identity: &'a str) -> Option<Self> {
        match identity.split_once(':')? {
            ("device", id) => Some(Self::Device(id)),
            ("app", name) => Some(Self::App(name)),
            ("join", id) => Some(Self::Joining(id)),
            ("ledger", name) => Some(Self::Ledger(name)),
            _ => None,
        }
    }

    pub(super) fn identity(self) -> Arc<str> {
        let (sort, name) = match self {
            Self::Device(id) => ("device", id),
            Self::App(name) => ("app", name),
            Self::Joining(id) => ("join", id),
            Self::Ledger(name) => ("ledger", name),
        };
        format!("{sort}:{name}").into()
    }
}

/// Whether a device may use this client id (C10): its own id, or with a dot and
/// more behind it.
pub(super) fn is_of_device(client_id: &str, device: &DeviceId) -> bool {
    is_of(client_id, device.as_str())
}

/// The same of an app, which may also leave it to the broker.
pub(super) fn is_of_app(request: &ConnectRequest<'_>, name: &Identity) -> bool {
    request.is_client_id_assigned || is_of(request.client_id, name.as_str())
}

fn is_of(client_id: &str, name: &str) -> bool {
    let rest = client_id.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('.') && rest.len() > 1))
}

/// The device that a client id would be of, if there is such a device.
pub(super) fn device_of(client_id: &str) -> &str {
    client_id.split_once('.').map_or(client_id, |(device, _)| device)
}

/// Whose a client id may be: itself, and what stands before each of its dots,
/// the longest first.
pub(super) fn owners_of(client_id: &str) -> impl Iterator<Item = &str> {
    let dots = client_id.rmatch_indices('.').map(|(dot, _)| &client_id[..dot]);
    std::iter::once(client_id).chain(dots)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_as_it_is_written() {
        for client in
            [Client::Device("a"), Client::App("a"), Client::Joining("a"), Client::Ledger("")]
        {
            assert_eq!(Client::of(&client.identity()), Some(client));
        }
        for other in ["", "anonymous", "device", "front"] {
            assert_eq!(Client::of(other), None, "{other}");
        }
        assert_eq!(Client::of("ledger:device:front"), Some(Client::Ledger("device:front")));
    }

    #[test]
    fn c10_a_client_id_is_of_the_longest_name_that_it_begins_with() {
        let owners: Vec<_> = owners_of("a.b.c").collect();
        assert_eq!(owners, ["a.b.c", "a.b", "a"]);
        assert_eq!(owners_of("").collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn c10_a_device_has_the_client_ids_that_begin_with_its_own() {
        let front: DeviceId = "front".parse().unwrap();
        for own in ["front", "front.2", "front.a.b"] {
            assert!(is_of_device(own, &front) && device_of(own) == "front", "{own}");
        }
        for other in ["", "fron", "front2", "front-2", "front.", "back", "Front", ".front"] {
            assert!(!is_of_device(other, &front), "{other}");
        }
    }
}
