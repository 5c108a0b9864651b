//! Rows -> what they say.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Inner, state};
use crate::attempt::ErrorType;
use crate::job::State;
use crate::store::Reject;

pub(super) fn count(row: &SqliteRow) -> Inner<((State, Option<ErrorType>), u64)> {
    let error_type: String = row.try_get(1)?;
    let error_type = Some(error_type).filter(|t| !t.is_empty()).map(ErrorType::stored);
    Ok(((state(row.try_get(0)?)?, error_type), u64::try_from(row.try_get::<i64, _>(2)?)?))
}

pub(super) fn reject(row: &SqliteRow) -> Inner<Reject> {
    Ok(Reject { line: u64::try_from(row.try_get::<i64, _>(0)?)?, reason: row.try_get(1)?, text: row.try_get(2)? })
}
