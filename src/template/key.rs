//! What tells a request from others, where nothing else does.

use sha2::{Digest, Sha256};

use crate::request::Request;

/// The key of a request that was given none. Lengths stand before texts, so that no two requests run into the same one.
pub(crate) fn hash(request: &Request) -> String {
    let mut sha = Sha256::new();
    let mut add = |bytes: &[u8]| {
        sha.update((bytes.len() as u64).to_le_bytes());
        sha.update(bytes);
    };
    add(request.method.as_bytes());
    add(request.url.as_bytes());
    for (name, value) in &request.headers {
        add(name.to_ascii_lowercase().as_bytes());
        add(value.to_string().as_bytes());
    }
    // No header has a name of no characters: this ends them, and tells an empty body from none.
    if let Some(body) = &request.body {
        add(b"");
        add(body);
    }
    let digest = sha.finalize();
    let hex = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    digest.iter().flat_map(|byte| [hex(byte >> 4), hex(byte & 15)]).collect()
}
