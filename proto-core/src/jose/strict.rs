//! JSON objects, read strictly: no member twice at any depth, and an object is an object, not the array that serde would
//! take for one as well.

use alloc::{collections::BTreeSet, string::String};
use core::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

/// Reads one object; `None` when it is none, has a member twice, lacks one that is required, or more follows.
pub(super) fn object<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    serde_json::from_slice::<UniqueMembers>(json).ok()?;
    serde_json::from_slice::<Object<T>>(json).ok().map(|object| object.0)
}

/// For `#[serde(deserialize_with = …)]`: an object within one.
pub(super) fn member<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Object::deserialize(deserializer).map(|object| object.0)
}

struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Any JSON without a member that stands twice in its object.
struct UniqueMembers;

impl<'de> Deserialize<'de> for UniqueMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(|()| Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !seen.insert(name) {
                return Err(A::Error::custom("a member stands twice"));
            }
            map.next_value::<UniqueMembers>()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element::<UniqueMembers>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Outer {
        a: u64,
        #[serde(default, deserialize_with = "optional")]
        inner: Option<Inner>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        b: u64,
    }

    fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Inner>, D::Error> {
        member(deserializer).map(Some)
    }

    #[test]
    fn objects_are_read_strictly() {
        assert_eq!(object::<Outer>(br#"{"a":1}"#), Some(Outer { a: 1, inner: None }));
        assert_eq!(
            object::<Outer>(br#" {"a":1,"inner":{"b":2},"more":[{"x":1},{"x":1}]} "#).unwrap().inner,
            Some(Inner { b: 2 })
        );
        for bad in [
            r"[1]",
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"a":1,"x":1,"x":2}"#,
            r#"{"a":1,"x":[{"y":{"z":1,"z":1}}]}"#,
            r#"{"a":1,"inner":[2]}"#,
            r#"{"a":1}{}"#,
            r#"{"a":1.5}"#,
            r#"{"a":-1}"#,
            r#"{"a":"1"}"#,
            r"{}",
            r#""a""#,
            "",
        ] {
            assert_eq!(object::<Outer>(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_object_is_told_what_should_be_there() {
        let error = serde_json::from_str::<Object<Inner>>("[2]").err().unwrap();
        assert!(alloc::format!("{error}").contains("expected an object"), "{error}");
    }

    #[test]
    fn depth_is_bounded() {
        let deep = alloc::format!("{{\"a\":1,\"x\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(object::<Outer>(deep.as_bytes()), None);
    }
}
