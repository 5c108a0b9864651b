//! A URL a line. Blank lines and lines that begin with `#` are no rows.

use std::io;

use serde_json::{Map, Value};

use super::records::{Records, excerpt};
use super::{Row, Rows};
use crate::store::Reject;

pub(super) struct Lines(Records);

impl Lines {
    pub(super) fn new(records: Records) -> Self {
        Self(records)
    }
}

impl Rows for Lines {
    fn next(&mut self) -> io::Result<Option<Result<Row, Reject>>> {
        while let Some(record) = self.0.next()? {
            let line = self.0.bytes().trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let url = match (self.0.fault(record, line), std::str::from_utf8(line)) {
                (None, Ok(url)) => url.to_owned(),
                (reason, _) => {
                    let reason = reason.unwrap_or_default();
                    return Ok(Some(Err(Reject { line: record.line, reason, text: excerpt(line) })));
                }
            };
            let values = Map::from_iter([("url".to_owned(), Value::String(url))]);
            return Ok(Some(Ok(Row { line: record.line, values, raw: None })));
        }
        Ok(None)
    }

    fn text(&self) -> &[u8] {
        self.0.bytes()
    }
}
