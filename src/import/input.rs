//! Opening an input: what it is, and whether it can be read, before anything is created.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::csv::Csv;
use super::encoding::{Encoding, converted};
use super::jsonl::Jsonl;
use super::lines::Lines;
use super::packed::{name_inside, unpacked};
use super::records::Records;
use super::repeat::Repeat;
use super::stream::{Bytes, Counted, Peeked};
use super::{Duplicates, ImportError, Rows};
use crate::store::OnConflict;

/// Bytes that are looked at to tell the format, at most.
const HEAD: usize = 64 << 10;

/// Where an input comes from.
pub enum Source {
    /// A file.
    File(PathBuf),
    /// A stream, and what it is called: `-` for standard input.
    Reader(String, Box<dyn Read + Send>),
}

/// How an input is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// As its name says, else as its beginning looks.
    #[default]
    Auto,
    /// A URL a line.
    Lines,
    /// Separated values with a header.
    Csv,
    /// A JSON object a line.
    Jsonl,
}

/// How an input is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// How it is written.
    pub format: Format,
    /// What separates values; `None` = a comma, in `.tsv` a tab.
    pub delimiter: Option<char>,
    /// There is no header: the columns are called `c1`, `c2`, ..
    pub no_header: bool,
    /// What it is encoded in; `None` = UTF-8, or UTF-16 where it begins with a byte order mark.
    pub encoding: Option<Encoding>,
    /// What becomes of equal requests.
    pub duplicates: Duplicates,
    /// What becomes of known keys with another request, where keys are given.
    pub on_conflict: OnConflict,
}

/// An input that is open, and whose header is in order.
pub struct Input {
    pub(super) name: String,
    pub(super) rows: Box<dyn Rows>,
    pub(super) duplicates: Duplicates,
    pub(super) on_conflict: OnConflict,
    pub(super) bytes_total: Option<u64>,
    /// Bytes of it read so far, packed as they are.
    pub(super) bytes_read: Arc<AtomicU64>,
}

impl Input {
    /// Its path as given; `-` for standard input.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens an input and reads its header. Do this before a database is created.
    ///
    /// # Errors
    /// It is not there, may not be read, or cannot be what it should be.
    pub fn open(source: Source, options: Options) -> Result<Self, ImportError> {
        let (name, reader, bytes_total) = match source {
            Source::Reader(name, reader) => (name, reader, None),
            Source::File(path) => open_file(&path)?,
        };
        let bytes_read = Arc::new(AtomicU64::new(0));
        let reader = Box::new(Counted::new(reader, bytes_read.clone()));
        let rows = match rows(&name, reader, options) {
            Ok(Ok(rows)) => rows,
            Ok(Err(why)) => return Err(ImportError::Unusable { name, why }),
            Err(source) => return Err(ImportError::Open { name, source }),
        };
        let Options { duplicates, on_conflict, .. } = options;
        Ok(Self { name, rows, duplicates, on_conflict, bytes_total, bytes_read })
    }

    /// One request so many times: the rows `{"n": 1}`, `{"n": 2}`, .. Equal requests are a job each, so the same again adds
    /// nothing and more of them add the difference.
    #[must_use]
    pub fn repeat(times: u64, on_conflict: OnConflict) -> Self {
        Self {
            name: format!("--repeat {times}"),
            rows: Box::new(Repeat::new(times)),
            duplicates: Duplicates::Keep,
            on_conflict,
            bytes_total: None,
            bytes_read: Arc::default(),
        }
    }
}

