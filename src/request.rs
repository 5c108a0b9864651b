//! A request, as it is stored: what a job says.

use bytes::Bytes;
use serde_json::{Map, Value};

/// What is sent for one job. Stored by the import, never changed by a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// An HTTP method, upper case.
    pub method: String,
    /// An absolute `http` or `https` URL.
    pub url: String,
    /// Header names with their values, in the order given.
    pub headers: Map<String, Value>,
    /// The body; `None` sends none.
    pub body: Option<Bytes>,
    /// The input row, for processors and exports.
    pub row: Map<String, Value>,
}

/// A name that comes again has all its values, in a list.
pub(crate) fn add_header(headers: &mut Map<String, Value>, name: &str, value: String) {
    let known = headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name));
    match known.map(|(_, values)| values) {
        None => {
            headers.insert(name.to_owned(), Value::String(value));
        }
        Some(Value::Array(values)) => values.push(Value::String(value)),
        Some(values) => *values = Value::Array(vec![values.take(), Value::String(value)]),
    }
}
