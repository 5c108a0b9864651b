//! One request many times: rows that only count.

use std::io;

use serde_json::{Map, Value};

use super::{Row, Rows};
use crate::store::Reject;

/// The rows `{"n": 1}`, `{"n": 2}`, ..
pub(super) struct Repeat {
    n: u64,
    last: u64,
    text: String,
}

impl Repeat {
    pub(super) fn new(times: u64) -> Self {
        Self { n: 0, last: times, text: String::new() }
    }
}

impl Rows for Repeat {
    fn next(&mut self) -> io::Result<Option<Result<Row, Reject>>> {
        if self.n == self.last {
            return Ok(None);
        }
        self.n += 1;
        self.text = format!("{{\"n\":{}}}", self.n);
        let values = Map::from_iter([("n".to_owned(), Value::from(self.n))]);
        Ok(Some(Ok(Row { line: self.n, values, raw: None })))
    }

    fn text(&self) -> &[u8] {
        self.text.as_bytes()
    }
}
