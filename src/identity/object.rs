//! Objects within bodies that are objects alone: serde takes an array for an
//! object's fields without their names, and what was meant is then anybody's
//! guess.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// One object.
pub(crate) fn object<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    let fields = Map::deserialize(from)?;
    serde_json::from_value(Value::Object(fields)).map_err(D::Error::custom)
}

/// A list of them, where there is one.
pub(crate) fn objects<'de, T, D>(from: D) -> Result<Option<Vec<T>>, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    let Some(list) = Option::<Vec<Map<String, Value>>>::deserialize(from)? else { return Ok(None) };
    let each = list.into_iter().map(|fields| serde_json::from_value(Value::Object(fields)));
    each.collect::<Result<_, _>>().map(Some).map_err(D::Error::custom)
}
