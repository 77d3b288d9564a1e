//! How lists are written, in config.json and in the environment.

use std::fmt;
use std::marker::PhantomData;

use serde::de::IntoDeserializer as _;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error, SeqAccess, Visitor};

/// A list; as one text, which is all that a variable of the environment can
/// be, either JSON or with commas between.
pub(super) fn list<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    from.deserialize_any(ListVisitor(PhantomData))
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for ListVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element()? {
            list.push(item);
        }
        Ok(list)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if text.trim_start().starts_with('[') {
            let json = &mut serde_json::Deserializer::from_str(text);
            return crate::named_fields::deserialize(json)
                .map_err(|error| E::custom(format!("as a JSON list: {error}")));
        }
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items
            .map(|item| {
                let item: StrDeserializer<'_, E> = item.into_deserializer();
                T::deserialize(item)
            })
            .collect()
    }
}
