//! Packed inputs: known by how they begin, and unpacked while they are read.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use super::stream::{Bytes, Peeked};

const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
const ZIP: &[u8] = b"PK\x03\x04";
/// How a frame begins that zstd passes over, but for its first byte, 0x50 to 0x5f. Some packers write one first.
const PASSED_OVER: &[u8] = b"\x2a\x4d\x18";

/// The stream unpacked, with all its parts one after the other; or why it cannot be used.
pub(super) fn unpacked(mut input: Peeked) -> io::Result<Result<Peeked, String>> {
    let input: Bytes = match look(&mut input)? {
        head if head.starts_with(GZIP) => Box::new(Unpacking(MultiGzDecoder::new(input))),
        head if is_zstd(head) => Box::new(Unpacking(zstd::Decoder::new(input)?)),
        head if head.starts_with(ZIP) => return Ok(Err(no_archive())),
        _ => return Ok(Ok(input)),
    };
    let mut input = Peeked::new(input);
    match look(&mut input)? {
        head if head.starts_with(GZIP) || is_zstd(head) => {
            Ok(Err("it is packed twice; unpack it once and pipe it in".to_owned()))
        }
        head if head.starts_with(ZIP) => Ok(Err(no_archive())),
        _ => Ok(Ok(input)),
    }
}

/// Says of an error that it was met in unpacking: what the decoders say is about their format alone.
struct Unpacking<D>(D);

impl<D: Read> Read for Unpacking<D> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            kind => io::Error::new(kind, format!("it cannot be unpacked; is it whole and undamaged? ({error})")),
        })
    }
}

/// The beginning, as far as it can still be that of a packed file: a stream may be slow in giving more.
fn look(input: &mut Peeked) -> io::Result<&[u8]> {
    input.look(ZSTD.len(), |head| {
        let may_be = |sign: &[u8]| sign.len() > head.len() && sign.starts_with(head);
        let passed_over = head.first().is_none_or(|first| first & 0xf0 == 0x50 && PASSED_OVER.starts_with(&head[1..]));
        !(may_be(GZIP) || may_be(ZSTD) || may_be(ZIP) || passed_over)
    })
}

fn is_zstd(head: &[u8]) -> bool {
    head.starts_with(ZSTD) || matches!(head, [first, rest @ ..] if first & 0xf0 == 0x50 && rest == PASSED_OVER)
}

fn no_archive() -> String {
    "it is a zip archive or a spreadsheet; save it as CSV".to_owned()
}

/// The name of what is inside: `rows.csv` of `rows.csv.gz`.
pub(super) fn name_inside(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((inside, ending)) if ["gz", "gzip", "zst", "zstd"].iter().any(|e| ending.eq_ignore_ascii_case(e)) => {
            inside
        }
        _ => name,
    }
}
