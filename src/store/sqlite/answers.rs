//! Jobs with their answers, as they leave the database: over `job_view`, in one statement of constant memory.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::value::RawValue;

use super::console::{Console, QueryError, Value, select_where};
use super::pack::array;
use crate::result_line::{LineError, ResultLine, SCHEMA, Timings, is_retryable, raw};
use crate::secret::shown;
use crate::status::StatusSet;
use crate::store::packing;

/// What a result line is made of, in the order in which it is read.
const LINE: &str = "id, key, state, method, url, attempts, status_code, started_at, rate_wait_ms, ttfb_ms, fetch_ms, \
                    queue_ms, process_ms, latency_ms, within_sla, bytes, error_type, error_message, row, result";

/// The stored response, where it is asked for.
const RESPONSE: &str = ", response_headers, body, body_encoding";

/// Which jobs, and how much of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Selection<'a> {
    /// A condition over `job_view`; `None` = all that are finished.
    pub condition: Option<&'a str>,
    /// Only those whose last attempt was in this run or a later one.
    pub since_run: Option<i64>,
    /// Their stored responses too.
    pub with_response: bool,
}

impl Selection<'_> {
    /// The statement that gives them in the order of the import.
    ///
    /// # Errors
    /// As of [`select_where`].
    pub fn sql(&self) -> Result<String, QueryError> {
        self.sql_with(RESPONSE)
    }

    /// The same, where the columns of the stored response are these.
    pub(in crate::store) fn sql_with(&self, response: &str) -> Result<String, QueryError> {
        let mut wanted = match self.condition {
            None => "state IN ('succeeded', 'failed', 'cancelled')".to_owned(),
            Some(condition) => {
                select_where("id", condition)?; // it must not leave its parenthesis
                // Its ids first: found by an index they must be sorted, and to sort whole rows would take room for all.
                format!("id IN (SELECT id FROM job_view WHERE (\n{condition}\n))")
            }
        };
        if let Some(run) = self.since_run {
            // Runs are numbered in their order, so one attempt that is late enough means that the last is.
            wanted += &format!(" AND EXISTS (SELECT 1 FROM attempts AS t WHERE t.job_id = id AND t.run_id >= {run})");
        }
        self.sql_of(response, "", &wanted)
    }

    /// The statement that gives those for which this is true, with these columns too.
    pub(in crate::store) fn sql_of(&self, response: &str, more: &str, wanted: &str) -> Result<String, QueryError> {
        let response = if self.with_response { response } else { "" };
        select_where(&format!("{LINE}{response}{more}"), wanted)
    }
}

/// A job that a row of an input may be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its key.
    pub key: String,
    /// Its number.
    pub id: i64,
    /// The import that made it.
    pub import: i64,
    /// About how many bytes it takes to read it.
    pub bytes: usize,
}

impl Place {
    /// Reads a row of `places.sql`.
    pub(in crate::store) fn read(row: &[Value]) -> Option<Self> {
        let mut columns = Columns(row.iter());
        let (key, id) = (columns.text(), columns.integer());
        let (import, bytes) = (columns.integer().unwrap_or(0), columns.integer().unwrap_or(0));
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        key.zip(id).map(|(key, id)| Self { key, id, import, bytes })
    }
}

/// How long these look-ups may take: each is by an index, so only a bug makes one that never ends.
const LOOK_UP: Duration = Duration::from_secs(600);

impl Console {
    /// The jobs with these keys, in no order.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn places(&mut self, keys: &[&str]) -> Result<Vec<Place>, QueryError> {
        let mut places = Vec::new();
        let keys = array(&keys);
        self.look_up(include_str!("answers/places.sql"), &keys, |row| places.extend(Place::read(row))).await?;
        Ok(places)
    }

    /// The jobs with these numbers, each with the body of its request.
    ///
    /// # Errors
    /// Where the database cannot be read, or a body is packed in a way that is not known here.
    pub async fn answers(
        &mut self,
        ids: &[i64],
        with_response: bool,
        retry_on: &StatusSet,
    ) -> Result<Vec<(Answer, Option<Vec<u8>>)>, QueryError> {
        let selection = Selection { with_response, ..Selection::default() };
        let sql = selection.sql_of(RESPONSE, ", request_body", "id IN (SELECT value FROM json_each(?1))")?;
        let ids = array(&ids);
        let (mut answers, mut wrong) = (Vec::new(), None);
        self.look_up(&sql, &ids, |row| match Answer::with_body(row, retry_on) {
            Ok(found) => answers.push(found),
            Err(why) => wrong = Some(why),
        })
        .await?;
        match wrong {
            Some(why) => Err(std::io::Error::other(why).into()),
            None => Ok(answers),
        }
    }

    /// Whether there is such a run, and the number of the last one.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn has_run(&mut self, run: i64) -> Result<(bool, Option<i64>), QueryError> {
        let mut found = (false, None);
        let run = run.to_string();
        self.look_up(include_str!("answers/runs.sql"), &run, |row| {
            let mut columns = Columns(row.iter());
            found = (columns.flag().unwrap_or(false), columns.integer());
        })
        .await?;
        Ok(found)
    }

    /// The request flags with which this input was imported, else those of the last import that was given any: JSON.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn template_of(&mut self, source: &str) -> Result<Option<String>, QueryError> {
        let mut template = None;
        self.look_up(include_str!("answers/template.sql"), source, |row| template = Columns(row.iter()).text()).await?;
        Ok(template)
    }

    /// The imports whose rows become requests by these flags.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn made_by(&mut self, template: &str) -> Result<BTreeSet<i64>, QueryError> {
        let mut imports = BTreeSet::new();
        let sql = include_str!("answers/made_by.sql");
        self.look_up(sql, template, |row| imports.extend(Columns(row.iter()).integer())).await?;
        Ok(imports)
    }

    async fn look_up(&mut self, sql: &str, value: &str, mut each: impl FnMut(&[Value])) -> Result<(), QueryError> {
        let query = self.own(sql, value).await?;
        let take = |row: &[Value]| {
            each(row);
            Ok(ControlFlow::Continue(()))
        };
        self.run(&query, LOOK_UP, take).await
    }
}

