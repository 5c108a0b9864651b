//! Rows -> what they say.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Inner;
use crate::attempt::ErrorType;
use crate::job::{Standing, State};
use crate::store::Reject;

pub(super) fn count(row: &SqliteRow) -> Inner<((State, Option<ErrorType>), u64)> {
    let error_type: String = row.try_get(1)?;
    let error_type = Some(error_type).filter(|t| !t.is_empty()).map(ErrorType::stored);
    Ok(((state(row.try_get(0)?)?, error_type), u64::try_from(row.try_get::<i64, _>(2)?)?))
}

pub(super) fn reject(row: &SqliteRow) -> Inner<Reject> {
    Ok(Reject { line: u64::try_from(row.try_get::<i64, _>(0)?)?, reason: row.try_get(1)?, text: row.try_get(2)? })
}

/// Five columns from `at` on: state, failures, generation, crashes, was.
pub(super) fn standing(row: &SqliteRow, at: usize) -> Inner<Standing> {
    Ok(Standing {
        state: state(row.try_get(at)?)?,
        failures: row.try_get(at + 1)?,
        generation: row.try_get(at + 2)?,
        crashes: row.try_get(at + 3)?,
        was: row.try_get::<Option<&str>, _>(at + 4)?.map(state).transpose()?,
    })
}

pub(super) fn state(name: &str) -> Inner<State> {
    State::parse(name).ok_or_else(|| format!("`{name}` is no state of a job").into())
}
