//! Jobs for which a condition is true, by what decides about their next stage.

use std::ops::ControlFlow;
use std::time::Duration;

use super::{Console, QueryError, Value, select_where};
use crate::attempt::ErrorType;
use crate::job::State;

/// Jobs that are alike in all that decides where they may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// What is durably written of them.
    pub state: State,
    /// A run holds them, or died while it did.
    pub held: bool,
    /// Type of their last failure.
    pub error_type: Option<ErrorType>,
    /// Their response is stored.
    pub has_response: bool,
    /// So many jobs.
    pub jobs: u64,
    /// Bytes of their stored bodies.
    pub bytes: u64,
}

impl Console {
    /// Counts the jobs for which a condition over `job_view` is true: a few rows, however many jobs.
    ///
    /// # Errors
    /// As of [`Console::prepare`] and [`Console::run`].
    pub async fn kinds_where(&mut self, condition: &str, timeout: Duration) -> Result<Vec<Kind>, QueryError> {
        select_where("id", condition)?; // refuses what would leave the parenthesis
        let sql = format!(
            "SELECT state, running, error_type, response_headers IS NOT NULL, count(*), sum(octet_length(body)) \
             FROM job_view WHERE (\n{condition}\n) GROUP BY 1, 2, 3, 4"
        );
        let query = self.prepare(&sql, &[]).await?;
        let mut kinds = Vec::new();
        let kind = |row: &[Value]| {
            kinds.extend(kind(row));
            Ok(ControlFlow::Continue(()))
        };
        self.run(&query, timeout, kind).await?;
        Ok(kinds)
    }
}

/// `None`: not written by haul.
pub(in crate::store) fn kind(row: &[Value]) -> Option<Kind> {
    let [Value::Text(state), held, error_type, has_response, jobs, bytes] = row else { return None };
    let number = |value: &Value| if let Value::Integer(n) = value { u64::try_from(*n).unwrap_or(0) } else { 0 };
    let error_type = if let Value::Text(word) = error_type { Some(ErrorType::stored(word.clone())) } else { None };
    Some(Kind {
        state: State::parse(state)?,
        held: number(held) > 0,
        error_type,
        has_response: number(has_response) > 0,
        jobs: number(jobs),
        bytes: number(bytes),
    })
}
