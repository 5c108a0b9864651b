//! Values of serde_json and of jaq, one into the other.

use std::fmt::{self, Write};

use jaq_json::{Num, Val};
use serde_json::{Map, Value};

/// An object of ours as a value of jaq's.
pub(super) fn object(map: &Map<String, Value>) -> Val {
    Val::obj(map.iter().map(|(name, value)| (Val::from(name.clone()), from(value))).collect())
}

/// Cannot recurse deeply: serde_json read it, and stops at 127 levels.
fn from(value: &Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(bool) => Val::Bool(*bool),
        Value::Number(number) => Val::Num(match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Num::from_integral(integer),
            (_, Some(integer)) => Num::from_integral(integer),
            _ => Num::Float(number.as_f64().unwrap_or(f64::NAN)),
        }),
        Value::String(text) => Val::from(text.clone()),
        Value::Array(values) => values.iter().map(from).collect(),
        Value::Object(map) => object(map),
    }
}

/// The first characters of what this displays. Stops there: an error may hold a value of many megabytes, or of any depth.
pub(super) fn first_chars(shown: &impl fmt::Display, most: usize) -> String {
    struct First {
        text: String,
        left: usize,
    }
    impl Write for First {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            for c in part.chars() {
                self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
                self.text.push(c);
            }
            Ok(())
        }
    }
    let mut first = First { text: String::new(), left: most };
    _ = write!(first, "{shown}"); // an error only says that there was more
    first.text
}

/// Takes a value apart without recursion: dropping one of great depth as it is would exhaust the stack.
pub(super) fn dismantle(value: Val) {
    let mut left = vec![value];
    while let Some(value) = left.pop() {
        match value {
            Val::Arr(values) => left.extend(jaq_json::Rc::into_inner(values).into_iter().flatten()),
            Val::Obj(map) => left.extend(jaq_json::Rc::into_inner(map).into_iter().flatten().map(|(_, value)| value)),
            _ => {}
        }
    }
}
