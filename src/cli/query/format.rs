//! Rows for other programs: JSON, CSV, TSV. Written as they come, nothing is collected.

use std::collections::HashSet;
use std::io::{self, Write};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use haul::store::sqlite::console::Value;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::Shape;

/// Writes rows in one form.
pub(crate) struct Format<W: Write> {
    form: Form<W>,
    columns: Vec<String>,
    rows: u64,
}

enum Form<W: Write> {
    Json { array: bool, out: W },
    Csv(Box<csv::Writer<W>>),
}

impl<W: Write> Format<W> {
    /// Rows of these columns.
    pub(crate) fn new(shape: Shape, columns: &[String], out: W) -> Self {
        let separator = match shape {
            Shape::Csv => b',',
            Shape::Tsv => b'\t',
            Shape::Json | Shape::Lines | Shape::Table => {
                let form = Form::Json { array: shape == Shape::Json, out };
                return Self { form, columns: distinct(columns), rows: 0 };
            }
        };
        let writer = csv::WriterBuilder::new().delimiter(separator).from_writer(out);
        Self { form: Form::Csv(Box::new(writer)), columns: columns.to_vec(), rows: 0 }
    }

    /// What stands before the rows.
    pub(crate) fn begin(&mut self) -> io::Result<()> {
        match &mut self.form {
            Form::Csv(out) if !self.columns.is_empty() => out.write_record(&self.columns).map_err(io_error),
            Form::Json { .. } | Form::Csv(_) => Ok(()),
        }
    }

    /// A row.
    pub(crate) fn row(&mut self, values: &[Value]) -> io::Result<()> {
        self.rows += 1;
        match &mut self.form {
            Form::Json { array, out } => {
                if *array {
                    out.write_all(if self.rows == 1 { b"[\n" } else { b",\n" })?;
                }
                serde_json::to_writer(&mut *out, &Object { columns: &self.columns, values })?;
                if *array { Ok(()) } else { out.write_all(b"\n") }
            }
            Form::Csv(out) => out.write_record(values.iter().map(cell)).map_err(io_error),
        }
    }

    /// What stands behind the rows.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        if let Form::Json { array: true, out } = &mut self.form {
            out.write_all(if self.rows == 0 { b"[]\n" } else { b"\n]\n" })?;
        }
        self.flush()
    }

    /// Hands over what was written so far.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match &mut self.form {
            Form::Json { out, .. } => out.flush(),
            Form::Csv(out) => out.flush(),
        }
    }
}

fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(e) => e,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// Column names that can be members of one object: `id`, `id_2`.
fn distinct(columns: &[String]) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut free = |name: &String| {
        let numbered = (2..).map(|n| format!("{name}_{n}"));
        std::iter::once(name.clone()).chain(numbered).find(|name| taken.insert(name.clone())).unwrap_or_default()
    };
    columns.iter().map(&mut free).collect()
}

/// A row as a JSON object, its members in the order of the columns.
struct Object<'a> {
    columns: &'a [String],
    values: &'a [Value],
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.columns.len()))?;
        for (name, value) in self.columns.iter().zip(self.values) {
            match value {
                Value::Null => map.serialize_entry(name, &())?,
                Value::Integer(n) => map.serialize_entry(name, n)?,
                Value::Real(x) => map.serialize_entry(name, x)?, // JSON has no infinity: null
                Value::Text(text) => map.serialize_entry(name, text)?,
                Value::Blob(bytes) => match std::str::from_utf8(bytes) {
                    Ok(text) => map.serialize_entry(name, text)?,
                    Err(_) => map.serialize_entry(name, &Base64 { base64: base64(bytes) })?,
                },
            }
        }
        map.end()
    }
}

/// Bytes that are no text, told apart from text.
#[derive(serde::Serialize)]
struct Base64 {
    base64: String,
}

/// A field of CSV.
fn cell(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => Vec::new(),
        Value::Integer(n) => n.to_string().into_bytes(),
        Value::Real(x) => real(*x).into_bytes(),
        Value::Text(text) => text.as_bytes().to_vec(),
        Value::Blob(bytes) if std::str::from_utf8(bytes).is_ok() => bytes.clone(),
        Value::Blob(bytes) => base64(bytes).into_bytes(),
    }
}

/// A real as SQLite writes it: never without its point, so that it reads back as a real.
pub(crate) fn real(x: f64) -> String {
    format!("{x:?}")
}

/// As RFC 4648 says, with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(shape: Shape, columns: &[&str], rows: &[Vec<Value>]) -> String {
        let columns: Vec<String> = columns.iter().map(|c| (*c).to_owned()).collect();
        let mut out = Vec::new();
        let mut format = Format::new(shape, &columns, &mut out);
        format.begin().expect("a Vec takes all");
        for row in rows {
            format.row(row).expect("a Vec takes all");
        }
        format.end().expect("a Vec takes all");
        drop(format);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn json_is_one_array_with_members_in_order_and_apart() {
        let row = vec![Value::Integer(1), Value::Blob(vec![0xff, 0]), Value::Null];
        let json = written(Shape::Json, &["z", "a", "z"], &[row.clone(), row]);
        let one = r#"{"z":1,"a":{"base64":"/wA="},"z_2":null}"#;
        assert_eq!(json, format!("[\n{one},\n{one}\n]\n"));
        assert_eq!(written(Shape::Json, &["a"], &[]), "[]\n");
    }

    #[test]
    fn csv_quotes_what_must_be_quoted() {
        let row = vec![Value::Text("a,\"b\"\n".to_owned()), Value::Real(2.0), Value::Null];
        assert_eq!(written(Shape::Csv, &["x", "y", "n"], &[row]), "x,y,n\n\"a,\"\"b\"\"\n\",2.0,\n");
    }
}
