//! JSON as cells of a table: the members of an object, and a value as text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object in their order, their values unread.
pub(super) struct Members<'j>(pub(super) Vec<(String, &'j RawValue)>);

impl<'j> Members<'j> {
    /// Those of this JSON; `None` where it is no object.
    pub(super) fn of(json: &'j RawValue) -> Option<Self> {
        json.get().starts_with('{').then(|| serde_json::from_str(json.get()).ok()).flatten()
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

/// A value as a cell: a string without its quotes, null as nothing, everything else as its JSON.
pub(super) fn cell(json: &RawValue) -> String {
    match json.get() {
        "null" => String::new(),
        text if text.starts_with('"') => serde_json::from_str(text).unwrap_or_else(|_| text.to_owned()),
        text => text.to_owned(),
    }
}
