//! What a Redis server makes of a commit when its power goes: it says so
//! itself, where it may be asked.

use std::collections::HashMap;

use redis::{Connection, RedisResult};

/// What it has to be told for a commit to be on disk when it is answered, and
/// for nothing to be thrown away later.
const WANTED: [(&str, &str); 3] =
    [("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")];

/// What was asked, and said in the log: once, until it changes.
#[derive(Debug, Default)]
pub(super) struct Durability {
    said: Option<Vec<Weaker>>,
}

/// One way in which the server is weaker than a store should be.
#[derive(Debug, PartialEq, Eq)]
enum Weaker {
    Setting { name: &'static str, found: String, wanted: &'static str },
    NotTold(String),
}

impl Durability {
    /// Asks the server, and says what is weaker than when it was asked before.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub(super) fn ask(&mut self, connection: &mut Connection) -> RedisResult<()> {
        let weaker = ask(connection)?;
        if self.said.as_ref() != Some(&weaker) {
            weaker.iter().for_each(Weaker::say);
            self.said = Some(weaker);
        }
        Ok(())
    }
}

impl Weaker {
    fn say(&self) {
        match self {
            Self::Setting { name, found, wanted } => tracing::warn!(
                setting = name,
                found,
                wanted,
                "Redis is a weaker store: what was acknowledged may be lost"
            ),
            Self::NotTold(error) => tracing::warn!(
                %error,
                "Redis does not say whether it keeps what it has acknowledged (CONFIG GET): it may be a weaker store"
            ),
        }
    }
}

fn ask(connection: &mut Connection) -> RedisResult<Vec<Weaker>> {
    let mut weaker = Vec::new();
    for (name, wanted) in WANTED {
        let asked = redis::cmd("CONFIG").arg("GET").arg(name).query(connection);
        let found: HashMap<String, String> = match asked {
            Ok(found) => found,
            Err(error) if error.is_io_error() => return Err(error),
            Err(error) => return Ok(vec![Weaker::NotTold(error.to_string())]),
        };
        let found = found.get(name).map_or("", String::as_str);
        if found != wanted {
            weaker.push(Weaker::Setting { name, found: found.to_owned(), wanted });
        }
    }
    Ok(weaker)
}
