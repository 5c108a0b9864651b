//! Values out of a row that came as JSON: any type does.

use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::{Column, Row, TypeInfo};

use crate::store::postgres::text;
use crate::store::sqlite::console::Value;

/// What a column holds, as far as JSON does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bytes,
    Real,
    /// Text that may stand for one with a NUL: see [`text`].
    Kept,
    Other,
}

/// Columns of ours that are kept so.
const KEPT: [&str; 7] = ["key", "url", "error_message", "processor", "reason", "source", "host"];

impl Kind {
    pub(super) fn of(column: &impl Column<Database = sqlx::Postgres>) -> Self {
        match column.type_info().name() {
            "BYTEA" => Self::Bytes,
            "FLOAT8" | "FLOAT4" => Self::Real,
            "TEXT" if KEPT.contains(&column.name()) => Self::Kept,
            _ => Self::Other,
        }
    }
}

/// The values of a row, which is one array of them.
pub(super) fn values(row: &PgRow, kinds: &[Kind]) -> Result<Vec<Value>, sqlx::Error> {
    let json: Option<&str> = row.try_get(0)?;
    let raw: Vec<&RawValue> = serde_json::from_str(json.unwrap_or("[]")).map_err(broken)?;
    let kinds = kinds.iter().copied().chain(std::iter::repeat(Kind::Other));
    raw.iter().zip(kinds).map(|(raw, kind)| value(raw.get(), kind)).collect()
}

fn broken(error: serde_json::Error) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

fn value(json: &str, kind: Kind) -> Result<Value, sqlx::Error> {
    if json.starts_with('"') {
        let said: String = serde_json::from_str(json).map_err(broken)?;
        return Ok(match kind {
            Kind::Bytes => bytes(&said).map_or(Value::Text(said), Value::Blob),
            Kind::Kept => Value::Text(text::read(said)),
            Kind::Real | Kind::Other => Value::Text(said),
        });
    }
    Ok(match (json, json.parse(), json.parse()) {
        ("null", ..) => Value::Null,
        ("true", ..) => Value::Integer(1),
        ("false", ..) => Value::Integer(0),
        (_, Ok(n), _) if kind != Kind::Real => Value::Integer(n),
        (_, _, Ok(x)) if !json.starts_with(['{', '[']) => Value::Real(x),
        (nested, ..) => Value::Text(nested.to_owned()),
    })
}

/// `\x00ff`
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = hex.strip_prefix("\\x")?.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_of_the_type_of_its_column() {
        let read = |json, kind| value(json, kind).expect("a value");
        assert_eq!(read("12", Kind::Real), Value::Real(12.0));
        assert_eq!(read("12", Kind::Other), Value::Integer(12));
        assert_eq!(read("1.5", Kind::Other), Value::Real(1.5));
        assert_eq!(read("true", Kind::Other), Value::Integer(1));
        assert_eq!(read("null", Kind::Bytes), Value::Null);
        assert_eq!(read(r#""\\x00ff""#, Kind::Bytes), Value::Blob(vec![0, 255]));
        assert_eq!(read(r#""\\x00ff""#, Kind::Other), Value::Text(r"\x00ff".to_owned()));
        assert_eq!(read("\"a\u{fdd0}0\"", Kind::Kept), Value::Text("a\0".to_owned()));
        assert_eq!(read(r#"{"a":[1]}"#, Kind::Other), Value::Text(r#"{"a":[1]}"#.to_owned()));
    }
}
