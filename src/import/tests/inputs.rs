//! What is read from an input: its rows, and what is no row.

use std::io::{self, Cursor, Read};

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::row;
use crate::import::records::{LONGEST, Records};
use crate::import::{Format, ImportError, Input, Options, Source};

pub(super) fn open(name: &str, bytes: &[u8], options: Options) -> Result<Input, ImportError> {
    Input::open(Source::Reader(name.to_owned(), Box::new(Cursor::new(bytes.to_vec()))), options)
}

pub(super) type Seen = Result<(u64, Map<String, Value>), (u64, String)>;

pub(super) fn rows_of(mut input: Input) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Some(row) = input.rows.next().unwrap() {
        seen.push(match row {
            Ok(row) => Ok((row.line, row.values)),
            Err(reject) => Err((reject.line, reject.reason)),
        });
    }
    seen
}

fn csv(bytes: &[u8]) -> Vec<Seen> {
    rows_of(open("rows.csv", bytes, Options::default()).unwrap())
}

pub(super) fn refused(line: u64, reason: &str) -> Seen {
    Err((line, reason.to_owned()))
}

#[test]
fn csv_is_read_however_it_was_written() {
    for (bytes, expected) in [
        ("a,b\n1,2\n", vec![(2, ["1", "2"])]),
        ("a,b\r\n1,2\r\n3,4", vec![(2, ["1", "2"]), (3, ["3", "4"])]),
        ("a,b\r1,2\n3,4\r\n5,6\r", vec![(2, ["1", "2"]), (3, ["3", "4"]), (4, ["5", "6"])]),
        ("\u{feff}a,b\n1,2\n", vec![(2, ["1", "2"])]),
        ("a, b \n\n\n1, 2 \n", vec![(4, ["1", " 2 "])]),
        ("\"a\",\"b\"\n\"x,\"\"y\"\"\",\"\"\n", vec![(2, ["x,\"y\"", ""])]),
        ("a,b\n\"1\n\r\n2\",3\n4,5\n", vec![(2, ["1\n\r\n2", "3"]), (5, ["4", "5"])]),
        ("a,b\n1\"2,\"3\"4\n", vec![(2, ["1\"2", "34"])]),
        ("a,b\nü,\u{1f642}\n,\n", vec![(2, ["ü", "\u{1f642}"]), (3, ["", ""])]),
    ] {
        let expected: Vec<Seen> =
            expected.into_iter().map(|(line, [a, b])| Ok((line, row(&[("a", a), ("b", b)])))).collect();
        assert_eq!(csv(bytes.as_bytes()), expected, "{bytes:?}");
    }
}

