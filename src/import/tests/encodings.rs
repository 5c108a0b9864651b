//! Inputs that are not UTF-8.

use std::io::Cursor;

use super::inputs::{Drip, Seen, open, refused, rows_of};
use super::row;
use crate::import::{Encoding, ImportError, Input, Options, Source};

fn encoded(name: &str, bytes: &[u8]) -> Vec<Seen> {
    let options = Options { encoding: Some(name.parse().unwrap()), ..Options::default() };
    let whole = rows_of(open("rows.csv", bytes, options).unwrap());
    for most in [1, 2, 3] {
        let drip = Source::Reader("rows.csv".to_owned(), Box::new(Drip(Cursor::new(bytes.to_vec()), most)));
        assert_eq!(rows_of(Input::open(drip, options).unwrap()), whole, "{most} bytes at a time");
    }
    whole
}

fn utf16(text: &str, of: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(of).collect()
}

// Seen failing with a given encoding not heeded.
#[test]
fn an_input_is_converted_while_it_is_read() {
    let city = |line, name: &str| Ok((line, row(&[("city", name)])));
    let rows = |name: &str| vec![city(2, name), city(3, "Rom")];
    for (encoding, bytes) in [
        ("windows-1252", b"city\r\nK\xf6ln \x80\r\nRom\r\n".to_vec()),
        ("ISO-8859-1", b"city\r\nK\xf6ln \x80\r\nRom\r\n".to_vec()),
        ("utf-8", "city\nKöln €\nRom\n".as_bytes().to_vec()),
        ("utf-16le", utf16("city\nKöln €\nRom\n", u16::to_le_bytes)),
        ("utf-16le", utf16("\u{feff}city\nKöln €\nRom\n", u16::to_le_bytes)),
        ("utf-16be", utf16("city\nKöln €\nRom\n", u16::to_be_bytes)),
    ] {
        assert_eq!(encoded(encoding, &bytes), rows("Köln €"), "{encoding}");
    }
    assert_eq!(encoded("shift_jis", b"city\n\x93\x8c\x8b\x9e\nRom\n"), rows("東京"));
    assert_eq!(encoded("koi8-r", b"city\n\xed\xcf\xd3\xcb\xd7\xc1\nRom\n"), rows("Москва"));
}

// Seen failing with a mark that stayed in the text.
#[test]
fn utf16_is_known_by_its_mark() {
    for of in [u16::to_le_bytes, u16::to_be_bytes] {
        let bytes = utf16("\u{feff}id,name\r\n1,Zoë 😀\r\n", of);
        let seen = rows_of(open("-", &bytes, Options::default()).unwrap());
        assert_eq!(seen, [Ok((2, row(&[("id", "1"), ("name", "Zoë 😀")])))]);
        // The CSV parser would take a mark for one of its own.
        let bytes = utf16("\u{feff}https://x/ë\n", of);
        assert_eq!(rows_of(open("-", &bytes, Options::default()).unwrap()), [Ok((1, row(&[("url", "https://x/ë")])))]);
    }
}

// Seen failing with a decoder that puts U+FFFD where the input means nothing: the rows were imported.
#[test]
fn what_means_nothing_in_its_encoding_is_a_bad_row_and_the_next_is_read() {
    let good = |line| Ok((line, row(&[("a", "x")])));
    for (encoding, bytes) in [
        ("shift_jis", b"a\nx\n\x81\nx\n".to_vec()),
        ("gb18030", b"a\nx\ny\xff\nx\n".to_vec()),
        ("utf-16le", utf16("a\nx\n", u16::to_le_bytes).into_iter().chain(*b"\x00\xdc\n\0x\0\n\0").collect()),
    ] {
        let name = encoding_rs::Encoding::for_label(encoding.as_bytes()).unwrap().name();
        let why = format!("the row holds what is no {name}; is it another --encoding?");
        assert_eq!(encoded(encoding, &bytes), [good(2), refused(3, &why), good(4)], "{encoding}");
    }
}

// Seen failing with those known too that browsers only refuse.
#[test]
fn an_unknown_encoding_is_refused_with_a_near_one() {
    let refused = |name: &str| name.parse::<Encoding>().unwrap_err();
    assert_eq!(refused("windows-1225"), "it is not known; did you mean windows-1252?");
    assert_eq!(refused("utf_8"), "it is not known; did you mean utf-8?");
    assert!(refused("ebcdic").starts_with("it is not known; write utf-8, utf-16le, windows-1252"));
    assert!(refused("iso-2022-kr").starts_with("it is not known"), "browsers know it only to refuse it");
    assert!(matches!(open("-", b"\0\0\xfe\xff", Options::default()), Err(ImportError::Unusable { .. })));
}
