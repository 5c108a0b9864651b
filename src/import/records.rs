//! Cuts a stream of bytes into records: lines, or lines joined by quotes. Memory stays bounded however long one is.

use std::io::{self, Read};

/// Bytes of a record that are kept, at most; a longer one is a bad row.
pub(crate) const LONGEST: usize = 1 << 20;
const BLOCK: usize = 64 << 10;

/// A record that was read; its bytes are in [`Records::bytes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// Line on which it begins, from 1.
    pub(crate) line: u64,
    /// It went on beyond [`LONGEST`]; only its beginning was kept.
    pub(crate) too_long: bool,
    /// The input ended inside of its quotes.
    pub(crate) unclosed: bool,
}

/// A stream, record by record. CR, LF and CRLF end a line, mixed as they come.
pub(crate) struct Records {
    input: Box<dyn Read + Send>,
    block: Box<[u8]>,
    at: usize,
    end: usize,
    record: Vec<u8>,
    line: u64,
    /// Quotes join lines, and begin where a field does: after this byte.
    delimiter: Option<u8>,
    after_cr: bool,
    /// What the input is converted from; what could not be is a byte that is no UTF-8.
    encoding: Option<&'static str>,
}

/// Where in a record the reading is. The same rules as the CSV parser's, which is given one record at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    FieldBegins,
    Plain,
    Quoted,
    /// A quote inside of quotes: the end of them, or, with another one, a quote.
    Quote,
}

impl Records {
    /// Reads lines, or CSV records with this delimiter.
    pub(crate) fn new(input: Box<dyn Read + Send>, delimiter: Option<u8>) -> Self {
        Self {
            input,
            block: vec![0; BLOCK].into_boxed_slice(),
            at: 0,
            end: 0,
            record: Vec::new(),
            line: 1,
            delimiter,
            after_cr: false,
            encoding: None,
        }
    }

    /// The input was converted from this encoding.
    pub(crate) fn converted_from(mut self, encoding: Option<&'static str>) -> Self {
        self.encoding = encoding;
        self
    }

    /// The bytes of the last record, without the end of its line.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.record
    }

    /// Bytes of memory that are held for records.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.block.len() + self.record.capacity()
    }

    /// Reads the next record; `None` at the end of the input. Blank lines are records too.
    pub(crate) fn next(&mut self) -> io::Result<Option<Record>> {
        self.record.clear();
        if !self.fill()? {
            return Ok(None);
        }
        if self.after_cr && self.block[self.at] == b'\n' {
            self.at += 1;
            if !self.fill()? {
                return Ok(None);
            }
        }
        self.after_cr = false;
        let mut record = Record { line: self.line, too_long: false, unclosed: false };
        let mut state = if self.delimiter.is_some() { State::FieldBegins } else { State::Plain };
        loop {
            let (ended, length) = self.scan(&mut state);
            let taken = &self.block[self.at..self.at + length];
            let room = LONGEST - self.record.len();
            record.too_long |= length > room;
            if self.record.capacity() < LONGEST && self.record.len() + length > self.record.capacity() {
                // Doubling as a vector does would come to hold twice the limit.
                let wanted = (self.record.len() + length).next_power_of_two().min(LONGEST);
                self.record.reserve_exact(wanted.saturating_sub(self.record.len()));
            }
            self.record.extend_from_slice(&taken[..length.min(room)]);
            self.at += length;
            if ended {
                self.after_cr = self.block[self.at] == b'\r';
                self.at += 1;
                return Ok(Some(record));
            }
            if !self.fill()? {
                record.unclosed = state == State::Quoted;
                return Ok(Some(record));
            }
        }
    }

    /// Follows the record to its end or the block's: whether it ended, and how many bytes are its own.
    fn scan(&mut self, state: &mut State) -> (bool, usize) {
        for (length, &byte) in self.block[self.at..self.end].iter().enumerate() {
            match byte {
                b'\n' | b'\r' => {
                    self.line += u64::from(!(byte == b'\n' && self.after_cr));
                    self.after_cr = byte == b'\r';
                    if *state != State::Quoted {
                        return (true, length);
                    }
                    continue;
                }
                b'"' => {
                    *state = match *state {
                        State::FieldBegins | State::Quote => State::Quoted,
                        State::Quoted => State::Quote,
                        State::Plain => State::Plain,
                    }
                }
                _ if *state == State::Quoted => {}
                _ if Some(byte) == self.delimiter => *state = State::FieldBegins,
                _ => *state = State::Plain,
            }
            self.after_cr = false;
        }
        (false, self.end - self.at)
    }

    /// Why the bytes of a record are no row, whatever its format.
    pub(crate) fn fault(&self, record: Record, bytes: &[u8]) -> Option<String> {
        if record.too_long {
            let why = if self.delimiter.is_some() { ", or a quote that it opens is not closed" } else { "" };
            return Some(format!("the row is longer than {LONGEST} bytes{why}"));
        }
        if record.unclosed {
            return Some("the row opens a quote that is not closed before the end of the input".to_owned());
        }
        match (std::str::from_utf8(bytes), self.encoding) {
            (Ok(_), encoding) => {
                let hint =
                    if encoding.is_none() { "; if the input is UTF-16, --encoding utf-16le says so" } else { "" };
                bytes.iter().position(|&byte| byte == 0).map(|at| format!("byte {} of the row is NUL{hint}", at + 1))
            }
            (Err(_), Some(encoding)) => Some(format!("the row holds what is no {encoding}; is it another --encoding?")),
            (Err(error), None) => {
                let at = error.valid_up_to();
                Some(format!(
                    "byte {} of the row is not UTF-8: {:#04x}; --encoding says what it is, such as windows-1252",
                    at + 1,
                    bytes[at]
                ))
            }
        }
    }

    /// Has bytes to look at; `false` at the end of the input.
    fn fill(&mut self) -> io::Result<bool> {
        while self.at == self.end {
            match self.input.read(&mut self.block) {
                Ok(0) => return Ok(false),
                Ok(length) => {
                    (self.at, self.end) = (0, length);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// The row as it is kept with the reason for its rejection: cut to 1,000 characters, and without the passwords of URLs.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4_000)]);
    let text = crate::template::address::masked_in_text(&text);
    // A NUL would end the text for some who read it.
    crate::template::cut(&text, 1_000).replace('\0', "\u{fffd}")
}
