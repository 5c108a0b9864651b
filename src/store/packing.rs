//! Bodies as they lie in the store: as they came, or packed by zstd where that makes them smaller.

use std::io::Read;

/// The word in `responses.body_encoding`.
pub const ZSTD: &str = "zstd";

/// What is shorter takes no less room on a page, and stays readable in SQL.
const LEAST: usize = 1_024;

/// SQLite holds no longer value.
const MOST: u64 = 1_000_000_000;

/// Quick, and good enough for JSON.
const LEVEL: i32 = 3;

/// The body, packed; `None` where that saves less than an eighth. Takes some microseconds a kilobyte: not for threads that
/// others wait for.
#[must_use]
pub fn pack(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < LEAST {
        return None;
    }
    let packed = zstd::bulk::compress(body, LEVEL).ok()?;
    (packed.len() <= body.len() - body.len() / 8).then_some(packed)
}

/// The body as it came.
///
/// # Errors
/// What is wrong with it: its encoding is not known here, or it is damaged.
pub fn unpack(body: Vec<u8>, encoding: Option<&str>) -> Result<Vec<u8>, String> {
    match encoding {
        None => Ok(body),
        Some(ZSTD) => {
            let damaged = |e: std::io::Error| format!("a stored body cannot be unpacked, it is damaged: {e}");
            let mut plain = Vec::new();
            let unpacked = zstd::stream::read::Decoder::new(&body[..]).map_err(damaged)?;
            unpacked.take(MOST).read_to_end(&mut plain).map_err(damaged)?;
            Ok(plain)
        }
        Some(other) => Err(format!("a stored body is packed with {other}, which this version of haul cannot unpack")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seen failing with the saving taken for granted.
    #[test]
    fn a_body_is_packed_where_that_helps_and_comes_back_byte_for_byte() {
        let text = "{\"n\":1}".repeat(1_000).into_bytes();
        let packed = pack(&text).expect("it helps");
        assert!(packed.len() < text.len() / 10);
        assert_eq!(unpack(packed.clone(), Some(ZSTD)).as_ref(), Ok(&text));
        assert_eq!(unpack(text.clone(), None), Ok(text));
        assert_eq!(pack(&packed.repeat(1)[..packed.len().min(40)]), None, "too short");
        let mut state = 1_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(5_000)
        .collect();
        assert_eq!(pack(&noise), None, "it would not help");
        assert!(
            unpack(packed[..packed.len() / 2].to_vec(), Some(ZSTD)).is_err() && unpack(noise, Some("rot13")).is_err()
        );
    }
}
