//! Comma-separated values: a header, and a row for each record. The values are JSON strings, as they are.

use std::io::{self, Read};

use csv::{ByteRecord, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use super::records::{Record, Records, excerpt};
use super::{Row, Rows};
use crate::store::Reject;

/// The records of a file with their columns.
pub(super) struct Csv {
    records: Records,
    parser: Reader<OneRecord>,
    fields: ByteRecord,
    columns: Vec<String>,
    /// The first record, where it was read to count the columns and is a row itself.
    first: Option<Record>,
}

/// What the parser reads from. It is given one record at a time, so it never holds more than one, and what it says about
/// a record is about that one.
struct OneRecord {
    bytes: Vec<u8>,
    at: usize,
}

impl Read for OneRecord {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = out.len().min(self.bytes.len() - self.at);
        out[..length].copy_from_slice(&self.bytes[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

impl Csv {
    /// Reads the header; without one the columns are called `c1`, `c2`, ..
    pub(super) fn new(records: Records, delimiter: u8, header: bool) -> io::Result<Result<Self, String>> {
        let parser = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(OneRecord { bytes: Vec::new(), at: 0 });
        let mut csv = Self { records, parser, fields: ByteRecord::new(), columns: Vec::new(), first: None };
        let Some(record) = csv.next_record()? else { return Ok(Ok(csv)) };
        if let Some(reason) = csv.records.fault(record, csv.records.bytes()) {
            return Ok(Err(format!("the first row, line {}, is no header: {reason}", record.line)));
        }
        csv.parse()?;
        if header {
            csv.columns = csv.fields.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
            // The numbers of rows that data frames are written with; without them it would be no table of theirs.
            if let [first, second, ..] = &mut csv.columns[..]
                && first.is_empty()
                && !second.is_empty()
            {
                "c1".clone_into(first);
            }
            if let Err(reason) = check_columns(&csv.columns) {
                return Ok(Err(format!("the header, line {}, {reason}", record.line)));
            }
        } else {
            csv.columns = (1..=csv.fields.len()).map(|number| format!("c{number}")).collect();
            csv.first = Some(record);
        }
        Ok(Ok(csv))
    }

    fn next_record(&mut self) -> io::Result<Option<Record>> {
        while let Some(record) = self.records.next()? {
            if !self.records.bytes().is_empty() {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    fn parse(&mut self) -> io::Result<()> {
        let one = self.parser.get_mut();
        one.bytes.clear();
        one.bytes.extend_from_slice(self.records.bytes());
        one.bytes.push(b'\n');
        one.at = 0;
        self.parser.read_byte_record(&mut self.fields).map(|_| ()).map_err(io::Error::from)
    }

    fn row(&mut self, record: Record) -> io::Result<Result<Row, String>> {
        if let Some(reason) = self.records.fault(record, self.records.bytes()) {
            return Ok(Err(reason));
        }
        self.parse()?;
        let (found, wanted) = (self.fields.len(), self.columns.len());
        if found != wanted {
            return Ok(Err(format!("the row has {found} fields, and there are {wanted} columns; is a quote missing?")));
        }
        let value = |field: &[u8]| String::from_utf8(field.to_vec()).map(Value::String);
        let cells = self.columns.iter().zip(&self.fields).map(|(name, field)| Ok((name.clone(), value(field)?)));
        let values: Result<Map<String, Value>, std::string::FromUtf8Error> = cells.collect();
        Ok(values
            .map(|values| Row { line: record.line, values, raw: None })
            .map_err(|error| format!("the row {error}")))
    }
}

impl Rows for Csv {
    fn next(&mut self) -> io::Result<Option<Result<Row, Reject>>> {
        let record = match self.first.take() {
            Some(record) => Some(record),
            None => self.next_record()?,
        };
        let Some(record) = record else { return Ok(None) };
        let row = self.row(record)?;
        Ok(Some(row.map_err(|reason| Reject { line: record.line, reason, text: excerpt(self.records.bytes()) })))
    }

    fn text(&self) -> &[u8] {
        self.records.bytes()
    }

    fn columns(&self) -> &[String] {
        &self.columns
    }
}

fn check_columns(columns: &[String]) -> Result<(), String> {
    for (at, name) in columns.iter().enumerate() {
        if name.is_empty() {
            return Err(format!("has no name for column {}; give it one, or use --no-header", at + 1));
        }
        if let Some(before) = columns[..at].iter().position(|other| other == name) {
            return Err(format!("calls columns {} and {} both {name:?}; rename one", before + 1, at + 1));
        }
    }
    Ok(())
}
