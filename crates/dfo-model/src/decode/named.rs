//! Reading an object into memory, but only the fields that are asked for.
//!
//! A tree may take dozens of times the memory of its text. What nobody asks for is checked to be
//! JSON and not held.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Tree;

/// Reads a tree that has these fields, as far as they are there, and no others.
pub(super) struct Named<'n>(pub(super) &'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Named<'_> {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Named<'_> {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut named = serde_json::Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if self.0.contains(&name.as_str()) {
                named.insert(name, map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Tree::Object(named))
    }

    /// Not an object; it is enough to know what it is.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Tree::Array(Vec::new()))
    }

    fn visit_bool<E: de::Error>(self, b: bool) -> Result<Tree, E> {
        Ok(b.into())
    }

    fn visit_i64<E: de::Error>(self, i: i64) -> Result<Tree, E> {
        Ok(i.into())
    }

    fn visit_u64<E: de::Error>(self, u: u64) -> Result<Tree, E> {
        Ok(u.into())
    }

    fn visit_f64<E: de::Error>(self, f: f64) -> Result<Tree, E> {
        Ok(f.into())
    }

    fn visit_str<E: de::Error>(self, s: &str) -> Result<Tree, E> {
        Ok(s.into())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }
}
