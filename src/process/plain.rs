//! The result where there is no processor: the response as it is.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::IgnoredAny;

use super::bounds;
use super::refused;
use crate::attempt::Failure;
use crate::response::Response;

const BOM: &str = "\u{feff}";

/// The response's JSON word for word, else its text as a string, else its bytes as `{"base64": ".."}`.
///
/// JSON that nests too deep to be read again is text.
pub(super) fn result(response: &Response) -> Result<String, Failure> {
    let Some(text) = text(&response.body) else {
        return Ok(format!("{{\"base64\":\"{}\"}}", BASE64_STANDARD.encode(&response.body)));
    };
    if is_json(text) && bounds::check(text).is_ok() {
        return Ok(text.to_owned());
    }
    serde_json::to_string(text).map_err(|error| refused(format!("the text cannot be written as JSON: {error}")))
}

/// The body as text, without the byte order mark that some servers begin with and no JSON reader accepts.
pub(super) fn text(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    Some(text.strip_prefix(BOM).unwrap_or(text))
}

/// Whether this is JSON, found without building it, and without recursion.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}