/// The rows of an input: unpacked, converted to UTF-8 and cut by its format; or why it cannot be used.
fn rows(name: &str, reader: Bytes, options: Options) -> io::Result<Result<Box<dyn Rows>, String>> {
    let inside = name_inside(name);
    let delimiter = match delimiter(inside, options.delimiter) {
        Ok(delimiter) => delimiter,
        Err(why) => return Ok(Err(why)),
    };
    let reader = match unpacked(Peeked::new(reader))? {
        Ok(reader) => reader,
        Err(why) => return Ok(Err(why)),
    };
    let (mut reader, encoding) = match converted(reader, options.encoding)? {
        Ok(text) => text,
        Err(why) => return Ok(Err(why)),
    };
    let head = reader.look(HEAD, first_line_is_whole)?;
    let format = match options.format {
        Format::Auto if options.no_header || options.delimiter.is_some() => Format::Csv,
        Format::Auto => guess(inside, head),
        given => given,
    };
    if let (Format::Jsonl, Some(why)) = (format, other_json(head)) {
        return Ok(Err(why));
    }
    let quotes = (format == Format::Csv).then_some(delimiter);
    let records = Records::new(Box::new(reader), quotes).converted_from(encoding);
    Ok(Ok(match format {
        Format::Lines => Box::new(Lines::new(records)),
        Format::Jsonl => Box::new(Jsonl::new(records)),
        Format::Auto | Format::Csv => match Csv::new(records, delimiter, !options.no_header)? {
            Ok(csv) => Box::new(csv),
            Err(why) => return Ok(Err(why)),
        },
    }))
}

type Opened = (String, Bytes, Option<u64>);

fn open_file(path: &std::path::Path) -> Result<Opened, ImportError> {
    let name = path.display().to_string();
    let opened = File::open(path).and_then(|file| {
        let about = file.metadata()?;
        if about.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        Ok((file, about.is_file().then_some(about.len())))
    });
    match opened {
        Ok((file, length)) => Ok((name, Box::new(file), length)),
        Err(source) => Err(ImportError::Open { name, source }),
    }
}

fn first_line_is_whole(head: &[u8]) -> bool {
    first_row(head).is_some_and(|line| line.as_ptr_range().end < head.as_ptr_range().end)
}

/// The first line that is not blank and no comment.
fn first_row(head: &[u8]) -> Option<&[u8]> {
    head.split(|byte| matches!(byte, b'\n' | b'\r')).find(|line| {
        let line = line.trim_ascii();
        !line.is_empty() && !line.starts_with(b"#")
    })
}

fn delimiter(name: &str, given: Option<char>) -> Result<u8, String> {
    match given {
        None if has_extension(name, "tsv") => Ok(b'\t'),
        None => Ok(b','),
        Some(char @ ('"' | '\n' | '\r' | '\0')) => Err(format!("{char:?} cannot separate values")),
        Some(char) if char.is_ascii() => Ok(char as u8),
        Some(char) => Err(format!("{char:?} cannot separate values; a delimiter is one ASCII character")),
    }
}

fn guess(name: &str, head: &[u8]) -> Format {
    let has = |extensions: &[&str]| extensions.iter().any(|extension| has_extension(name, extension));
    let first = first_row(head).unwrap_or_default().trim_ascii_start();
    match () {
        () if has(&["csv", "tsv"]) => Format::Csv,
        () if has(&["jsonl", "ndjson", "json"]) => Format::Jsonl,
        () if has(&["txt"]) || begins_as_url(first) => Format::Lines,
        () if first.starts_with(b"{") => Format::Jsonl,
        () => Format::Csv,
    }
}

/// JSON that is not an object a line is seen by how it begins.
fn other_json(head: &[u8]) -> Option<String> {
    match first_row(head).unwrap_or_default().trim_ascii() {
        [b'[', ..] => Some("it is a JSON array; write an object a line: jq -c '.[]' FILE | haul import -".to_owned()),
        b"{" => Some("its objects go over several lines; write one a line: jq -c . FILE | haul import -".to_owned()),
        _ => None,
    }
}

/// No header begins like this. Whether the URL is a good one is no matter here: a bad one is to be rejected as a row.
fn begins_as_url(line: &[u8]) -> bool {
    let begins = |scheme: &[u8]| line.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    begins(b"http://") || begins(b"https://")
}

fn has_extension(name: &str, extension: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}
