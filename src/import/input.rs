//! Opening an input: what it is, and whether it can be read, before anything is created.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;

use super::csv::Csv;
use super::lines::Lines;
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
        let (name, mut reader, bytes_total) = match source {
            Source::Reader(name, reader) => (name, reader, None),
            Source::File(path) => open_file(&path)?,
        };
        let failed = |source| ImportError::Open { name: name.clone(), source };
        let unusable = |why: String| ImportError::Unusable { name: name.clone(), why };
        let head = read_head(&mut reader).map_err(failed)?;
        if let Some(why) = not_text(&head) {
            return Err(unusable(why.to_owned()));
        }
        let head = head.strip_prefix(b"\xef\xbb\xbf".as_slice()).unwrap_or(&head).to_vec();
        let delimiter = delimiter(&name, options.delimiter).map_err(unusable)?;
        let format = match options.format {
            Format::Auto if options.no_header || options.delimiter.is_some() => Format::Csv,
            Format::Auto => guess(&name, &head),
            given => given,
        };
        let reader = Box::new(Cursor::new(head).chain(reader));
        let rows: Box<dyn Rows> = match format {
            Format::Lines => Box::new(Lines::new(reader)),
            _ => Box::new(Csv::new(reader, delimiter, !options.no_header).map_err(failed)?.map_err(unusable)?),
        };
        Ok(Self { name, rows, duplicates: options.duplicates, on_conflict: options.on_conflict, bytes_total })
    }
}

type Opened = (String, Box<dyn Read + Send>, Option<u64>);

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

/// The first line, or as much of it as tells what the input is.
fn read_head(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD];
    let mut length = 0;
    while length < HEAD && !first_line_is_whole(&head[..length]) {
        match reader.read(&mut head[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    head.truncate(length);
    Ok(head)
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

fn not_text(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("it is UTF-16; convert it to UTF-8"),
        [0x1f, 0x8b, ..] => Some("it is packed with gzip; unpack it: gunzip -c FILE | haul import -"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("it is packed with zstd; unpack it: zstdcat FILE | haul import -"),
        [b'P', b'K', 3, 4, ..] => Some("it is a zip archive or a spreadsheet; save it as CSV"),
        _ => None,
    }
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
    if has_extension(name, "csv") || has_extension(name, "tsv") {
        return Format::Csv;
    }
    if has_extension(name, "txt") || first_row(head).is_some_and(begins_as_url) { Format::Lines } else { Format::Csv }
}

/// No header begins like this. Whether the URL is a good one is no matter here: a bad one is to be rejected as a row.
fn begins_as_url(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    let begins = |scheme: &[u8]| line.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    begins(b"http://") || begins(b"https://")
}

fn has_extension(name: &str, extension: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}
