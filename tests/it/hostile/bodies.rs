//! Bodies that are too much, or not what they say.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::row::Row;
use super::wire::{Hostile, Wire};

/// An answer whose body is this, encoded in that way; its length is told.
fn encoded(encoding: &'static str, body: Vec<u8>) -> Hostile {
    let headers = format!("content-encoding: {encoding}\r\n");
    Hostile::start(move |wire| wire.answer(200, &headers, &body))
}

const MIB: usize = 1 << 20;

/// 10 GB of zeros in 10 MB: a block of a megabyte that refers to nothing before it, ten thousand times.
fn gzip_bomb() -> Vec<u8> {
    let mut block = DeflateEncoder::new(Vec::new(), Compression::best());
    block.write_all(&vec![0; MIB]).expect("a Vec takes all");
    block.flush().expect("a Vec takes all");
    let mut bomb = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    bomb.extend(block.get_ref().repeat(10_000));
    bomb
}

/// The same: 80,000 blocks, each a byte and how often it is repeated. A window of 128 MiB is asked for too.
fn zstd_bomb() -> Vec<u8> {
    let block = (128_u32 << 10) << 3 | 0b010;
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3];
    bomb.extend([block as u8, (block >> 8) as u8, (block >> 16) as u8, 0].repeat(80_000));
    bomb
}

/// The same in a kilobyte.
fn brotli_bomb() -> Vec<u8> {
    let mut bomb = Vec::new();
    let mut writer = brotli::CompressorWriter::new(&mut bomb, MIB, 5, 24);
    for _ in 0..200 {
        writer.write_all(&vec![0; MIB]).expect("a Vec takes all");
    }
    drop(writer);
    bomb
}

// Seen failing with six times as much let in.
#[test]
fn a_bomb_is_cut_at_the_size_that_is_allowed_however_many_there_are() {
    let says = "the body is larger than 10485760 bytes; --max-body allows more";
    for (fault, encoding, bomb) in [
        ("N9 a gzip bomb: 10 GB in 10 MB, to 40 jobs at once", "gzip", gzip_bomb()),
        ("N9 a zstd bomb: 10 GB in 320 kB, to 40 jobs at once", "zstd", zstd_bomb()),
        ("N9 a brotli bomb: 200 MB in 1 kB, to 40 jobs at once", "br", brotli_bomb()),
    ] {
        assert!(bomb.len() < 11 * MIB, "{fault}: {}", bomb.len());
        let row = Row { timeout: std::time::Duration::from_secs(20), ..Row::permanent(fault, "body_too_large", says) };
        row.jobs(40).with(&["--max-failures", "99"]).meets(&encoded(encoding, bomb));
    }
}

