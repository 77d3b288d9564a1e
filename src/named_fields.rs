//! What others write, read by the names of its fields: a body, what is said over
//! MQTT, the settings.
//!
//! serde takes a list for a struct, its fields in their order and without their
//! names, and what was meant is then anybody's guess. Here a list is none, at
//! any depth. What serde reads ahead into a buffer of its own (`untagged`,
//! `tag`, `flatten`) is out of reach: nothing with fields is to be read so.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};

/// Reads a value; what is wrong is named by its path.
///
/// # Errors
/// It is of another shape.
pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<T, serde_path_to_error::Error<D::Error>>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    serde_path_to_error::deserialize(Named(from))
}

/// Hands on what the inner one has, and wraps what comes of it in turn.
struct Named<T>(T);

/// A visitor; one of a struct takes no list.
struct Visit<V> {
    visitor: V,
    is_of_struct: bool,
}

impl<V> Visit<V> {
    fn any(visitor: V) -> Self {
        Self { visitor, is_of_struct: false }
    }

    fn of_struct(visitor: V) -> Self {
        Self { visitor, is_of_struct: true }
    }
}

/// Methods of a deserializer that take these arguments, and a visitor.
macro_rules! hand_on {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(
            self,
            $($argument: $type,)*
            visitor: V,
        ) -> Result<V::Value, D::Error> {
            self.0.$method($($argument,)* Visit::any(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Named<D> {
    type Error = D::Error;

    hand_on! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_seq();
        deserialize_map();
        deserialize_identifier();
        deserialize_ignored_any();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_tuple(length: usize);
        deserialize_tuple_struct(name: &'static str, length: usize);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct(name, fields, Visit::of_struct(visitor))
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// Methods of a visitor that take a value of this type.
macro_rules! visit {
    ($($method:ident($type:ty);)*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.visitor.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Visit<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    visit! {
        visit_bool(bool);
        visit_i8(i8);
        visit_i16(i16);
        visit_i32(i32);
        visit_i64(i64);
        visit_i128(i128);
        visit_u8(u8);
        visit_u16(u16);
        visit_u32(u32);
        visit_u64(u64);
        visit_u128(u128);
        visit_f32(f32);
        visit_f64(f64);
        visit_char(char);
        visit_str(&str);
        visit_borrowed_str(&'de str);
        visit_string(String);
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Named(from))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Named(from))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<V::Value, A::Error> {
        if self.is_of_struct {
            return Err(A::Error::invalid_type(Unexpected::Seq, &"an object"));
        }
        self.visitor.visit_seq(Named(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Named(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, chosen: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(Named(chosen))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Named<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Named(from))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Named<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Named(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Named<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(Named(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Named(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Named<A> {
    type Error = A::Error;
    type Variant = Named<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, variant) = self.0.variant_seed(Named(seed))?;
        Ok((value, Named(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Named<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Named(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(length, Visit::any(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, Visit::of_struct(visitor))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        number: u8,
    }

    #[derive(Debug, serde::Deserialize, PartialEq)]
    enum Choice {
        Plain,
        One(Inner),
        Two(u8, Inner),
        Named { inner: Inner },
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        pair: (u8, u8),
        #[serde(default)]
        maybe: Option<Inner>,
        #[serde(default)]
        list: Vec<Inner>,
        #[serde(default)]
        map: BTreeMap<String, Inner>,
        #[serde(default)]
        choices: Vec<Choice>,
        #[serde(default)]
        raw: Option<Box<RawValue>>,
    }

    fn read(json: &str) -> Result<Outer, String> {
        deserialize(&mut serde_json::Deserializer::from_str(json)).map_err(|e| e.to_string())
    }

    #[test]
    fn what_has_names_is_read_as_ever() {
        let json = r#"{
            "pair": [1, 2], "maybe": {"number": 3}, "list": [{"number": 4}],
            "map": {"a": {"number": 5}}, "raw": [[1.50],  {"a": "b"}],
            "choices": ["Plain", {"One": {"number": 6}}, {"Two": [7, {"number": 8}]},
                {"Named": {"inner": {"number": 9}}}]
        }"#;
        let read = read(json).unwrap();
        assert_eq!((read.pair, read.maybe), ((1, 2), Some(Inner { number: 3 })));
        assert_eq!((read.list.len(), read.map["a"].number), (1, 5));
        assert_eq!(read.raw.unwrap().get(), r#"[[1.50],  {"a": "b"}]"#);
        assert_eq!(read.choices[2], Choice::Two(7, Inner { number: 8 }));
        assert_eq!(read.choices[3], Choice::Named { inner: Inner { number: 9 } });
    }

    #[test]
    fn a_list_is_no_struct_at_any_depth() {
        for (json, place) in [
            ("[[1, 2]]", ""),
            (r#"{"pair": [1, 2], "maybe": [3]}"#, "maybe: "),
            (r#"{"pair": [1, 2], "list": [{"number": 1}, [4]]}"#, "list[1]: "),
            (r#"{"pair": [1, 2], "map": {"a": [5]}}"#, "map.a: "),
            (r#"{"pair": [1, 2], "choices": [{"One": [6]}]}"#, "choices[0].One: "),
            (r#"{"pair": [1, 2], "choices": [{"Two": [7, [8]]}]}"#, "choices[0].Two[1]: "),
            (r#"{"pair": [1, 2], "choices": [{"Named": [{"number": 9}]}]}"#, "choices[0].Named: "),
        ] {
            let why = format!("{place}invalid type: sequence, expected an object");
            let error = read(json).unwrap_err();
            assert!(error.starts_with(&why), "{json}: {error}");
        }
    }

    #[test]
    fn what_is_unknown_or_there_twice_is_named() {
        let error = read(r#"{"pair": [1, 2], "maybe": {"number": 3, "x": 1}}"#).unwrap_err();
        assert!(error.starts_with("maybe.x: unknown field `x`"), "{error}");
        let error = read(r#"{"pair": [1, 2], "maybe": {"number": 3, "number": 4}}"#).unwrap_err();
        assert!(error.contains("duplicate field `number`"), "{error}");
    }
}
