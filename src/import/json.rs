//! JSON read strictly: nothing in it is dropped, rounded or read twice.

use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

/// The members of an object as they stand, each once.
pub(super) struct Members<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                let mut names = std::collections::HashSet::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(twice(&name)));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

fn twice(name: &str) -> String {
    format!("the member {name:?} is there twice")
}

/// Why a value is none for us.
pub(super) enum Unread {
    /// It has a number that no number of ours is.
    Inexact(String),
    /// What is wrong with it.
    Bad(String),
}

/// The value that a JSON text means, and nothing else.
pub(super) fn exact_value(json: &str) -> Result<Value, Unread> {
    let large = Cell::new(false);
    let mut parser = serde_json::Deserializer::from_str(json);
    match Strict(&large).deserialize(&mut parser) {
        Ok(value) if !large.get() => Ok(value),
        Ok(value) => {
            numbers(json).find(|number| is_inexact(number)).map_or(Ok(value), |n| Err(Unread::Inexact(n.to_owned())))
        }
        Err(error) => {
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or_default();
            let far = numbers(json).find(|number| !number.parse().is_ok_and(f64::is_finite));
            Err(match (said, far) {
                ("number out of range", Some(number)) => Unread::Inexact(number.to_owned()),
                ("recursion limit exceeded", _) => Unread::Bad("is nested more than 127 deep".to_owned()),
                _ => Unread::Bad(format!("cannot be read: {said}")),
            })
        }
    }
}

/// An integer that is none of 64 bits would be rounded.
fn is_inexact(number: &str) -> bool {
    !number.contains(['.', 'e', 'E']) && number.parse::<i64>().is_err() && number.parse::<u64>().is_err()
}

/// The numbers of a JSON text, as they stand.
fn numbers(json: &str) -> impl Iterator<Item = &str> {
    let mut rest = json;
    std::iter::from_fn(move || {
        loop {
            let start = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit())?;
            rest = &rest[start..];
            if rest.starts_with('"') {
                rest = &rest[text_length(rest)..];
                continue;
            }
            let number = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
            let (found, after) = rest.split_at(rest.find(|c| !number(c)).unwrap_or(rest.len()));
            rest = after;
            return Some(found);
        }
    })
}

/// How long a JSON string is, with its quotes.
fn text_length(json: &str) -> usize {
    let mut escaped = false;
    let end = json.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(json.len(), |end| end + 2)
}

/// A value in which no object has two members of one name; notes whether a number is beyond the integers of 64 bits.
#[derive(Clone, Copy)]
struct Strict<'a>(&'a Cell<bool>);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        // Not far below 2^63: where integers begin to be read as fractions.
        if value.abs() > 9.2e18 {
            self.0.set(true);
        }
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(self)?;
            if members.contains_key(&name) {
                return Err(A::Error::custom(twice(&name)));
            }
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}