// Seen failing with six times as much let in.
#[test]
fn a_body_without_end_is_cut_and_one_that_announces_too_much_is_not_read() {
    let endless = Hostile::start(|wire| wire.send("HTTP/1.1 200 OK\r\n\r\n").and_then(|_| wire.forever(b"x")));
    let says = "--max-body allows more";
    // Those for whom there is no memory yet wait, and their time runs.
    let row = Row::permanent("N10 a body without end, to 40 jobs at once", "body_too_large", says);
    Row { timeout: std::time::Duration::from_secs(20), ..row }.jobs(40).with(&["--max-failures", "99"]).meets(&endless);
    let huge = Hostile::start(|wire| wire.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n"));
    Row::permanent("N10 a gigabyte is announced", "body_too_large", says).meets(&huge);
    let failed = Hostile::start(|wire| wire.send("HTTP/1.1 500 x\r\n\r\n").and_then(|_| wire.forever(b"x")));
    Row::permanent("N10 an error without end", "body_too_large", says).meets(&failed);
}

// Seen failing with what is broken taken for a request that cannot be sent.
#[test]
fn an_encoding_that_is_broken_or_unknown_is_not_guessed_at() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(b"[1,2,3,4,5,6]").expect("a Vec takes all");
    let gzip = gzip.finish().expect("a Vec takes all");
    let mut bad = gzip.clone();
    bad[12] ^= 0x55;
    Row::permanent("N9 gzip that is none", "decode", "").meets(&encoded("gzip", b"[1,2,3]".to_vec()));
    Row::permanent("N9 gzip with a wrong byte", "decode", "").meets(&encoded("gzip", bad));
    Row::permanent("N9 gzip that breaks off", "decode", "").meets(&encoded("gzip", gzip[..15].to_vec()));
    Row::permanent("N9 brotli that is none", "decode", "").meets(&encoded("br", b"\xff\xff\xff\xff".to_vec()));
    Row::permanent("N9 zstd that is none", "decode", "").meets(&encoded("zstd", b"[1,2,3]".to_vec()));
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(b"[1,2]").expect("a Vec takes all");
    Row::fine("N9 deflate", "[1,2]").meets(&encoded("deflate", zlib.finish().expect("a Vec takes all")));
    // What is encoded twice, or in a way that is not known, is kept byte for byte.
    let mut twice = GzEncoder::new(Vec::new(), Compression::best());
    twice.write_all(&gzip).expect("a Vec takes all");
    Row::fine("N9 gzip in gzip", "base64").meets(&encoded("gzip, gzip", twice.finish().expect("a Vec takes all")));
    Row::fine("N9 an unknown encoding", "[1,2]").meets(&encoded("x-mine", b"[1,2]".to_vec()));
}

/// A page in place of an answer, as a network sends to who has not logged in.
const PAGE: &str = "<!DOCTYPE html><html><body>Please log in</body></html>";

fn page(wire: &mut Wire) -> std::io::Result<bool> {
    wire.answer(200, "content-type: text/html\r\n", PAGE)
}

// Seen failing with byte order marks left in.
#[test]
fn an_error_in_a_success_is_found_by_a_rule_or_a_processor_and_never_tried_again() {
    let error = Hostile::start(|wire| wire.answer(200, "", r#"{"error":"no such thing"}"#));
    Row::permanent("N16 an error in a 200", "fail_if", "").with(&["--fail-if", "jq:.error"]).meets(&error);
    let deep = |n: usize| [b"[".repeat(n), b"]".repeat(n)].concat();
    let with =
        |body: Vec<u8>| Hostile::start(move |wire| wire.answer(200, "content-type: application/json\r\n", &body));
    let jq: &[&str] = &["--process", "jq:.a"];
    Row::permanent("N16 a page in place of JSON", "process_error", "").with(jq).meets(&Hostile::start(page));
    for (fault, body) in [
        ("N16 JSON that breaks off", b"{\"a\":".to_vec()),
        ("N16 no UTF-8", b"{\"a\":\"\xff\xfe\"}".to_vec()),
        ("N16 a NUL in JSON", b"{\"a\":\0}".to_vec()),
        ("N16 JSON that nests 100,000 deep", deep(100_000)),
        ("N16 nothing", Vec::new()),
    ] {
        Row::permanent(fault, "process_error", "").with(jq).meets(&with(body));
    }
    Row::fine("N16 a byte order mark before JSON", "1").with(jq).meets(&with(b"\xef\xbb\xbf{\"a\":1}".to_vec()));
}

// Seen failing with byte order marks left in.
#[test]
fn without_a_processor_every_body_is_a_result() {
    let with = |body: Vec<u8>| Hostile::start(move |wire| wire.answer(200, "", &body));
    Row::fine("N16 a page, as it is", "Please log in").meets(&Hostile::start(page));
    Row::fine("N16 no UTF-8, as it is", r#"{"base64":"//4="}"#).meets(&with(b"\xff\xfe".to_vec()));
    Row::fine("N16 a NUL, as it is", "\"a\\u0000b\"").meets(&with(b"a\0b".to_vec()));
    Row::fine("N16 100,000 brackets, as text", "\"[[[").meets(&with(b"[".repeat(100_000)));
    Row::fine("N16 a byte order mark, as it is", r#"["a"]"#).meets(&with(b"\xef\xbb\xbf[\"a\"]".to_vec()));
}