#[test]
fn a_bad_row_is_refused_and_the_next_one_read() {
    let good = |line| Ok((line, row(&[("a", "1"), ("b", "2")])));
    let ragged = |n| format!("the row has {n} fields, and there are 2 columns; is a quote missing?");
    const BAD_BYTE: &str = "byte 3 of the row is not UTF-8: 0xff; --encoding says what it is, such as windows-1252";
    let unclosed = "the row opens a quote that is not closed before the end of the input";
    for (bytes, expected) in [
        (&b"a,b\n1\n1,2\n"[..], vec![refused(2, &ragged(1)), good(3)]),
        (b"a,b\n1,2,3\n1,2\n", vec![refused(2, &ragged(3)), good(3)]),
        (b"a,b\n1,\xff\n1,2\n", vec![refused(2, BAD_BYTE), good(3)]),
        (
            b"a,b\n1,\x002\n1,2\n",
            vec![refused(2, "byte 3 of the row is NUL; if the input is UTF-16, --encoding utf-16le says so"), good(3)],
        ),
        (b"a,b\n1,2\n1,\"2\n3,4\n", vec![good(2), refused(3, unclosed)]),
    ] {
        assert_eq!(csv(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn an_input_without_rows_has_none() {
    for bytes in ["", "\n\n", "a,b", "a,b\n", "\u{feff}"] {
        assert_eq!(csv(bytes.as_bytes()), [], "{bytes:?}");
        assert_eq!(rows_of(open("a.txt", b"\n# nothing\n\n", Options::default()).unwrap()), []);
    }
}

#[test]
fn an_input_that_cannot_be_used_says_what_would_help() {
    let long = [b"a,\"".as_slice(), &vec![b'x'; LONGEST]].concat();
    for (bytes, why) in [
        (&b"a,b,a\n1,2,3\n"[..], "the header, line 1, calls columns 1 and 3 both \"a\"; rename one"),
        (b"\na,,c\n", "the header, line 2, has no name for column 2; give it one, or use --no-header"),
        (b"\xff\xfe\0\0a\0\0\0", "it is UTF-32; convert it to UTF-8"),
        (b"PK\x03\x04\x14", "it is a zip archive or a spreadsheet; save it as CSV"),
        (
            b"a,\xe9\n1,2\n",
            "the first row, line 1, is no header: byte 3 of the row is not UTF-8: 0xe9; --encoding says what it is, \
             such as windows-1252",
        ),
        (
            &long,
            "the first row, line 1, is no header: the row is longer than 1048576 bytes, or a quote that it opens is not \
             closed",
        ),
    ] {
        let error = open("rows.csv", bytes, Options::default()).err().unwrap();
        assert_eq!(error.to_string(), format!("the input rows.csv cannot be used: {why}"));
    }
    let folder = tempfile::tempdir().unwrap();
    for (path, kind) in [
        (folder.path().to_owned(), io::ErrorKind::IsADirectory),
        (folder.path().join("none.csv"), io::ErrorKind::NotFound),
    ] {
        let error = Input::open(Source::File(path.clone()), Options::default()).err().unwrap();
        assert_eq!(error.to_string(), format!("failed to open the input {}", path.display()));
        assert!(matches!(error, ImportError::Open { source, .. } if source.kind() == kind));
    }
}

#[test]
fn lines_are_urls_and_the_format_is_guessed() {
    let url = |line, url: &str| Ok((line, row(&[("url", url)])));
    let lines = "\u{feff}# a list\r\n\r\nhttps://x/1\r\n  https://x/2 \rhttps://x/3";
    let expected = [url(3, "https://x/1"), url(4, "https://x/2"), url(5, "https://x/3")];
    for name in ["-", "urls", "urls.txt", "URLS.TXT"] {
        assert_eq!(rows_of(open(name, lines.as_bytes(), Options::default()).unwrap()), expected, "{name}");
    }
    assert_eq!(rows_of(open("a.txt", b"x y\n", Options::default()).unwrap()), [url(1, "x y")]);
    let given = Options { format: Format::Lines, ..Options::default() };
    assert_eq!(rows_of(open("a.csv", b"\"https://x/\"\n", given).unwrap()), [url(1, "\"https://x/\"")]);

    let two = |line| Ok((line, row(&[("a", "1"), ("b", "2")])));
    assert_eq!(rows_of(open("-", b"a,b\n1,2\n", Options::default()).unwrap()), [two(2)]);
    assert_eq!(rows_of(open("a.tsv", b"a\tb\n1\t2\n", Options::default()).unwrap()), [two(2)]);
    let given = Options { delimiter: Some(';'), ..Options::default() };
    assert_eq!(rows_of(open("-", b"a;b\n1;2\n", given).unwrap()), [two(2)]);
    let given = Options { no_header: true, ..Options::default() };
    let row = row(&[("c1", "https://x/"), ("c2", "2")]);
    assert_eq!(
        rows_of(open("-", b"https://x/,2\nhttps://x/,2\n", given).unwrap()),
        [Ok((1, row.clone())), Ok((2, row))]
    );
}

/// Gives so many of one byte, and then the rest.
fn flood(byte: u8, bytes: u64, rest: &'static [u8]) -> Box<dyn Read + Send> {
    Box::new(io::repeat(byte).take(bytes).chain(rest))
}

#[test]
fn a_row_of_64_mib_costs_one_mib_and_no_other_row() {
    for (delimiter, opening, closing) in [(None, &b""[..], &b"\nnext\n"[..]), (Some(b','), b"a,\"", b"\n\"\nnext\n")] {
        let input = opening.chain(flood(0, 64 << 20, closing));
        let mut records = Records::new(Box::new(input), delimiter);
        let first = records.next().unwrap().unwrap();
        assert!(first.too_long && !first.unclosed);
        assert!(records.held() <= LONGEST + (64 << 10), "{} bytes are held", records.held());
        let second = records.next().unwrap().unwrap();
        assert_eq!((records.bytes(), second.too_long), (&b"next"[..], false));
        assert!(records.next().unwrap().is_none());
        assert!(records.held() <= LONGEST + (64 << 10), "{} bytes are held", records.held());
    }
    let source = Source::Reader("-".to_owned(), Box::new(b"a\n1\n".chain(flood(b'x', 3 << 20, b"\n2\n"))));
    let too_long = "the row is longer than 1048576 bytes, or a quote that it opens is not closed";
    let expected = [Ok((2, row(&[("a", "1")]))), refused(3, too_long), Ok((4, row(&[("a", "2")])))];
    assert_eq!(rows_of(Input::open(source, Options::default()).unwrap()), expected);
}

#[test]
fn a_row_of_the_greatest_length_is_one() {
    let line = [vec![b'x'; LONGEST], b"\ny".to_vec()].concat();
    let mut records = Records::new(Box::new(Cursor::new(line)), None);
    assert!(!records.next().unwrap().unwrap().too_long);
    assert_eq!(records.bytes().len(), LONGEST);
    assert_eq!(records.next().unwrap().unwrap().line, 2);
}

/// Gives a few bytes at a time, as a pipe may.
pub(super) struct Drip(pub(super) Cursor<Vec<u8>>, pub(super) usize);

impl Read for Drip {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = self.1.min(out.len());
        self.0.read(&mut out[..most])
    }
}

proptest! {
    #[test]
    fn the_rows_that_were_written_are_the_rows_that_are_read(
        rows in prop::collection::vec(prop::collection::vec("[a-c,;\"\\\\ \t\r\n\u{fdd0}ü]{0,8}", 3), 0..20),
        crlf in any::<bool>(),
        drip in 1_usize..9,
    ) {
        let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().terminator(terminator).from_writer(Vec::new());
        writer.write_record(["x", "y", "z"]).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let bytes = Cursor::new(writer.into_inner().unwrap());
        let source = Source::Reader("rows.csv".to_owned(), Box::new(Drip(bytes, drip)));
        let read = rows_of(Input::open(source, Options::default()).unwrap());
        let read: Vec<Vec<String>> = read
            .into_iter()
            .map(|row| ["x", "y", "z"].map(|name| row.as_ref().unwrap().1[name].as_str().unwrap().to_owned()).to_vec())
            .collect();
        prop_assert_eq!(read, rows);
    }

    #[test]
    fn whatever_bytes_come_each_is_read_once_and_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for name in ["a.csv", "a.txt", "a.jsonl", "-"] {
            if let Ok(input) = open(name, &bytes, Options::default()) {
                let lines: Vec<u64> = rows_of(input).iter().map(|row| row.as_ref().map_or_else(|r| r.0, |r| r.0)).collect();
                prop_assert!(lines.is_sorted_by(|a, b| a < b));
            }
        }
    }
}
