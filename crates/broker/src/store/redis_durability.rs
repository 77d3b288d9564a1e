//! What a Redis server makes of a commit when its power goes: it says so
//! itself, where it may be asked.

use std::collections::HashMap;

use redis::{Connection, RedisResult};

/// What it has to be told for a commit to be on disk when it is answered, and
/// for nothing to be thrown away later.
const WANTED: [(&str, &str); 3] =
    [("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")];

/// Says in the log what is weaker than a store should be.
///
/// # Errors
/// The server cannot be reached.
pub(super) fn say(connection: &mut Connection) -> RedisResult<()> {
    for (name, wanted) in WANTED {
        let asked = redis::cmd("CONFIG").arg("GET").arg(name).query(connection);
        let found: HashMap<String, String> = match asked {
            Ok(found) => found,
            Err(error) if error.is_io_error() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "Redis does not say whether it keeps what it has acknowledged (CONFIG GET): it may be a weaker store");
                return Ok(());
            }
        };
        let found = found.get(name).map_or("", String::as_str);
        if found != wanted {
            tracing::warn!(
                setting = name,
                found,
                wanted,
                "Redis is a weaker store: what was acknowledged may be lost"
            );
        }
    }
    Ok(())
}
