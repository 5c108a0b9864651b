//! A JSON object a line. Which of its members are parts of a request, and which are the row, the template knows.

use std::io;

use serde_json::{Map, Value};

use super::json::{Members, Unread, exact_value};
use super::records::{Record, Records, excerpt};
use super::{Row, Rows};
use crate::store::Reject;
use crate::template::{Raw, cut};

pub(super) struct Jsonl(Records);

impl Jsonl {
    pub(super) fn new(records: Records) -> Self {
        Self(records)
    }

    fn row(&self, record: Record) -> Result<Row, String> {
        let bytes = self.0.bytes();
        let text = match (self.0.fault(record, bytes), std::str::from_utf8(bytes)) {
            (None, Ok(text)) => text.trim_ascii(),
            (reason, _) => return Err(reason.unwrap_or_default()),
        };
        let (values, raw) = members(text)?;
        Ok(Row { line: record.line, values, raw: Some(Box::new(raw)) })
    }
}

impl Rows for Jsonl {
    fn next(&mut self) -> io::Result<Option<Result<Row, Reject>>> {
        while let Some(record) = self.0.next()? {
            if self.0.bytes().trim_ascii().is_empty() {
                continue;
            }
            let row = self.row(record);
            let text = || excerpt(self.0.bytes());
            return Ok(Some(row.map_err(|reason| Reject { line: record.line, reason, text: text() })));
        }
        Ok(None)
    }

    fn text(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// The members of a line, and what of them has to stay word for word.
fn members(text: &str) -> Result<(Map<String, Value>, Raw), String> {
    if !text.starts_with('{') {
        return Err(format!("the line is no JSON object: it begins with {:?}", cut(text, 20)));
    }
    let Members(members) = serde_json::from_str(text).map_err(|error| no_json(&error, text))?;
    let mut values = Map::new();
    let mut raw = Raw::default();
    for (name, json) in members {
        let member = match exact_value(json.get()) {
            Ok(value) => Ok(value),
            Err(Unread::Inexact(number)) => Err(format!(
                "the member {name:?} has the number {}, which would lose digits; write it as a text",
                cut(&number, 40)
            )),
            Err(Unread::Bad(error)) => return Err(format!("the member {name:?} {error}")),
        };
        let sent = match name.as_str() {
            "body" if json.get().starts_with(['{', '[']) => Some(&mut raw.body),
            "json" if json.get() != "null" => Some(&mut raw.json),
            _ => None,
        };
        match (member, sent) {
            (Ok(value), sent) => {
                sent.into_iter().for_each(|place| *place = Some(json.get().to_owned()));
                values.insert(name, value);
            }
            // It can be sent, as it is, and not be read.
            (Err(why), Some(place)) => (*place, raw.unread) = (Some(json.get().to_owned()), Some(why)),
            (Err(why), None) => return Err(why),
        }
    }
    Ok((values, raw))
}

fn no_json(error: &serde_json::Error, text: &str) -> String {
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    if error.classify() == serde_json::error::Category::Data {
        return said.to_owned();
    }
    // Columns count bytes: the first that is a boundary shows the place.
    let from = (error.column().saturating_sub(20)..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    format!("the line is no JSON: {said} at byte {}, near {:?}", error.column(), cut(&text[from..], 40))
}
