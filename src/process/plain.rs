//! The result where there is no processor: the response as it is.

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
        return Ok(format!("{{\"base64\":\"{}\"}}", base64(&response.body)));
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

/// Standard base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            // In bounds: six bits are less than 64.
            let sextet = (bits >> (18 - 6 * i) & 63) as usize;
            text.push(if i <= chunk.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_what_the_rfc_says() {
        let table = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (bytes, text) in table {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }
}
