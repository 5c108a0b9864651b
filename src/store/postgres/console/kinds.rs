//! Jobs for which a condition is true: which they are, and what decides about their next stage.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use super::PostgresConsole;
use crate::store::sqlite::console::{Kind, QueryError, Value, kind, select_where};
use crate::store::sqlite::samples::{Sample, sample};

/// As a sample is read.
const SAMPLE: &str = "id, key, state, error_type, error_message, attempts, method, url, request_headers, \
                      coalesce(request_body_bytes, convert_to(request_body, 'UTF8')) AS request_body, row, result, \
                      status_code, response_headers, coalesce(body_bytes, convert_to(body, 'UTF8')) AS body, body_encoding";

impl PostgresConsole {
    /// Hands over the ids of the jobs for which a condition over `job_view` is true, in their order, until `each` breaks.
    ///
    /// # Errors
    /// As of [`PostgresConsole::prepare`] and [`PostgresConsole::run`].
    pub async fn jobs_where(
        &mut self,
        condition: &str,
        timeout: Duration,
        mut each: impl FnMut(i64) -> ControlFlow<()>,
    ) -> Result<(), QueryError> {
        let query = self.prepare(&select_where("id", condition)?, &[]).await?;
        let id = |row: &[Value]| match row {
            [Value::Integer(id)] => Ok(each(*id)),
            _ => Ok(ControlFlow::Continue(())),
        };
        self.run(&query, timeout, id).await
    }

    /// Counts the jobs for which a condition over `job_view` is true: a few rows, however many jobs.
    ///
    /// # Errors
    /// As of [`PostgresConsole::prepare`] and [`PostgresConsole::run`].
    pub async fn kinds_where(&mut self, condition: &str, timeout: Duration) -> Result<Vec<Kind>, QueryError> {
        select_where("id", condition)?; // refuses what would leave the parenthesis
        let sql = format!(
            "SELECT state, running, error_type, response_headers IS NOT NULL, count(*), \
             sum(coalesce(octet_length(body), octet_length(body_bytes))) \
             FROM job_view WHERE (\n{condition}\n) GROUP BY 1, 2, 3, 4"
        );
        let query = self.prepare(&sql, &[]).await?;
        let mut kinds = Vec::new();
        let each = |row: &[Value]| {
            kinds.extend(kind(row));
            Ok(ControlFlow::Continue(()))
        };
        self.run(&query, timeout, each).await?;
        Ok(kinds)
    }

    /// Hands over jobs for which a condition over `job_view` is true and that can be processed again, in their order, until
    /// `each` breaks. One at a time is in memory.
    ///
    /// # Errors
    /// As of [`PostgresConsole::prepare`] and [`PostgresConsole::run`], and what `each` says.
    pub async fn samples_where(
        &mut self,
        condition: &str,
        timeout: Duration,
        mut each: impl FnMut(Sample) -> io::Result<ControlFlow<()>>,
    ) -> Result<(), QueryError> {
        let query = self.prepare(&select_where(SAMPLE, condition)?, &[]).await?;
        let take = |row: &[Value]| match sample(row).map_err(io::Error::other)? {
            Some(sample) => each(sample),
            None => Ok(ControlFlow::Continue(())),
        };
        self.run(&query, timeout, take).await
    }
}
