//! Inputs that are not UTF-8: converted while they are read.

use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, UTF_8, UTF_16BE, UTF_16LE};

use super::stream::{Bytes, Peeked};
use crate::near::nearest;

const BLOCK: usize = 64 << 10;
/// Stands where the input has a sequence of bytes that means nothing: it is no UTF-8, so the row is refused.
const MEANINGLESS: u8 = 0xff;

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
const UTF32_MARKS: [&[u8]; 2] = [b"\xff\xfe\0\0", b"\0\0\xfe\xff"];

/// Names that are suggested; many others are known, as web browsers know them.
const NAMES: [&str; 38] = [
    "utf-8",
    "utf-16le",
    "utf-16be",
    "windows-1252",
    "windows-1250",
    "windows-1251",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "windows-1257",
    "windows-1258",
    "windows-874",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-3",
    "iso-8859-4",
    "iso-8859-5",
    "iso-8859-6",
    "iso-8859-7",
    "iso-8859-8",
    "iso-8859-10",
    "iso-8859-13",
    "iso-8859-14",
    "iso-8859-15",
    "iso-8859-16",
    "koi8-r",
    "koi8-u",
    "macintosh",
    "ibm866",
    "shift_jis",
    "euc-jp",
    "iso-2022-jp",
    "euc-kr",
    "gbk",
    "gb18030",
    "big5",
    "latin1",
];

/// How the text of an input is written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding(&'static encoding_rs::Encoding);

impl std::str::FromStr for Encoding {
    type Err = String;

    /// Knows the names that web browsers know.
    fn from_str(name: &str) -> Result<Self, String> {
        if let Some(known) = encoding_rs::Encoding::for_label_no_replacement(name.trim().as_bytes()) {
            return Ok(Self(known));
        }
        Err(match nearest(name, NAMES) {
            Some(near) => format!("it is not known; did you mean {near}?"),
            None => {
                "it is not known; write utf-8, utf-16le, windows-1252, iso-8859-15, shift_jis, gb18030, ..".to_owned()
            }
        })
    }
}

/// The stream as UTF-8 without a byte order mark, and what it was converted from; or why it cannot be.
pub(super) fn converted(
    mut input: Peeked,
    given: Option<Encoding>,
) -> io::Result<Result<(Peeked, Option<&'static str>), String>> {
    let head = input.sign(&[UTF8_MARK, UTF16_MARKS[0], UTF16_MARKS[1], UTF32_MARKS[0], UTF32_MARKS[1]])?;
    if UTF32_MARKS.iter().any(|mark| head.starts_with(mark)) {
        return Ok(Err("it is UTF-32; convert it to UTF-8".to_owned()));
    }
    let encoding = match given {
        _ if head.starts_with(UTF16_MARKS[0]) => UTF_16LE,
        _ if head.starts_with(UTF16_MARKS[1]) => UTF_16BE,
        Some(Encoding(given)) if !head.starts_with(UTF8_MARK) => given,
        _ => UTF_8,
    };
    if encoding == UTF_8 {
        let mark = if head.starts_with(UTF8_MARK) { UTF8_MARK.len() } else { 0 };
        input.skip(mark);
        return Ok(Ok((input, None)));
    }
    let converted = Converted {
        input: Box::new(input),
        decoder: encoding.new_decoder_with_bom_removal(),
        block: vec![0; BLOCK].into_boxed_slice(),
        at: 0,
        end: 0,
        text: Vec::new(),
        given: 0,
        last: false,
        done: false,
    };
    Ok(Ok((Peeked::new(Box::new(converted)), Some(encoding.name()))))
}

/// Bytes of another encoding, as UTF-8.
struct Converted {
    input: Bytes,
    decoder: Decoder,
    block: Box<[u8]>,
    at: usize,
    end: usize,
    text: Vec<u8>,
    given: usize,
    /// The input is at its end.
    last: bool,
    /// And so is the text.
    done: bool,
}

impl Converted {
    fn convert(&mut self) -> io::Result<()> {
        if self.at == self.end && !self.last {
            (self.at, self.end) = (0, self.input.read(&mut self.block)?);
            self.last = self.end == 0;
        }
        self.text.resize(BLOCK, 0);
        let bytes = &self.block[self.at..self.end];
        let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(bytes, &mut self.text, self.last);
        self.at += read;
        self.given = 0;
        self.text.truncate(written);
        match result {
            DecoderResult::Malformed(..) => self.text.push(MEANINGLESS),
            DecoderResult::InputEmpty => self.done = self.last,
            DecoderResult::OutputFull => {}
        }
        Ok(())
    }
}

impl Read for Converted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() {
            if self.done {
                return Ok(0);
            }
            self.convert()?;
        }
        let length = out.len().min(self.text.len() - self.given);
        out[..length].copy_from_slice(&self.text[self.given..self.given + length]);
        self.given += length;
        Ok(length)
    }
}