/// A job with its answer.
#[derive(Debug)]
pub struct Answer {
    /// What programs want of it.
    pub line: ResultLine,
    /// Its stored response, where it was asked for and is there.
    pub response: Option<Stored>,
}

/// A stored response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its headers: JSON.
    pub headers: String,
    /// Its body, byte for byte.
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads a row of the statements above. `retry_on` says what may go away by itself.
    ///
    /// # Errors
    /// The row is none of theirs, or its body is packed in a way that is not known here.
    pub fn read(values: &[Value], retry_on: &StatusSet) -> Result<Self, String> {
        let mut columns = Columns(values.iter());
        let line = line(&mut columns, retry_on);
        let response = stored(&mut columns)?;
        Ok(Self { line, response })
    }

    /// The same, where the body of the request follows.
    pub(in crate::store) fn with_body(
        values: &[Value],
        retry_on: &StatusSet,
    ) -> Result<(Self, Option<Vec<u8>>), String> {
        let (body, line) = values.split_last().ok_or("a row without columns")?;
        Ok((Self::read(line, retry_on)?, Columns([body.clone()].iter()).bytes()))
    }
}

/// Values of a row, one after the other. One that is not there, or of another type, is none: the tables are strict.
pub(in crate::store) struct Columns<'v>(pub(in crate::store) std::slice::Iter<'v, Value>);

impl Columns<'_> {
    pub(in crate::store) fn text(&mut self) -> Option<String> {
        match self.0.next()? {
            Value::Text(text) => Some(text.clone()),
            Value::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }

    pub(in crate::store) fn integer(&mut self) -> Option<i64> {
        if let Value::Integer(n) = self.0.next()? { Some(*n) } else { None }
    }

    fn real(&mut self) -> Option<f64> {
        if let Value::Real(x) = self.0.next()? { Some(*x) } else { None }
    }

    pub(in crate::store) fn flag(&mut self) -> Option<bool> {
        self.integer().map(|n| n != 0)
    }

    fn json(&mut self) -> Option<Box<RawValue>> {
        self.text().map(|json| raw(&json))
    }

    pub(in crate::store) fn bytes(&mut self) -> Option<Vec<u8>> {
        match self.0.next()? {
            Value::Text(text) => Some(text.clone().into_bytes()),
            Value::Blob(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }

    pub(in crate::store) fn timings(&mut self) -> Timings {
        Timings {
            rate_wait: self.real(),
            ttfb: self.real(),
            fetch: self.real(),
            queue: self.real(),
            process: self.real(),
            latency: self.real(),
        }
    }

    pub(in crate::store) fn error(&mut self, retry_on: &StatusSet) -> Option<LineError> {
        let (error_type, message) = (self.text(), self.text().unwrap_or_default());
        error_type.map(|error_type| LineError { retryable: is_retryable(&error_type, retry_on), error_type, message })
    }
}

/// The columns of [`LINE`].
pub(in crate::store) fn line(columns: &mut Columns<'_>, retry_on: &StatusSet) -> ResultLine {
    ResultLine {
        schema: SCHEMA,
        id: columns.integer(),
        key: columns.text(),
        state: columns.text(),
        method: columns.text(),
        url: columns.text().map(|url| shown(&url).into_owned()),
        attempts: columns.integer().unwrap_or(0),
        status_code: columns.integer(),
        started_at: columns.text(),
        timings_ms: columns.timings(),
        within_sla: columns.flag(),
        bytes: columns.integer(),
        error: columns.error(retry_on),
        row: columns.json(),
        result: columns.json(),
    }
}

/// Headers, body and its encoding; nothing where there is no response, or it was not asked for.
pub(in crate::store) fn stored(columns: &mut Columns<'_>) -> Result<Option<Stored>, String> {
    let (headers, body, encoding) = (columns.text(), columns.bytes(), columns.text());
    let body = body.map(|body| packing::unpack(body, encoding.as_deref())).transpose()?;
    Ok(headers.zip(body).map(|(headers, body)| Stored { headers, body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seen failing without the look at its parentheses.
    #[test]
    fn a_condition_cannot_leave_its_place() {
        let sql =
            |condition| Selection { condition: Some(condition), since_run: Some(2), ..Selection::default() }.sql();
        assert!(sql("true) OR (true").is_err() && sql(" ").is_err());
        let fine = sql("state = 'failed' -- why").expect("a condition");
        assert!(fine.contains("(\nstate = 'failed' -- why\n)") && fine.contains("run_id >= 2"), "{fine}");
    }
}
