//! Reading an object into memory, but only what can be of use.
//!
//! A tree may take dozens of times the memory of its text. Fields that nobody asks for are checked
//! to be JSON and not held; nor is what is inside a list or an object where none is expected.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Tree;

/// What a field may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A bool, a number or a text.
    Scalar,
    /// A list of scalars.
    List,
    /// An object of scalars.
    Object,
}

/// Reads an object that has these fields, as far as they are there, and no others.
pub(super) struct Named<'n>(pub(super) &'n [(&'n str, Shape)]);

/// Reads a value as far as its shape goes: an unexpected list or object is held empty, which is
/// enough to say what it is.
struct Shaped<'n> {
    shape: Shape,
    /// Of an object, the fields asked for; without them, all.
    fields: Option<&'n [(&'n str, Shape)]>,
}

impl<'de> DeserializeSeed<'de> for Named<'_> {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        let shape = Shape::Object;
        let fields = Some(self.0);
        Shaped { shape, fields }.deserialize(deserializer)
    }
}

impl<'de> DeserializeSeed<'de> for Shaped<'_> {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Shaped<'_> {
    fn scalar() -> Self {
        Shaped {
            shape: Shape::Scalar,
            fields: None,
        }
    }

    /// How to read the field of that name; `None` if nobody asks for it.
    fn field(&self, name: &str) -> Option<Self> {
        let Some(fields) = self.fields else {
            return Some(Self::scalar());
        };
        let shape = fields.iter().find(|(field, _)| *field == name)?.1;
        Some(Shaped {
            shape,
            fields: None,
        })
    }
}

impl<'de> Visitor<'de> for Shaped<'_> {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut held = serde_json::Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let field = self.field(&name).filter(|_| self.shape == Shape::Object);
            if let Some(field) = field {
                held.insert(name, map.next_value_seed(field)?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Tree::Object(held))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut held = Vec::new();
        if self.shape == Shape::List {
            while let Some(item) = seq.next_element_seed(Shaped::scalar())? {
                held.push(item);
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Tree::Array(held))
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
