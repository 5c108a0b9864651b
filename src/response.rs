//! A response, as it was received and is stored.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::clock::Micros;

/// A complete response of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status code.
    pub status_code: u16,
    /// Lower-case header names, each with its value, or an array of values where it came more than once.
    pub headers: Map<String, Value>,
    /// The body after `Content-Encoding` was undone.
    pub body: Bytes,
    /// When its last byte was read.
    pub fetched_at_us: Micros,
}

impl Response {
    /// The body as text, where it is UTF-8 without NUL: the condition on which it is stored as text, readable in SQL.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok().filter(|text| !text.contains('\0'))
    }

    /// The body read as JSON.
    ///
    /// # Errors
    /// When the body is no JSON, or not of this shape.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}
