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
/// JSON that not every reader can read again is text: where it nests too deep, or names half a character.
pub(super) fn result(response: &Response) -> Result<String, Failure> {
    let Some(text) = text(&response.body) else {
        return Ok(format!("{{\"base64\":\"{}\"}}", BASE64_STANDARD.encode(&response.body)));
    };
    if is_json(text) && bounds::check(text).is_ok() && names_whole_characters(text) {
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

/// Whether in this JSON each `\u` escape of half a character (a surrogate of UTF-16, RFC 8259, section 8.2) has its other half
/// behind it.
fn names_whole_characters(json: &str) -> bool {
    let unit = |at: &str| at.strip_prefix("\\u").and_then(|hex| u16::from_str_radix(hex.get(..4)?, 16).ok());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        rest = &rest[at..];
        let (whole, length) = match unit(rest) {
            Some(0xd800..0xdc00) => (unit(&rest[6..]).is_some_and(|low| (0xdc00..0xe000).contains(&low)), 12),
            Some(0xdc00..0xe000) => (false, 6),
            Some(_) => (true, 6),
            None => (true, 2),
        };
        // In JSON what follows a backslash is ASCII, so that no character is cut.
        let Some(behind) = rest.get(length..).filter(|_| whole) else { return false };
        rest = behind;
    }
    true
}
