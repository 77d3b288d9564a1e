//! What a token is good for (RFC 6749, 3.3).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One thing that a token may be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Scope {
    /// See devices, their states and commands.
    DevicesRead,
    /// Lock and unlock.
    LocksOperate,
    /// Switch lights and whatever is no lock, and perform other actions.
    LightsOperate,
    /// Send messages, and see what became of them.
    MessagesSend,
    /// See every message that was sent or received.
    MessagesRead,
    /// See what cameras saw.
    PicturesRead,
    /// Send pictures in, as a camera does over HTTP.
    PicturesWrite,
    /// See what happened, and who did it.
    EventsRead,
    /// See what the server counts, as Prometheus does.
    MetricsRead,
    /// Everything else: accounts, devices, plugins, the broker.
    Admin,
}

/// A set of scopes; as text, their names with spaces between.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "devices:read locks:operate")]
pub struct Scopes(u16);

/// What was offered as a scope and is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a scope: {all}", all = Scopes::all())]
pub struct InvalidScope(String);

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 10] = [
        Self::DevicesRead,
        Self::LocksOperate,
        Self::LightsOperate,
        Self::MessagesSend,
        Self::MessagesRead,
        Self::PicturesRead,
        Self::PicturesWrite,
        Self::EventsRead,
        Self::MetricsRead,
        Self::Admin,
    ];

    /// The name, as in tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DevicesRead => "devices:read",
            Self::LocksOperate => "locks:operate",
            Self::LightsOperate => "lights:operate",
            Self::MessagesSend => "messages:send",
            Self::MessagesRead => "messages:read",
            Self::PicturesRead => "pictures:read",
            Self::PicturesWrite => "pictures:write",
            Self::EventsRead => "events:read",
            Self::MetricsRead => "metrics:read",
            Self::Admin => "admin",
        }
    }
}

impl Scopes {
    /// All of them.
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Whether this one is among them.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & bit(scope) != 0
    }

    /// These, and one more.
    pub fn with(self, scope: Scope) -> Self {
        Self(self.0 | bit(scope))
    }

    /// Those that are in both.
    pub fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether all of these are among the others.
    pub fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

fn bit(scope: Scope) -> u16 {
    1 << scope as u8
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::default(), Self::with)
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|scope| scope.as_str() == name);
        known.ok_or_else(|| {
            InvalidScope(name.chars().take(40).flat_map(char::escape_default).collect())
        })
    }
}

impl FromStr for Scopes {
    type Err = InvalidScope;

    fn from_str(names: &str) -> Result<Self, Self::Err> {
        names.split(' ').filter(|name| !name.is_empty()).map(Scope::from_str).collect()
    }
}

impl TryFrom<String> for Scopes {
    type Error = InvalidScope;

    fn try_from(names: String) -> Result<Self, Self::Error> {
        names.parse()
    }
}

impl From<Scopes> for String {
    fn from(scopes: Scopes) -> Self {
        scopes.to_string()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{scope}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_they_are_written() {
        let scopes: Scopes = "locks:operate  devices:read".parse().unwrap();
        assert_eq!(scopes.to_string(), "devices:read locks:operate");
        assert_eq!(Scopes::all().to_string().parse(), Ok(Scopes::all()));
        assert_eq!("".parse(), Ok(Scopes::default()));
        let error = "locks".parse::<Scopes>().unwrap_err().to_string();
        assert!(error.starts_with("`locks` is not a scope: devices:read "), "{error}");
    }

    #[test]
    fn sets_are_sets() {
        let read = Scopes::from_iter([Scope::DevicesRead]);
        let more = read.with(Scope::Admin);
        assert!(read.within(more) && !more.within(read));
        assert_eq!(more.both(read), read);
        assert!(!read.has(Scope::Admin) && Scopes::default().is_empty());
    }
}
