//! Rows -> values. A count is an `integer` or `bigint` here and has no sign there; the tables keep it from having one.

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::{Inner, text};
use crate::attempt::ErrorType;
use crate::job::{Standing, State};
use crate::store::Reject;

pub(super) fn state(name: &str) -> Inner<State> {
    State::parse(name).ok_or_else(|| format!("`{name}` is no state of a job").into())
}

/// A count in an `integer`.
pub(super) fn small(row: &PgRow, at: usize) -> Inner<u32> {
    Ok(u32::try_from(row.try_get::<i32, _>(at)?)?)
}

/// A count in a `bigint`.
pub(super) fn large(row: &PgRow, at: usize) -> Inner<u64> {
    Ok(u64::try_from(row.try_get::<i64, _>(at)?)?)
}

/// Five columns from `at` on: state, failures, generation, crashes, was.
pub(super) fn standing(row: &PgRow, at: usize) -> Inner<Standing> {
    Ok(Standing {
        state: state(row.try_get(at)?)?,
        failures: small(row, at + 1)?,
        generation: small(row, at + 2)?,
        crashes: small(row, at + 3)?,
        was: row.try_get::<Option<&str>, _>(at + 4)?.map(state).transpose()?,
    })
}

pub(super) fn count(row: &PgRow) -> Inner<((State, Option<ErrorType>), u64)> {
    let error_type: String = row.try_get(1)?;
    let error_type = Some(error_type).filter(|t| !t.is_empty()).map(ErrorType::stored);
    Ok(((state(row.try_get(0)?)?, error_type), large(row, 2)?))
}

pub(super) fn reject(row: &PgRow) -> Inner<Reject> {
    Ok(Reject { line: large(row, 0)?, reason: text::read(row.try_get(1)?), text: text::read(row.try_get(2)?) })
}
