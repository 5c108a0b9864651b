//! gzip and zstd are read as they are.

use std::io::{Cursor, Write};
use std::sync::atomic::Ordering;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::inputs::{Drip, open, rows_of};
use super::row;
use crate::import::{Input, Options, Source};

fn gzip(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

fn zstd(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 3).unwrap()
}

// Seen failing with a decoder that ends with the first member.
#[test]
fn packed_inputs_are_known_by_how_they_begin() {
    let expected = [Ok((2, row(&[("id", "1")]))), Ok((3, row(&[("id", "2")])))];
    let passed_over = [b"\x51\x2a\x4d\x18\x02\0\0\0ab".to_vec(), zstd("id\n1\n2\n")].concat();
    for bytes in [
        gzip("id\n1\n2\n"),
        zstd("id\n1\n2\n"),
        [gzip("id\n1"), gzip("\n2\n")].concat(),
        [zstd("id\n1"), zstd("\n2\n")].concat(),
        passed_over,
    ] {
        for name in ["-", "rows.csv", "rows.csv.gz", "rows"] {
            assert_eq!(rows_of(open(name, &bytes, Options::default()).unwrap()), expected, "{name}");
        }
        let drip = Source::Reader("-".to_owned(), Box::new(Drip(Cursor::new(bytes), 1)));
        assert_eq!(rows_of(Input::open(drip, Options::default()).unwrap()), expected);
    }
}

// Seen failing with the outer name.
#[test]
fn the_name_inside_tells_the_format() {
    for name in ["a.tsv.gz", "a.TSV.ZST"] {
        let seen = rows_of(open(name, &gzip("a\tb\n1\t2\n"), Options::default()).unwrap());
        assert_eq!(seen, [Ok((2, row(&[("a", "1"), ("b", "2")])))], "{name}");
    }
    let seen = rows_of(open("a.txt.gz", &gzip("a,b\n"), Options::default()).unwrap());
    assert_eq!(seen, [Ok((1, row(&[("url", "a,b")])))]);
}

// Seen failing with each byte counted twice.
#[test]
fn the_bytes_that_count_are_those_of_the_packed_file() {
    let bytes = gzip(&format!("id\n{}", "12345\n".repeat(10_000)));
    let input = open("a.csv.gz", &bytes, Options::default()).unwrap();
    let read = input.bytes_read.clone();
    assert_eq!(rows_of(input).len(), 10_000);
    assert_eq!(read.load(Ordering::Relaxed), bytes.len() as u64);
}

// Seen failing with a reader that took the damage for the end.
#[test]
fn a_damaged_file_gives_what_came_before_the_damage_and_then_says_so() {
    let number = |n: u32| u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let text: String = (0..30_000).map(|n| format!("{}\n", number(n))).collect();
    for packed in [gzip(&format!("id\n{text}")), zstd(&format!("id\n{text}"))] {
        let cut = packed[..packed.len() - packed.len() / 3].to_vec();
        let mut flipped = packed.clone();
        let middle = flipped.len() / 2;
        flipped[middle..middle + 64].fill(0xaa);
        let trailing = [packed.clone(), b"\x1f\x8b\x08oops".to_vec()].concat();
        for (what, bytes, least) in [("cut", cut, 10_000), ("flipped", flipped, 1_000), ("trailing", trailing, 30_000)]
        {
            let mut rows = open("a.csv.gz", &bytes, Options::default()).unwrap().rows;
            let mut seen = 0;
            while let Ok(row) = rows.next() {
                assert!(row.is_some_and(|row| row.is_ok()), "{what}: an end or a bad row after {seen} good ones");
                seen += 1;
            }
            assert!(seen >= least, "{what}: {seen} rows");
        }
    }
}

// Seen failing with no look inside.
#[test]
fn an_archive_or_a_file_packed_twice_says_what_would_help() {
    let zip = b"PK\x03\x04\x14\0";
    for (bytes, why) in [
        (zip.to_vec(), "it is a zip archive or a spreadsheet; save it as CSV"),
        (zstd("PK\u{3}\u{4}\u{14}"), "it is a zip archive or a spreadsheet; save it as CSV"),
        (zstd::encode_all(&gzip("a")[..], 3).unwrap(), "it is packed twice; unpack it once and pipe it in"),
    ] {
        let error = open("a", &bytes, Options::default()).err().unwrap();
        assert_eq!(error.to_string(), format!("the input a cannot be used: {why}"));
    }
}
